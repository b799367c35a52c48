package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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

// Over nodes, a rate is never exceeded, and nearly reached.
func TestG8_RateHoldsOverNodesAndRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		limit := config.System{Limit: config.Limit{Every: 100 * time.Millisecond, Burst: 5}}
		var mu sync.Mutex
		var at []time.Time
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		work := func(s *Systems, until time.Duration) {
			y := s.Of("crm")
			for time.Since(start) < until {
				p, err := y.Enter(ctx, "q")
				if err != nil {
					return
				}
				mu.Lock()
				at = append(at, time.Now())
				mu.Unlock()
				answers(p, status(200))
			}
		}
		for n := range 2 {
			for range 8 {
				go func() {
					work(node(t, m, fmt.Sprint("first", n), limit), 30*time.Second)
					work(node(t, m, fmt.Sprint("restarted", n), limit), time.Minute)
				}()
			}
		}
		time.Sleep(time.Minute)
		cancel()
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		// At most the burst and one each 100 ms, but for what may be taken ahead.
		for i := range at {
			for _, n := range []int{10, 50, 100} {
				if i+n < len(at) {
					if span := at[i+n].Sub(at[i]); span < time.Duration(n+1-5)*100*time.Millisecond-ahead {
						t.Fatalf("%d requests within %v", n+1, span)
					}
				}
			}
		}
		if len(at) < 500 || len(at) > 605 {
			t.Errorf("%d requests in a minute, where 605 may be made", len(at))
		}
	})
}

func TestIdleSystemWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		s := node(t, m, "n1", config.System{Limit: config.Limit{Every: time.Second, Burst: 1, Concurrency: 3}})
		defer run(s)()
		asks(t, s.Of("crm"), status(200))
		time.Sleep(10 * time.Second)
		m.mu.Lock()
		clear(m.Calls)
		m.mu.Unlock()
		time.Sleep(24 * time.Hour)
		m.mu.Lock()
		defer m.mu.Unlock()
		if delete(m.Calls, "SystemStates"); len(m.Calls) != 0 {
			t.Errorf("idle for a day: %v", m.Calls)
		}
	})
}

func TestG8_ConcurrencyIsSharedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		limit := config.System{Limit: config.Limit{Concurrency: 4}}
		var mu sync.Mutex
		flight, most := 0, 0
		by := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		var stops []func()
		for _, name := range []string{"a", "b"} {
			s := node(t, m, name, limit)
			stops = append(stops, run(s))
			time.Sleep(10 * time.Millisecond) // so that one asks soon after the other
			for range 8 {
				go func() {
					for {
						p, err := s.Of("crm").Enter(ctx, "q")
						if err != nil {
							return
						}
						mu.Lock()
						flight++
						most = max(most, flight)
						by[name]++
						mu.Unlock()
						time.Sleep(100 * time.Millisecond)
						mu.Lock()
						flight--
						mu.Unlock()
						answers(p, status(200))
					}
				}()
			}
		}
		time.Sleep(time.Minute)
		mu.Lock()
		if most > 4 {
			t.Errorf("%d at a time, of 4", most)
		}
		if by["a"]+by["b"] < 2200 || by["a"] < 800 || by["b"] < 800 {
			t.Errorf("of 2400 requests: %v", by)
		}
		mu.Unlock()
		cancel()
		time.Sleep(time.Second)
		for _, stop := range stops {
			stop()
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

func TestRetryAfterHoldsAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]struct {
			reply func() send.Reply
			want  time.Duration
		}{
			"seconds": {func() send.Reply { return status(429, "Retry-After", "90") }, 90 * time.Second},
			"a date": {func() send.Reply {
				return status(503, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			}, time.Hour},
			"much too long": {func() send.Reply { return status(503, "Retry-After", "999999999") }, 24 * time.Hour},
			"none left": {func() send.Reply {
				return status(200, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().Add(10*time.Minute).Unix()))
			}, 10 * time.Minute},
			"none left, drafts before": {func() send.Reply { return status(200, "RateLimit-Remaining", "0", "RateLimit-Reset", "30") }, 30 * time.Second},
			"none left, drafts since":  {func() send.Reply { return status(200, "RateLimit", `"day";r=100;t=5, "hour";r=0;t=60`) }, time.Minute},
			"some left":                {func() send.Reply { return status(200, "X-RateLimit-Remaining", "1", "X-RateLimit-Reset", "30") }, 0},
			"not ours to heed":         {func() send.Reply { return status(200, "Retry-After", "30") }, 0},
			"nonsense":                 {func() send.Reply { return status(200, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "soon") }, 0},
		} {
			m := NewMemory(time.Now)
			a, b := node(t, m, "a", config.System{}), node(t, m, "b", config.System{})
			stop := run(b)
			start := time.Now()
			asks(t, a.Of("crm"), c.reply())
			synctest.Wait()
			b.Hear(store.Signal{})
			synctest.Wait()
			for name, s := range map[string]*Systems{"a": a, "b": b} {
				p, err := s.Of("crm").Enter(t.Context(), "q")
				if err != nil {
					t.Fatal(err)
				}
				// The node that was told so goes on more slowly, beside.
				if took := time.Since(start); took < c.want || took > c.want+3*time.Second {
					t.Errorf("%s: node %s waited for %v, want %v", what, name, took, c.want)
				}
				p.Leave()
			}
			stop()
			again := node(t, m, "c", config.System{})
			if err := again.Learn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Without a time, we ask half as often, and then more often again.
func TestBusySystemIsAskedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := node(t, NewMemory(time.Now), "n", config.System{}).Of("crm")
		count := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); time.Now().Before(end); n++ {
				asks(t, y, status(200))
				time.Sleep(10 * time.Millisecond)
			}
			return n
		}
		count(10 * time.Second) // 100 a second
		for range 10 {
			asks(t, y, status(429)) // of what was under way already: one cut
		}
		after := count(time.Second)
		if after < 40 || after > 65 {
			t.Errorf("%d a second after a 429, of 100", after)
		}
		count(time.Minute)
		if back := count(time.Second); back < 98 || y.status().Pace != 0 {
			t.Errorf("%d a second after a minute", back)
		}
		for range 40 {
			asks(t, y, status(429))
			time.Sleep(2 * time.Second)
		}
		if p := y.status().Pace; p < slowest || p > 0.5 {
			t.Errorf("a system that always says so is asked %v times a second", p)
		}
	})
}

// A 503 without a time is a failure, and no word about how fast we are.
func TestG7_ASystemThatNowAndThenFailsIsAskedAsOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := node(t, NewMemory(time.Now), "n", config.System{}).Of("crm")
		for i := range 2000 {
			asks(t, y, status(map[bool]int{true: 503, false: 200}[i%50 == 0]))
			time.Sleep(10 * time.Millisecond)
		}
		if p := y.status().Pace; p != 0 {
			t.Errorf("a system that refuses one in fifty is asked %v times a second", p)
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

// What was taken ahead and not used lapses: a rest does not save it up.
func TestG8_PermitsLapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		y := node(t, m, "n", config.System{Limit: config.Limit{Every: 50 * time.Millisecond, Burst: 20}}).Of("crm")
		for range 40 { // as fast as may be: some are taken ahead
			asks(t, y, status(200))
		}
		y.mu.Lock()
		y.permits, y.lapse = 5, time.Now().Add(ahead) // as if it had taken some more
		y.mu.Unlock()
		time.Sleep(ahead)
		before := m.Calls["Take"]
		asks(t, y, status(200))
		if m.Calls["Take"] != before+1 {
			t.Error("a permit was used whose time was over")
		}
	})
}
