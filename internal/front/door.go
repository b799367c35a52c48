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
	door  *Door
	state atomic.Int64 // since when, in nanoseconds, it only waits for its sender; or one of those below
	ahead []byte       // was read from the connection, and is to be read again
}

const (
	busy     = 0  // a request is being read or served
	arriving = -1 // nothing was said yet
	gone     = -2 // its place was taken from it
)

// Read fails on a connection whose place was taken, even if a request has just
// come: it would be served, and its answer not heard.
func (g *guest) Read(b []byte) (int, error) {
	if len(g.ahead) > 0 {
		n := copy(b, g.ahead)
		if g.ahead = g.ahead[n:]; len(g.ahead) == 0 {
			g.ahead = nil // and with it the buffer
		}
		return n, nil
	}
	n, err := g.Conn.Read(b)
	if !g.wake() {
		return 0, net.ErrClosed
	}
	return n, err
}

// wake says that the sender has said something. It returns false if his place was
// taken.
func (g *guest) wake() bool {
	state := g.state.Load()
	return state == busy || state != gone && g.state.CompareAndSwap(state, busy)
}

// rest says that the connection only waits for its sender. It returns false if its
// place was taken.
func (g *guest) rest(now time.Time) bool { return g.state.CompareAndSwap(busy, now.UnixNano()) }

// dismiss closes the connection if it is still in that state.
func (g *guest) dismiss(state int64) bool {
	ok := g.state.CompareAndSwap(state, gone)
	if ok {
		g.Conn.Close()
	}
	return ok
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
	defer d.mu.Unlock()
	if len(d.in) >= d.most && !d.makeRoom() {
		return nil
	}
	d.in[g] = struct{}{}
	return g
}

// makeRoom takes the place of one that has been without a request for long.
func (d *Door) makeRoom() bool {
	now := time.Now().UnixNano()
	for g := range d.in {
		if since := g.state.Load(); since > 0 && now-since >= int64(d.idleAfter) && g.dismiss(since) {
			delete(d.in, g)
			return true
		}
	}
	return false
}

// empty closes the connections that only wait, or those on which nothing was said yet.
func (d *Door) empty(arrivals bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for g := range d.in {
		if state := g.state.Load(); arrivals && state == arriving || !arrivals && state > 0 {
			g.dismiss(state)
		}
	}
}

// Watch is told by net/http what its connections do.
func (d *Door) Watch(c net.Conn, state http.ConnState) {
	g, ok := c.(*guest)
	switch {
	case ok && state == http.StateIdle:
		g.rest(time.Now())
	case ok && state == http.StateActive: // with a request that was read before the last one ended
		g.wake()
	}
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
