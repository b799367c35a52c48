package system

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
)

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
						time.Sleep(330 * time.Millisecond) // longer than from one's asking to the other's
						mu.Lock()
						flight--
						mu.Unlock()
						answers(p, status(200))
					}
				}()
			}
			time.Sleep(10 * time.Millisecond) // the other asks soon after that, when all is under way here
		}
		time.Sleep(time.Minute)
		mu.Lock()
		if most > 4 {
			t.Errorf("%d at a time, of 4", most)
		}
		if by["a"]+by["b"] < 660 || by["a"] < 240 || by["b"] < 240 {
			t.Errorf("of 727 requests: %v", by)
		}
		mu.Unlock()
		cancel()
		time.Sleep(time.Second)
		for _, stop := range stops {
			stop()
		}
	})
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
