package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// node is one node's systems, of which there is one: crm.
func node(t *testing.T, m *Memory, name string, y config.System) *Systems {
	t.Helper()
	y.Name = "crm"
	s := New(Options{
		Store: m, Node: name, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Emit: func(kind, system string, data map[string]any) []store.Acceptance {
			return []store.Acceptance{{Event: &seawall.Event{Source: seawall.SourceOutcomes, Type: kind, Entity: system}}}
		},
	})
	s.Use(&config.Config{Systems: []*config.System{&y}})
	return s
}

// run has a node renew what it has; stop ends that.
func run(s *Systems) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

func status(code int, headers ...string) send.Reply {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return send.Reply{Sent: true, Response: &seawall.Response{Status: code, Headers: h}}
}

var refused = send.Reply{Err: errors.New("connect: refused")}

// asks passes once, and has the system answer so.
func asks(t *testing.T, y *System, r send.Reply) {
	t.Helper()
	p, err := y.Enter(t.Context(), "q")
	if err != nil {
		t.Fatal(err)
	}
	answers(p, r)
}

func answers(p *Pass, r send.Reply) {
	y := p.y
	era := y.era.Load()
	if p.bound {
		y.mu.Lock()
		p.used = true
		y.mu.Unlock()
	}
	y.observe(p, y.set.Load(), era, r)
	p.Leave()
}

func TestUnlimitedSystemCostsNothing(t *testing.T) {
	y := node(t, NewMemory(time.Now), "n1", config.System{}).Of("crm")
	if n := testing.AllocsPerRun(100, func() {
		p, _ := y.Enter(t.Context(), "q")
		p.Leave()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	m := y.all.Store.(*Memory)
	for range 100 {
		asks(t, y, status(200))
	}
	if len(m.Calls) != 0 {
		t.Errorf("the store was asked: %v", m.Calls)
	}
}

func BenchmarkEnterUnlimited(b *testing.B) {
	s := New(Options{Store: NewMemory(time.Now), Node: "n", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	s.Use(&config.Config{Systems: []*config.System{{Name: "crm"}}})
	y := s.Of("crm")
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, _ := y.Enter(ctx, "q")
			p.Leave()
		}
	})
}

func TestG7_FlowsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := node(t, NewMemory(time.Now), "n1", config.System{Limit: config.Limit{Concurrency: 1}})
		s.Alone = true
		y := s.Of("crm")
		first, _ := y.Enter(t.Context(), "hot")
		var mu sync.Mutex
		var order []string
		wait := func(flow string, n int) {
			for i := range n {
				go func() {
					p, _ := y.Enter(t.Context(), flow)
					mu.Lock()
					order = append(order, fmt.Sprint(flow, i))
					mu.Unlock()
					answers(p, status(200))
				}()
				synctest.Wait()
			}
		}
		wait("hot", 5)
		wait("cold", 2)
		wait("calls", 1)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { _, err := y.Enter(ctx, "gone"); gone <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who stops waiting gets %v", err)
		}
		answers(first, status(200))
		synctest.Wait()
		if got := fmt.Sprint(order); got != "[hot0 cold0 calls0 hot1 cold1 hot2 hot3 hot4]" {
			t.Error(got)
		}
	})
}

// Passes that were not used go to others.
func TestUnusedPassIsAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		y := node(t, m, "n1", config.System{Limit: config.Limit{Every: time.Hour, Burst: 1}}).Of("crm")
		p, _ := y.Enter(t.Context(), "a")
		p.Leave()
		p.Leave()
		p, _ = y.Enter(t.Context(), "b")
		if m.Calls["Take"] != 1 {
			t.Errorf("%d takes", m.Calls["Take"])
		}
		answers(p, status(200))
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Minute)
		defer cancel()
		if _, err := y.Enter(ctx, "c"); err == nil {
			t.Error("one permit was used twice")
		}
	})
}

func TestSystemThatIsGoneHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := node(t, NewMemory(time.Now), "n", config.System{})
		y := s.Of("crm")
		asks(t, y, status(503, "Retry-After", "3600"))
		done := make(chan struct{})
		go func() { asks(t, y, status(200)); close(done) }()
		synctest.Wait()
		s.Use(&config.Config{})
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("it waits on")
		}
		if s.Of("crm") != nil {
			t.Error("it is there")
		}
	})
}

func mustURL(t *testing.T, s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
