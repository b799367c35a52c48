package receive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/front"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// easy is a Store that costs nothing.
type easy struct{}

func (easy) Accept(_ context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	return []store.Accepted{{Event: batch[0].Event.ID}}, nil
}

func (easy) Refuse(context.Context, seawall.Arrival) error { return nil }

// desk is a Receiver whose neighbours cost nothing.
func desk() *Receiver {
	scheme := &scheme{items: func(*provider.Request) ([]provider.Item, string) { return []provider.Item{{ID: "1", Type: "t"}}, "" }}
	current := &Current{
		Config:   &config.Config{Limits: config.Limits{Memory: 64 << 20, Requests: 64}},
		Revision: 1,
		Plan: func(*seawall.Event, time.Time, plan.Known) plan.Planned {
			return plan.Planned{Routing: seawall.Unmatched}
		},
	}
	source := &config.Source{Name: "s", Provider: scheme, MaxBody: 1 << 20, Dedupe: time.Hour}
	current.Source = func(string) *config.Source { return source }
	return New(Options{
		Store: easy{}, Metrics: uncounted{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.Reader,
		Known:   func(_ context.Context, ask func(plan.Known) plan.Planned) plan.Planned { return ask(plan.Known{}) },
		Reserve: func([]store.Acceptance) func([]store.Accepted) { return func([]store.Accepted) {} },
		Current: func() *Current { return current },
	})
}

// discard is a ResponseWriter that keeps nothing but whether it was refused.
type discard struct {
	header  http.Header
	refused int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.refused = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// What a request costs beside its provider, the plan and the store: 1 KiB.
func BenchmarkReceive(b *testing.B) {
	rc := desk()
	body, text := bytes.NewReader(nil), make([]byte, 1024)
	r := httptest.NewRequest(http.MethodPost, "/in/s", body)
	r.Header.Set("Content-Type", "application/json")
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(text)
		r.Body = io.NopCloser(body)
		clear(w.header)
		rc.ServeHTTP(w, r)
	}
	if w.refused != 0 {
		b.Errorf("it was refused with %d", w.refused)
	}
}

// The same behind the server, on one connection.
func BenchmarkServed(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := front.New(desk(), slog.New(slog.DiscardHandler))
	go func() { _ = s.Serve(front.NewDoor(l, 64<<20)) }()
	defer func() { _ = s.Shutdown(b.Context()) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := append([]byte("POST /in/s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n"), make([]byte, 1024)...)
	answers := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for left := 2; left > 0; { // the blank line after the header, and the body
			line, err := answers.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			switch {
			case bytes.HasPrefix(line, []byte("HTTP/1.1 ")) && line[9] != '2':
				b.Fatalf("it was refused: %s", line)
			case len(line) == 2, line[0] == '{':
				left--
			}
		}
	}
}
