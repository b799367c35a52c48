package faultproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is a connection and the one that it is passed on to.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	follows        bool // what is said, as PostgreSQL's protocol
	ended          chan struct{}
	once           sync.Once

	mu       sync.Mutex
	asked    requests // what the client has sent
	answered replies  // what the server has
	deaf     bool     // the client hears nothing any more
}

func newLink(p *Proxy, client, server *net.TCPConn) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &link{proxy: p, follows: p.follows, client: client, server: server, ended: make(chan struct{})}
}

// run passes on in both directions until both have ended.
func (l *link) run() {
	var wg sync.WaitGroup
	wg.Go(func() { l.pass(l.server, l.client, l.ask) })
	wg.Go(func() { l.pass(l.client, l.server, l.answer) })
	wg.Wait()
	l.once.Do(func() { close(l.ended) })
}

// reset ends the link at once, with what is under way.
func (l *link) reset() {
	l.once.Do(func() { close(l.ended) })
	for _, c := range []*net.TCPConn{l.client, l.server} {
		c.SetLinger(0)
		c.Close()
	}
}

// packet is what was read at once, and when it may go on.
type packet struct {
	data []byte
	due  time.Time
}

// pass reads from one end and writes to the other. see looks at each packet
// before it is written, and says which part of it is.
func (l *link) pass(to, from *net.TCPConn, see func([]byte) []byte) {
	road := make(chan packet, 64)
	defer func() {
		for range road { // the reader may wait for room
		}
	}()
	go func() {
		defer close(road)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				delay, last := l.proxy.packet()
				if last {
					l.reset()
					return
				}
				road <- packet{buf[:n], time.Now().Add(delay)}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					l.reset()
				}
				return
			}
		}
	}()
	for p := range road {
		if !l.wait(time.Until(p.due)) || !l.proxy.light(l.ended) {
			return
		}
		if data := see(p.data); len(data) > 0 {
			if _, err := to.Write(data); err != nil {
				l.reset()
				return
			}
		}
	}
	to.CloseWrite()
}

// wait is false if the link ended meanwhile.
func (l *link) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ended:
		return false
	}
}
