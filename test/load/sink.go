package load

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Request is what a sink received.
type Request struct {
	Conn   int // number of the connection, in the order they were accepted
	Path   string
	Header http.Header
	Body   []byte // valid until Receive returns
	At     time.Time
}

// Sink is a destination: a bare HTTP/1.1 server on loopback.
type Sink struct {
	Addr string

	receive func(Request) (status int)
	ln      net.Listener
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	changed *sync.Cond // conns did
	wg      sync.WaitGroup
}

// NewSink listens on a free port. receive is called by one goroutine per
// connection and says what to answer.
func NewSink(receive func(Request) (status int)) (*Sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sink{Addr: ln.Addr().String(), receive: receive, ln: ln, conns: map[net.Conn]struct{}{}}
	s.changed = sync.NewCond(&s.mu)
	s.wg.Go(s.accept)
	return s, nil
}

func (s *Sink) accept() {
	for n := 0; ; n++ {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.changed.Broadcast()
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c, n)
			s.mu.Lock()
			delete(s.conns, c)
			s.changed.Broadcast()
			s.mu.Unlock()
		})
	}
}

// serve answers a connection's requests. Only bodies of known length are
// taken: anything else ends the connection, and the sender sees an error.
func (s *Sink) serve(c net.Conn, n int) {
	defer c.Close()
	r := bufio.NewReader(c)
	var body, answer []byte
	for {
		req, err := http.ReadRequest(r)
		if err != nil || req.ContentLength < 0 {
			return
		}
		if int64(cap(body)) < req.ContentLength {
			body = make([]byte, req.ContentLength)
		}
		body = body[:req.ContentLength]
		if _, err := io.ReadFull(req.Body, body); err != nil {
			return
		}
		status := s.receive(Request{Conn: n, Path: req.URL.Path, Header: req.Header, Body: body, At: time.Now()})
		answer = fmt.Appendf(answer[:0], "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// Drain waits until everything that a dead sender left in flight has been read
// to its end: from then on nothing of that sender can arrive. Connections are
// accepted in order, so one of our own, accepted, shows that all of those
// before it were.
func (s *Sink) Drain() error {
	marker, err := net.DialTimeout("tcp", s.Addr, patience)
	if err != nil {
		return err
	}
	local := marker.LocalAddr().String()
	timeout := time.AfterFunc(patience, s.changed.Broadcast)
	defer timeout.Stop()
	defer marker.Close()

	deadline := time.Now().Add(patience)
	s.mu.Lock()
	defer s.mu.Unlock()
	for time.Now().Before(deadline) {
		accepted, others := false, false
		for c := range s.conns {
			if c.RemoteAddr().String() == local {
				accepted = true
			} else {
				others = true
			}
		}
		if accepted && !others {
			return nil
		}
		s.changed.Wait()
	}
	return errors.New("connections of the dead sender stayed open")
}

// Close ends all connections and waits for them.
func (s *Sink) Close() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
