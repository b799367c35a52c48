// Package front is the front of a listener that strangers reach: it bounds the
// connections that they hold open, and serves plain requests itself. What is not
// plain is served by net/http.
package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	headerTimeout = 10 * time.Second  // for a request's header, and again for what of it net/http reads
	readTimeout   = 30 * time.Second  // for a request, where its handler says nothing else
	writeTimeout  = 60 * time.Second  // for an answer, likewise
	idleTimeout   = 120 * time.Second // between two requests

	// lastCall is how long who has just connected has for his request when the
	// server stops.
	lastCall = time.Second
)

// Server serves a handler behind a Door. The handler's answers are held in memory
// until it returns, and its request's context does not end when the sender hangs up.
type Server struct {
	handler http.Handler
	log     *slog.Logger
	rest    *http.Server // for what is not plain
	handed  chan net.Conn
	date    atomic.Pointer[date]

	mu       sync.Mutex
	door     *Door
	stopping chan struct{}
	visits   sync.WaitGroup
}

// New makes a server for one Door.
func New(h http.Handler, log *slog.Logger) *Server {
	s := &Server{handler: h, log: log, handed: make(chan net.Conn), stopping: make(chan struct{})}
	s.rest = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve serves those whom the door lets in. After Shutdown it returns
// http.ErrServerClosed.
func (s *Server) Serve(d *Door) error {
	s.mu.Lock()
	if s.stops() {
		s.mu.Unlock()
		d.Listener.Close()
		return http.ErrServerClosed
	}
	s.door = d
	s.rest.ConnState = d.Watch
	s.visits.Add(1) // so that Shutdown does not take a moment without any for the end
	s.mu.Unlock()
	defer s.visits.Done()

	s.visits.Go(func() { _ = s.rest.Serve(handed{d.Addr(), s}) }) // ends when the server stops, and only then
	if err := s.accept(d); err != nil {
		return err
	}
	return http.ErrServerClosed
}

// accept lets senders in until the server stops, or its listener is closed.
func (s *Server) accept(d *Door) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		c, err := d.Accept()
		switch {
		case err == nil:
			pause = shortest
			s.visits.Go(func() { s.attend(c.(*guest)) })
		case s.stops():
			return nil
		case !passing(err):
			s.stop()
			return err
		default:
			s.log.Warn("no connection can be accepted for now: senders wait", "error", err, "pause", pause,
				"hint", "if too many files are open, raise the process's limit (ulimit -n, LimitNOFILE)")
			select {
			case <-time.After(pause):
			case <-s.stopping:
			}
			pause = min(2*pause, longest)
		}
	}
}

// passing tells whether a connection may be had later: others will be closed, or one
// was given up before its turn.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// attend serves a connection for as long as its requests are plain.
func (s *Server) attend(g *guest) {
	c := &conn{guest: g, server: s, remote: g.RemoteAddr().String(), in: make([]byte, bufferSize)}
	if !c.serve() {
		g.Close()
		return
	}
	g.ahead = c.in[:c.have]
	select {
	case s.handed <- g:
	case <-s.stopping:
		g.Close()
	}
}

// stops tells whether the server stops.
func (s *Server) stops() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stops() {
		close(s.stopping)
	}
}

// Shutdown lets nobody in any more, and waits until all requests are answered, or
// ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	var err error
	if s.door != nil {
		if err = s.door.Listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
		s.door.empty(false)
		last := time.AfterFunc(lastCall, func() { s.door.empty(true) })
		defer last.Stop()
	}
	err = errors.Join(err, s.rest.Shutdown(ctx))
	gone := make(chan struct{})
	go func() {
		s.visits.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// handed is where net/http finds the connections that it is to serve.
type handed struct {
	addr net.Addr
	*Server
}

func (h handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.handed:
		return c, nil
	case <-h.stopping:
		return nil, net.ErrClosed
	}
}

func (h handed) Addr() net.Addr { return h.addr }

func (h handed) Close() error {
	h.stop()
	return nil
}
