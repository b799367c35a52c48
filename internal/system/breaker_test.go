package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A system that fails is left alone; one request at a time, over all nodes, tells
// whether it is back, more and more rarely.
func TestG7_BreakerOverADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		a, b := node(t, m, "a", config.System{}), node(t, m, "b", config.System{})
		defer run(a)()
		defer run(b)()
		for range 10 {
			asks(t, a.Of("crm"), status(200))
		}
		for range 10 {
			asks(t, a.Of("crm"), refused)
		}
		synctest.Wait()
		if _, open := a.Of("crm").Open(); !open {
			t.Fatal("half of 20 failed, and it is closed")
		}
		a.Hear(store.Signal{})
		b.Hear(store.Signal{})
		synctest.Wait()
		if _, open := b.Of("crm").Open(); !open {
			t.Error("the other node does not know")
		}

		down := true
		var mu sync.Mutex
		var probes []time.Duration
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		for _, s := range []*Systems{a, b} {
			for range 16 {
				go func() {
					for {
						p, err := s.Of("crm").Enter(ctx, "q")
						if err != nil {
							return
						}
						mu.Lock()
						reply := refused
						if down {
							probes = append(probes, time.Since(start))
						} else {
							reply = status(200)
						}
						mu.Unlock()
						time.Sleep(time.Second)
						answers(p, reply)
					}
				}()
			}
		}
		time.Sleep(24 * time.Hour)
		mu.Lock()
		down = false
		n := len(probes)
		mu.Unlock()
		if n < 280 || n > 300 {
			t.Errorf("%d probes in a day, want one each 5 minutes and a few", n)
		}
		for i := 1; i < n; i++ {
			if gap := probes[i] - probes[i-1]; gap < min(5*time.Second<<min(i-1, 7), 5*time.Minute) {
				t.Fatalf("probe %d came %v after the one before", i, gap)
			}
		}
		time.Sleep(6 * time.Minute)
		for _, s := range []*Systems{a, b} {
			if _, open := s.Of("crm").Open(); open {
				t.Error("it is back, and left alone all the same")
			}
		}
		cancel()
		time.Sleep(time.Minute)
		kinds := []string{}
		for _, e := range m.Events {
			kinds = append(kinds, e.Event.Type)
		}
		if fmt.Sprint(kinds) != "[breaker.opened breaker.closed]" {
			t.Errorf("events %v", kinds)
		}
	})
}

func TestBreakerOpensOnSlowOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := node(t, NewMemory(time.Now), "n", config.System{Breaker: config.Breaker{Slow: time.Second}}).Of("crm")
		slow := status(200)
		slow.Took = 2 * time.Second
		for i := range 20 {
			r := slow
			if i%5 == 0 {
				r = status(200)
			}
			asks(t, y, r)
		}
		synctest.Wait()
		if _, open := y.Open(); !open {
			t.Error("16 of 20 were slow, and it is closed")
		}
	})
}

func TestBreakerStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]struct {
			breaker config.Breaker
			n       int
			reply   send.Reply
			every   time.Duration
		}{
			"too few":                {n: 19, reply: refused},
			"too long ago":           {n: 40, reply: refused, every: 2 * time.Second},
			"switched off":           {breaker: config.Breaker{Off: true}, n: 100, reply: refused},
			"it is there":            {n: 100, reply: status(404)},
			"it asks us to slow":     {n: 1, reply: status(429)},
			"cut off by our own end": {n: 100, reply: send.Reply{Canceled: true, Err: errors.New("cut off")}},
		} {
			y := node(t, NewMemory(time.Now), "n", config.System{Breaker: c.breaker}).Of("crm")
			for range c.n {
				asks(t, y, c.reply)
				time.Sleep(c.every)
			}
			synctest.Wait()
			if _, open := y.Open(); open {
				t.Errorf("%s: open", what)
			}
		}
	})
}

// What a node that dies was to find out, another does.
func TestG7_ProbeOfANodeThatDiedIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		dead, live := node(t, m, "dead", config.System{}), node(t, m, "live", config.System{})
		for range 20 {
			asks(t, dead.Of("crm"), refused)
		}
		synctest.Wait()
		if p, err := dead.Of("crm").Enter(t.Context(), "q"); err != nil || !p.probe {
			t.Fatalf("no probe: %v", err)
		}
		defer run(live)()
		y := live.Of("crm")
		if _, err := y.EnterClosed(t.Context(), "q"); !errors.Is(err, ErrOpen) {
			t.Errorf("another's probe is under way, and who has another way gets %v", err)
		}
		start := time.Now()
		p, err := y.EnterClosed(t.Context(), "q")
		for err != nil && time.Since(start) < time.Hour {
			time.Sleep(time.Second)
			p, err = y.EnterClosed(t.Context(), "q")
		}
		if took := time.Since(start); err != nil || !p.probe || took < 30*time.Second || took > time.Minute {
			t.Fatalf("the probe was free after %v: %v", took, err)
		}
		answers(p, status(200))
		synctest.Wait()
		if _, open := y.Open(); open {
			t.Error("it is back, and open")
		}
	})
}

// A probe that nobody used, or that our own end cut off, is the next one's.
// A clock that is set back by an hour does not keep a breaker open for that, nor
// the probe of a node that died.
func TestG7_ClockSetBackKeepsNoBreakerOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		var set atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(set.Load())).Round(0) }
		begin := func(name string) *System {
			s := New(Options{Store: m, Node: name, Now: clock, Log: slog.New(slog.DiscardHandler)})
			s.Use(&config.Config{Systems: []*config.System{{Name: "crm"}}})
			if err := s.Learn(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Of("crm")
		}
		enters := func(y *System) (p *Pass) {
			start := time.Now()
			p, err := y.Enter(t.Context(), "q")
			if err != nil || time.Since(start) > 10*time.Second {
				t.Errorf("entered after %s: %v", time.Since(start), err)
			}
			return p
		}
		y := begin("n1")
		for range 20 {
			asks(t, y, status(500))
		}
		synctest.Wait()
		if _, open := y.Open(); !open {
			t.Fatal("not open")
		}
		set.Add(-int64(time.Hour))
		p := enters(y)
		if !p.probe {
			t.Error("no probe")
		}
		set.Add(-int64(time.Hour)) // n1 dies with it
		if p = enters(begin("n2")); !p.probe {
			t.Error("no probe")
		}
		answers(p, status(200))
		synctest.Wait()
		if _, open := p.y.Open(); open {
			t.Error("open after a good probe")
		}
	})
}

func TestUnusedProbeIsAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := node(t, NewMemory(time.Now), "n", config.System{}).Of("crm")
		for range 20 {
			asks(t, y, refused)
		}
		p, _ := y.Enter(t.Context(), "q")
		start := time.Now()
		p.Leave()
		p, _ = y.Enter(t.Context(), "q")
		answers(p, send.Reply{Canceled: true, Err: errors.New("cut off")})
		p, _ = y.Enter(t.Context(), "q")
		if !p.probe || time.Since(start) != 0 {
			t.Errorf("probe %v after %v", p.probe, time.Since(start))
		}
		answers(p, status(200))
	})
}

func TestBreakerOutlivesTheProcessAndReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		s := node(t, m, "n", config.System{Breaker: config.Breaker{Open: time.Hour}})
		for range 20 {
			asks(t, s.Of("crm"), refused)
		}
		synctest.Wait()
		y := s.Of("crm")
		s.Use(&config.Config{Systems: []*config.System{{Name: "crm"}}})
		if _, open := s.Of("crm").Open(); !open || s.Of("crm") != y {
			t.Error("a reload closed it")
		}
		again := node(t, m, "n2", config.System{})
		if err := again.Learn(t.Context()); err != nil {
			t.Fatal(err)
		}
		until, open := again.Of("crm").Open()
		if !open || time.Until(until) <= 0 {
			t.Error("a restart closed it")
		}
		if err := again.Of("crm").Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		asks(t, again.Of("crm"), status(200))
		s.Use(&config.Config{Systems: []*config.System{{Name: "crm", Breaker: config.Breaker{Off: true}}}})
		asks(t, s.Of("crm"), status(200))
	})
}

// A store that is away keeps nobody from sending for good.
func TestBreakerWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		y := node(t, m, "n", config.System{}).Of("crm")
		m.Fail = seawall.Errorf(seawall.ErrUnavailable, "away")
		for range 20 {
			asks(t, y, refused)
		}
		synctest.Wait()
		asks(t, y, status(200))
		if len(m.Events) != 0 {
			t.Error("events of what is not written")
		}
	})
}
