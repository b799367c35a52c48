package front

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// visitors makes a server behind a door for two, and a way to call on it by a method.
func visitors(t *testing.T, method string, h http.HandlerFunc) (call func(path string) (net.Conn, *bufio.Reader)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := NewDoor(l, 1)
	d.most, d.idleAfter = 2, 0
	s := New(h, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(d) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return func(path string) (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
}

func status(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

// both runs a test with plain requests, and with those that net/http serves.
func both(t *testing.T, test func(t *testing.T, method string)) {
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		t.Run(method, func(t *testing.T) { test(t, method) })
	}
}

// With every place taken by a request at work, a newcomer is told so.
func TestG8_NewcomersAreToldThatThereIsNoRoom(t *testing.T) {
	both(t, func(t *testing.T, method string) {
		entered, leave := make(chan bool, 2), make(chan bool)
		call := visitors(t, method, func(w http.ResponseWriter, r *http.Request) {
			entered <- true
			<-leave
		})
		_, first := call("/")
		_, second := call("/")
		<-entered
		<-entered
		_, third := call("/")
		if resp := status(t, third); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !resp.Close {
			t.Errorf("the third: %d, Retry-After %q, closed %v", resp.StatusCode, resp.Header.Get("Retry-After"), resp.Close)
		}
		close(leave)
		for _, r := range []*bufio.Reader{first, second} {
			if resp := status(t, r); resp.StatusCode != 200 {
				t.Errorf("one that was let in: %d", resp.StatusCode)
			}
		}
	})
}

// Connections that only wait for another request make room.
func TestG8_IdleConnectionsMakeRoom(t *testing.T) {
	both(t, func(t *testing.T, method string) {
		call := visitors(t, method, func(http.ResponseWriter, *http.Request) {})
		for range 10 {
			_, r := call("/")
			resp := status(t, r)
			// The server counts a connection as idle a moment after its answer.
			for deadline := time.Now().Add(10 * time.Second); resp.StatusCode == 503 && time.Now().Before(deadline); {
				c, r := call("/")
				resp = status(t, r)
				if resp.StatusCode == 503 {
					c.Close()
				}
			}
			if resp.StatusCode != 200 {
				t.Fatalf("answered %d", resp.StatusCode)
			}
		}
	})
}
