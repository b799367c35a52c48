package front

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Stopping closes who only waits at once, hears who has just come, and lets
// requests at work end.
func TestStoppingLetsRequestsEnd(t *testing.T) {
	for _, method := range []string{"POST", "GET"} { // GET is net/http's
		release := make(chan struct{})
		handler := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-release
			}
			echo(w, r)
		}
		ask := func(path string) string {
			return method + " " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
		}
		synctest.Test(t, func(t *testing.T) {
			release = make(chan struct{})
			h, s := newHarbour(), New(http.HandlerFunc(handler), slog.New(slog.DiscardHandler))
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(NewDoor(h, 64<<20)) }()
			idle, slow, fresh := h.call(), h.call(), h.call()
			say(t, idle, ask("/"))
			hear(t, bufio.NewReader(idle))
			say(t, slow, ask("/slow"))
			synctest.Wait()

			start, stopped := time.Now(), make(chan error, 1)
			go func() { stopped <- s.Shutdown(context.Background()) }()
			synctest.Wait()
			if _, err := idle.Read(make([]byte, 1)); err != io.EOF || time.Since(start) > time.Second {
				t.Errorf("who only waits: %v after %v", err, time.Since(start))
			}
			if method == "POST" {
				say(t, fresh, ask("/"))
				if resp, _ := hear(t, bufio.NewReader(fresh)); resp.StatusCode != 200 || !resp.Close {
					t.Errorf("who had just come: %d, closed %v", resp.StatusCode, resp.Close)
				}
			}
			select {
			case err := <-stopped:
				t.Fatalf("stopped beside a request at work: %v", err)
			case <-time.After(20 * time.Second):
			}
			close(release)
			if resp, _ := hear(t, bufio.NewReader(slow)); resp.StatusCode != 200 || !resp.Close {
				t.Errorf("the request at work: %d, closed %v", resp.StatusCode, resp.Close)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
}

// Stopping does not wait for ever.
func TestStoppingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h, s := newHarbour(), New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), slog.New(slog.DiscardHandler))
		go func() { _ = s.Serve(NewDoor(h, 64<<20)) }()
		c := h.call()
		say(t, c, request)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(release)
		c.Close()
		if err := s.Serve(NewDoor(newHarbour(), 64<<20)); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served after it was stopped: %v", err)
		}
	})
}

// While the server stops, or takes places from those who wait, no request is served
// whose answer is not heard.
func TestG3_WhatIsTakenInWhileStoppingIsAnswered(t *testing.T) {
	for _, method := range []string{"POST", "PUT"} {
		for round := range 8 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var took, heard atomic.Int64
			enough := make(chan struct{})
			s := New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if took.Add(1) == 500 {
					close(enough)
				}
			}), slog.New(slog.DiscardHandler))
			d := NewDoor(l, 64<<20)
			if round%2 == 1 {
				d.most, d.idleAfter = 8, 0 // most have to make room
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(d) }()
			var senders sync.WaitGroup
			for range 16 {
				senders.Go(func() {
					for {
						c, err := net.Dial("tcp", l.Addr().String())
						if err != nil {
							return
						}
						_ = c.SetDeadline(time.Now().Add(20 * time.Second))
						in := bufio.NewReader(c)
						for {
							if _, err := io.WriteString(c, method+" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); err != nil {
								break
							}
							resp, err := http.ReadResponse(in, nil)
							if err != nil {
								break
							}
							if resp.StatusCode == 200 {
								heard.Add(1)
							}
							if resp.Close {
								break
							}
						}
						c.Close()
					}
				})
			}
			<-enough
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			senders.Wait()
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
			if took.Load() != heard.Load() {
				t.Errorf("%s: %d were taken in, %d answers heard", method, took.Load(), heard.Load())
			}
		}
	}
}
