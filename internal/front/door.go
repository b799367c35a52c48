package front

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connMemory     = 192 << 10 // of limits.memory, for each connection
	maxConnections = 4096
	minConnections = 64

	// Those that are turned away are told so, as many at once.
	turning    = 1024
	turnWithin = time.Second
	turnBytes  = 256 << 10 // of what they were sending

	// A connection that has waited so long for its sender may be taken from him:
	// he is unlikely to be about to use it.
	idleAfter = 5 * time.Second
)

const turnedAway = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// Door bounds the connections that senders hold open, by the memory that they
// may take. Where there is no room, one that has long waited for its sender's
// next request makes room; if there is none, the newcomer is told 503 at once: left
// to wait unseen, he would not know why.
type Door struct {
	net.Listener
	most int
	turn chan struct{}

	idleAfter time.Duration

	mu sync.Mutex
	in map[*guest]struct{}
}

// NewDoor makes one for a process that aims to stay under memory bytes.
func NewDoor(l net.Listener, memory int64) *Door {
	most := min(max(memory/connMemory, minConnections), maxConnections)
	return &Door{Listener: l, most: int(most), turn: make(chan struct{}, turning), in: map[*guest]struct{}{}, idleAfter: idleAfter}
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	door *Door
	// idle is since when, in nanoseconds, it only waits for its sender; 0: it does
	// not; arriving: it waits for the first that he says.
	idle  atomic.Int64
	ahead []byte // was read from the connection, and is to be read again
}

// arriving is who has said nothing yet.
const arriving = -1

func (g *guest) Read(b []byte) (int, error) {
	if len(g.ahead) == 0 {
		return g.Conn.Read(b)
	}
	n := copy(b, g.ahead)
	g.ahead = g.ahead[n:]
	return n, nil
}

func (g *guest) Close() error {
	g.door.mu.Lock()
	delete(g.door.in, g)
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// CloseWrite lets net/http end a connection so that its last answer is read.
func (g *guest) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// Accept returns the next connection that there is room for.
func (d *Door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := d.admit(c); g != nil {
			return g, nil
		}
		select {
		case d.turn <- struct{}{}:
			go func() {
				turnAway(c)
				<-d.turn
			}()
		default: // told all the same, though the answer may be lost to a reset
			if c.SetWriteDeadline(time.Now().Add(turnWithin)) == nil {
				_, _ = io.WriteString(c, turnedAway)
			}
			c.Close()
		}
	}
}

func (d *Door) admit(c net.Conn) *guest {
	g := &guest{Conn: c, door: d}
	d.mu.Lock()
	var leaves *guest
	if len(d.in) >= d.most {
		if leaves = d.waiting(); leaves == nil {
			d.mu.Unlock()
			return nil
		}
		delete(d.in, leaves)
	}
	d.in[g] = struct{}{}
	d.mu.Unlock()
	if leaves != nil {
		leaves.Conn.Close()
	}
	return g
}

// waiting is a connection that has been without a request for long, nil if there is none.
func (d *Door) waiting() *guest {
	now := time.Now().UnixNano()
	for g := range d.in {
		if since := g.idle.Load(); since > 0 && now-since >= int64(d.idleAfter) {
			return g
		}
	}
	return nil
}

// dismiss closes the connections that only wait. Who has just come may still say
// what he came for.
func (d *Door) dismiss() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for g := range d.in {
		switch since := g.idle.Load(); {
		case since > 0:
			g.Conn.Close()
		case since == arriving:
			_ = g.Conn.SetReadDeadline(time.Now().Add(lastCall))
		}
	}
}

// Watch is told by net/http what its connections do.
func (d *Door) Watch(c net.Conn, state http.ConnState) {
	if g, ok := c.(*guest); ok {
		g.waits(state == http.StateIdle)
	}
}

// waits says whether the connection only waits for its sender.
func (g *guest) waits(idle bool) {
	var since int64
	if idle {
		since = time.Now().UnixNano()
	}
	g.idle.Store(since)
}

func turnAway(c net.Conn) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(turnWithin)) != nil {
		return
	}
	if _, err := io.WriteString(c, turnedAway); err != nil {
		return
	}
	if t, ok := c.(*net.TCPConn); ok && t.CloseWrite() == nil {
		// Closed with something unread, the answer might be lost to a reset.
		_, _ = io.CopyN(io.Discard, t, turnBytes)
	}
}
