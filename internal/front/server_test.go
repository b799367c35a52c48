package front

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// harbour is a listener in memory.
type harbour struct {
	ships chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

func newHarbour() *harbour { return &harbour{ships: make(chan net.Conn), gone: make(chan struct{})} }

func (h *harbour) Accept() (net.Conn, error) {
	select {
	case c := <-h.ships:
		return c, nil
	case <-h.gone:
		return nil, net.ErrClosed
	}
}

func (h *harbour) Close() error {
	h.once.Do(func() { close(h.gone) })
	return nil
}

func (h *harbour) Addr() net.Addr { return &net.TCPAddr{} }

// call connects a sender.
func (h *harbour) call() net.Conn {
	ours, theirs := net.Pipe()
	h.ships <- theirs
	return ours
}

// served runs a test in a bubble, with a server and a way to connect to it.
func served(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, s *Server, call func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHarbour(), New(handler, slog.New(slog.DiscardHandler))
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(NewDoor(h, 64<<20)) }()
		test(t, s, h.call)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
}

const request = "POST /in/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, err.Error())
		return
	}
	fmt.Fprintf(w, "%s %s %s: %d bytes, %x", r.Method, r.Host, r.RequestURI, len(b), b[:min(len(b), 8)])
}

func say(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// hear reads an answer and its body.
func hear(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// Whoever talks to the server need not know which part of it answers.
func TestAnswersAreThoseOfNetHTTP(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unread":
			http.NotFound(w, r)
		case "/closes":
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		case "/nothing":
		case "/twice":
			w.WriteHeader(http.StatusAccepted)
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "a")
			_, _ = io.WriteString(w, "b")
		case "/json":
			w.Header()["Content-Type"], w.Header()["Content-Length"] = []string{"application/json"}, []string{"2"}
			w.Header().Set("X-Bad", "a\r\nX-Worse: b")
			_, _ = io.WriteString(w, "{}")
		case "/html":
			_, _ = io.WriteString(w, "<html>")
		case "/panic":
			panic("on purpose")
		case "/abort":
			panic(http.ErrAbortHandler)
		default:
			echo(w, r)
		}
	})
	post := func(path string, n int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, n, strings.Repeat("x", n))
	}
	cases := append(slices.Clone(plain), unusual...)
	for _, path := range []string{"/unread", "/closes", "/204", "/304", "/nothing", "/twice", "/json", "/html", "/panic", "/abort"} {
		cases = append(cases, post(path, 0), post(path, 10), post(path, 100_000))
	}
	cases = append(cases,
		post("/", 1)+"\r\n"+post("/", 2)+"\r\n\r\n"+post("/", 3),
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"+strings.Repeat("x: \r\n", 90)+"\r\n1",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"+strings.Repeat("x:\r\n", 1900)+"\r\n1",
		post("/", 0)+post("/", 1)+post("/", 5000)+post("/", 9000)+post("/json", 3), // one after the other
		post("/", plainBody), post("/", plainBody+1), post("/unread", plainBody+1),
		post("/", 10)+"GET / HTTP/1.1\r\nHost: a\r\n\r\n"+post("/", 20),
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX: "+strings.Repeat("x", 9000)+"\r\n\r\n1",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX: "+strings.Repeat("x", 80_000)+"\r\n\r\n1",
		"POST / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 7<<10)+"\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("x", 5000),
	)
	quiet := slog.New(slog.DiscardHandler)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	ours, theirs := listen(), listen()
	s := New(handler, quiet)
	go func() { _ = s.Serve(NewDoor(ours, 64<<20)) }()
	reference := &http.Server{Handler: handler, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelDebug)}
	go func() { _ = reference.Serve(theirs) }()
	defer reference.Close()
	defer func() {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	// heard are the answers to what is said, then to a last request.
	heard := func(l net.Listener, said string) (out []string) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			_, _ = io.WriteString(c, said+"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		in := bufio.NewReader(c)
		for {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return out
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Errorf("an answer was cut off: %v", err)
			}
			if resp.Header.Get("Date") == "" && resp.StatusCode >= 200 && resp.StatusCode < 400 {
				t.Error("an answer without a date")
			}
			resp.Header.Del("Date")
			out = append(out, fmt.Sprintf("%s %v close %v %d %q", resp.Status, resp.Header, resp.Close, resp.ContentLength, b))
		}
	}
	for _, said := range cases {
		if got, want := heard(ours, said), heard(theirs, said); !slices.Equal(got, want) {
			t.Errorf("%.100q…: answered\n\t%q\nby net/http\n\t%q", said, got, want)
		}
	}
}

// A connection serves one request after the other, however they are cut.
func TestRequestsInPieces(t *testing.T) {
	served(t, echo, func(t *testing.T, _ *Server, call func() net.Conn) {
		for cut := 1; cut < len(request); cut++ {
			c := call()
			in := bufio.NewReader(c)
			for range 2 {
				say(t, c, request[:cut])
				time.Sleep(time.Second)
				say(t, c, request[cut:])
				if resp, body := hear(t, in); resp.StatusCode != 200 || body != "POST a /in/a: 4 bytes, 626f6479" {
					t.Fatalf("cut at %d: %d %s", cut, resp.StatusCode, body)
				}
				time.Sleep(idleTimeout - 2*time.Second) // it is kept for so long
			}
			c.Close()
		}
	})
}

// Who says nothing, or does not go on, is not waited for.
func TestG8_SlowSendersAreNotWaitedFor(t *testing.T) {
	const answer = "HTTP/1.1 200"
	for _, c := range []struct {
		said   string
		within time.Duration
		slack  time.Duration
	}{
		{"", headerTimeout, 0},
		{request[:20], headerTimeout, 0},
		{request, idleTimeout, slack},
		{request[:len(request)-1], readTimeout, 0},
	} {
		served(t, echo, func(t *testing.T, _ *Server, call func() net.Conn) {
			conn := call()
			start := time.Now()
			if c.said != "" {
				say(t, conn, c.said)
			}
			b, err := io.ReadAll(conn)
			took := time.Since(start)
			if err != nil || took < c.within || took > c.within+c.slack+time.Second {
				t.Errorf("%q: closed after %v, %v", c.said, took, err)
			}
			if whole := c.said == request; whole != bytes.HasPrefix(b, []byte(answer)) {
				t.Errorf("%q: answered %q", c.said, b)
			}
		})
	}
}

// The handler's own bounds on a body count, and tell a slow one from one cut off.
func TestABodyThatDoesNotComeWhole(t *testing.T) {
	for _, end := range []string{"waits", "hangs up"} {
		errs := make(chan error, 1)
		handler := func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			if err := errors.Join(c.SetReadDeadline(time.Now().Add(3*time.Second)), c.SetWriteDeadline(time.Now().Add(time.Minute))); err != nil {
				t.Error(err)
			}
			_, err := io.ReadAll(r.Body)
			errs <- err
			w.WriteHeader(http.StatusRequestTimeout)
		}
		served(t, handler, func(t *testing.T, _ *Server, call func() net.Conn) {
			c := call()
			say(t, c, request[:len(request)-1])
			if start := time.Now(); end == "waits" {
				if resp, _ := hear(t, bufio.NewReader(c)); resp.StatusCode != 408 || !resp.Close {
					t.Errorf("answered %d, closed %v", resp.StatusCode, resp.Close)
				}
				if err, took := <-errs, time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took > 4*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
			} else {
				synctest.Wait()
				c.Close()
				if err := <-errs; !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Error(err)
				}
			}
		})
	}
}

// A sender that does not read his answer holds his connection only for a while.
func TestG8_AnAnswerThatIsNotReadIsGivenUp(t *testing.T) {
	served(t, echo, func(t *testing.T, s *Server, call func() net.Conn) {
		c, start := call(), time.Now()
		defer c.Close()
		say(t, c, request) // in memory, writing the answer waits for its reader
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for len(s.guests()) > 0 {
				time.Sleep(time.Second)
			}
		}()
		<-gone
		if took := time.Since(start); took < writeTimeout || took > writeTimeout+slack+2*time.Second {
			t.Errorf("held for %v", took)
		}
	})
}

func (s *Server) guests() []*guest {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	var out []*guest
	for g := range s.door.in {
		out = append(out, g)
	}
	return out
}

// shoal is a listener that fails a few times.
type shoal struct {
	*harbour
	fails int
}

func (s *shoal) Accept() (net.Conn, error) {
	if s.fails--; s.fails >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return s.harbour.Accept()
}

// A process with too many files open serves again once it has fewer.
func TestG8_AcceptingGoesOnAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHarbour(), New(http.HandlerFunc(echo), slog.New(slog.DiscardHandler))
		go func() { _ = s.Serve(NewDoor(&shoal{h, 20}, 64<<20)) }()
		c := h.call()
		say(t, c, request)
		if resp, _ := hear(t, bufio.NewReader(c)); resp.StatusCode != 200 {
			t.Errorf("answered %d", resp.StatusCode)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// When others have closed the listener, or it is of no use any more, the server ends
// with its error.
func TestAListenerThatFailsEndsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHarbour(), New(http.HandlerFunc(echo), slog.New(slog.DiscardHandler))
		h.Close()
		if err := s.Serve(NewDoor(h, 64<<20)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// An empty line behind a body, in whatever packet, is not a request.
func TestAnEmptyLineBetweenRequests(t *testing.T) {
	served(t, echo, func(t *testing.T, _ *Server, call func() net.Conn) {
		c := call()
		defer c.Close()
		in := bufio.NewReader(c)
		for _, said := range []string{request + "\r\n", request, "\r\n" + request} {
			say(t, c, said)
			if resp, body := hear(t, in); resp.StatusCode != 200 {
				t.Fatalf("answered %d %s", resp.StatusCode, body)
			}
		}
		say(t, c, "\r\n")
		say(t, c, request)
		if resp, body := hear(t, in); resp.StatusCode != 200 {
			t.Errorf("in a packet of its own: answered %d %s", resp.StatusCode, body)
		}
	})
}
