package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// memory is a store of pending deliveries, just enough for a runner.
type memory struct {
	mu      sync.Mutex
	token   int64
	owner   map[store.Lane]store.Lease
	pending map[string][]store.Claimed
	gates   map[string]seawall.Gate
	settled []store.Settlement
	claims  map[string]int
	broken  error         // what Settle fails with
	lost    bool          // leases are not renewed
	slow    chan struct{} // not nil: a claim reads its snapshot, and goes on only after this
}

func newMemory() *memory {
	return &memory{
		owner: map[store.Lane]store.Lease{}, pending: map[string][]store.Claimed{},
		gates: map[string]seawall.Gate{}, claims: map[string]int{},
	}
}

func (m *memory) Acquire(_ context.Context, node string, lanes []store.Lane, ttl time.Duration) ([]store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Lease
	for _, l := range lanes {
		m.token++
		lease := store.Lease{Lane: l, Node: node, Token: m.token, Until: time.Now().Add(ttl)}
		m.owner[l] = lease
		out = append(out, lease)
	}
	return out, nil
}

func (m *memory) Renew(_ context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return nil, errors.New("the store is away")
	}
	var out []store.Lease
	for _, l := range leases {
		if m.owner[l.Lane].Token == l.Token {
			l.Until = time.Now().Add(ttl)
			m.owner[l.Lane] = l
			out = append(out, l)
		}
	}
	return out, nil
}

func (m *memory) Release(_ context.Context, leases []store.Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range leases {
		if m.owner[l.Lane].Token == l.Token {
			delete(m.owner, l.Lane)
		}
	}
	return nil
}

func (m *memory) Claim(_ context.Context, _ store.Lease, c store.Claim) (out []store.Claimed, next time.Time, _ error) {
	m.mu.Lock()
	snapshot, slow := slices.Clone(m.pending[c.Destination]), m.slow
	m.claims[c.Destination]++
	m.mu.Unlock()
	if slow != nil {
		<-slow
	}
	for _, p := range snapshot {
		switch {
		case c.Busy != nil && c.Busy(p.Delivery.ID):
		case p.Delivery.Due.After(c.Now) || len(out) == c.Limit:
			if next.IsZero() || p.Delivery.Due.Before(next) {
				next = p.Delivery.Due
			}
		default:
			out = append(out, p)
		}
	}
	return out, next, nil
}

func (m *memory) Settle(_ context.Context, ss []store.Settlement) ([]store.Settled, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	out := make([]store.Settled, len(ss))
	for i, s := range ss {
		if m.owner[s.Lease.Lane].Token != s.Lease.Token {
			out[i] = store.Fenced
			continue
		}
		m.settled = append(m.settled, s)
		for d, ps := range m.pending {
			if k := slices.IndexFunc(ps, func(p store.Claimed) bool { return p.Delivery.ID == s.Delivery }); k >= 0 {
				if s.State == seawall.Pending {
					ps[k].Delivery.Due = s.Due
				} else {
					m.pending[d] = slices.Delete(ps, k, k+1)
				}
			}
		}
	}
	return out, nil
}

func (m *memory) Gates(context.Context) (out []store.GateState, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d, g := range m.gates {
		out = append(out, store.GateState{Destination: d, Gate: g})
	}
	return out, nil
}

func (m *memory) add(dest string, n int) (ids []seawall.DeliveryID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		c := fresh(dest)
		m.pending[dest] = append(m.pending[dest], c)
		ids = append(ids, c.Delivery.ID)
	}
	return ids
}

func (m *memory) count(state seawall.State) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.settled {
		if s.State == state {
			n++
		}
	}
	return n
}

var serial byte

func fresh(dest string) store.Claimed {
	serial++
	seed := [10]byte{9: 0}
	seed[5], seed[6] = serial, byte(len(dest))
	ev := &seawall.Event{ID: seawall.NewEventID(time.Now(), &fixed{seed[:]}), Body: []byte("{}")}
	return store.Claimed{
		Delivery: seawall.Delivery{ID: ev.ID.Delivery(1), Destination: dest, System: dest, Due: time.Now()},
		Event:    ev,
	}
}

type fixed struct{ b []byte }

func (f *fixed) Read(p []byte) (int, error) { return copy(p, f.b), nil }

func delivered(context.Context, *store.Claimed) store.Settlement {
	return store.Settlement{State: seawall.Delivered}
}

// start runs a runner over targets of concurrency 2; stop ends it and waits.
func start(m *memory, deliver func(context.Context, *store.Claimed) store.Settlement, names ...string) (r *Runner, stop func()) {
	return startWith(m, deliver, func() (ts []Target) {
		for _, n := range names {
			ts = append(ts, Target{Name: n, Lane: store.Lane{System: n}, Concurrency: 2})
		}
		return ts
	})
}

func startWith(m *memory, deliver func(context.Context, *store.Claimed) store.Settlement, targets func() []Target) (r *Runner, stop func()) {
	r = New(Options{
		Store: m, Node: "n1", Deliver: deliver, Targets: targets,
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Drain: 30 * time.Second,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	return r, func() { cancel(); <-done }
}

func TestBacklogDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 50)
		_, stop := start(m, delivered, "a")
		synctest.Wait()
		stop()
		if got := m.count(seawall.Delivered); got != 50 {
			t.Errorf("delivered %d of 50", got)
		}
		if len(m.owner) != 0 {
			t.Error("lanes were not given back")
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 20)
		var now, most int
		var mu sync.Mutex
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		stop()
		if most != 2 || m.count(seawall.Delivered) != 20 {
			t.Errorf("at most %d at once, %d delivered; want 2 and 20", most, m.count(seawall.Delivered))
		}
	})
}

func TestG7_HungDestinationHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("hung", 100)
		m.add("well", 100)
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			if c.Delivery.Destination == "hung" {
				<-ctx.Done()
				return store.Settlement{State: seawall.Pending, Due: time.Now().Add(time.Minute)}
			}
			return store.Settlement{State: seawall.Delivered}
		}, "hung", "well")
		synctest.Wait()
		if got := m.count(seawall.Delivered); got != 100 {
			t.Errorf("delivered %d of 100 beside a hung destination", got)
		}
		stop()
	})
}

func TestRetryComesWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 1)
		var at []time.Duration
		began := time.Now()
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			at = append(at, time.Since(began))
			if len(at) == 3 {
				return store.Settlement{State: seawall.Delivered}
			}
			return store.Settlement{State: seawall.Pending, Due: time.Now().Add(90 * time.Second)}
		}, "a")
		time.Sleep(10 * time.Minute)
		stop()
		want := []time.Duration{0, 90 * time.Second, 180 * time.Second}
		if len(at) != 3 {
			t.Fatalf("tried at %v, want %v", at, want)
		}
		for i := range want {
			if d := at[i] - want[i]; d < 0 || d > 2*time.Second {
				t.Errorf("try %d at %v, want %v", i+1, at[i], want[i])
			}
		}
	})
}

func TestPausedDestinationWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.gates["a"] = seawall.Paused
		m.add("a", 5)
		r, stop := start(m, delivered, "a")
		time.Sleep(time.Minute)
		if got := m.count(seawall.Delivered); got != 0 {
			t.Errorf("a paused destination got %d", got)
		}
		m.mu.Lock()
		m.gates["a"] = seawall.Open
		m.mu.Unlock()
		r.Refresh()
		synctest.Wait()
		if got := m.count(seawall.Delivered); got != 5 {
			t.Errorf("after resume: delivered %d of 5", got)
		}
		stop()
	})
}

func TestGoneDestinationIsTriedNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 30)
		var mu sync.Mutex
		tries := 0
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			mu.Lock()
			tries++
			mu.Unlock()
			m.mu.Lock()
			m.gates["a"] = seawall.Disabled // as the store does in the same transaction
			m.mu.Unlock()
			return store.Settlement{State: seawall.Pending, Due: time.Now(), Disable: "410 Gone"}
		}, "a")
		time.Sleep(time.Minute)
		stop()
		if tries > 2 {
			t.Errorf("%d tries after 410, want no more than were in flight (2)", tries)
		}
	})
}

func TestStopWaitsForAttemptsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 10)
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			select {
			case <-ctx.Done():
				return store.Settlement{State: seawall.Pending, Due: time.Now(), Reason: "cut off"}
			case <-time.After(25 * time.Second): // longer than a lease
				return store.Settlement{State: seawall.Delivered}
			}
		}, "a")
		synctest.Wait()
		stop()
		if got := m.count(seawall.Delivered); got != 2 || len(m.settled) != 2 {
			t.Errorf("settled %d, delivered %d; want the 2 in flight delivered and nothing started after", len(m.settled), got)
		}
	})
}

func TestStopCutsOffWhatOutlastsTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 1)
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			<-ctx.Done()
			return store.Settlement{State: seawall.Pending, Due: time.Now(), Reason: "cut off"}
		}, "a")
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("stop took %v, want the drain of 30 s", took)
		}
		if m.count(seawall.Pending) != 1 {
			t.Error("the attempt that was cut off is not recorded")
		}
	})
}

func TestG4_LostLeaseCutsOffAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 1)
		var cut time.Duration
		began := time.Now()
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			<-ctx.Done()
			cut = time.Since(began)
			return store.Settlement{State: seawall.Pending, Due: time.Now()}
		}, "a")
		synctest.Wait()
		m.mu.Lock()
		m.lost = true
		for l, o := range m.owner { // another node takes over
			o.Token += 100
			m.owner[l] = o
		}
		m.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if cut == 0 || cut > leaseTTL {
			t.Errorf("cut off after %v, want within the lease of %v", cut, leaseTTL)
		}
		if len(m.settled) != 0 {
			t.Error("an outcome was recorded under a lost lease")
		}
		stop()
	})
}

func TestOutcomesSurviveAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.broken = errors.New("disk full")
		m.add("a", 3)
		tries := 0
		var mu sync.Mutex
		_, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			mu.Lock()
			defer mu.Unlock()
			tries++
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		time.Sleep(time.Minute)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		stop()
		if tries != 3 || m.count(seawall.Delivered) != 3 {
			t.Errorf("%d tries, %d recorded; want 3 and 3: nothing sent twice, nothing forgotten", tries, m.count(seawall.Delivered))
		}
	})
}

func TestReservedDeliveryIsNotClaimedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		seen := map[seawall.DeliveryID]int{}
		var mu sync.Mutex
		r, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			mu.Lock()
			seen[c.Delivery.ID]++
			mu.Unlock()
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		synctest.Wait()
		for i := range 100 {
			c := fresh("a")
			batch := []store.Acceptance{{Event: c.Event, Deliveries: []seawall.Delivery{c.Delivery}}}
			accepted := r.Reserve(batch)
			m.mu.Lock()
			m.pending["a"] = append(m.pending["a"], c) // the commit
			m.mu.Unlock()
			r.Wake("a") // a claim at the worst moment
			if i%2 == 0 {
				synctest.Wait()
			}
			accepted([]store.Accepted{{Verdict: seawall.New, Event: c.Event.ID}})
		}
		synctest.Wait()
		stop()
		if len(seen) != 100 {
			t.Errorf("%d of 100 delivered", len(seen))
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%v tried %d times", id, n)
			}
		}
	})
}

func TestReservationOfADuplicateIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r, stop := start(m, delivered, "a")
		synctest.Wait()
		c := fresh("a")
		batch := []store.Acceptance{{Event: c.Event, Deliveries: []seawall.Delivery{c.Delivery}}}
		r.Reserve(batch)([]store.Accepted{{Verdict: seawall.Duplicate}})
		r.Reserve(batch)(nil)
		synctest.Wait()
		if len(m.settled) != 0 {
			t.Error("a duplicate was sent")
		}
		if q := r.queues["a"]; len(q.busy) != 0 || q.bytes.Load() != 0 {
			t.Errorf("left in hand: %d deliveries, %d bytes", len(q.busy), q.bytes.Load())
		}
		stop()
	})
}

func TestRemovedTargetIsHalted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var removed atomic.Bool
		r, stop := startWith(m, delivered, func() []Target {
			ts := []Target{{Name: "b", Lane: store.Lane{System: "b"}, Concurrency: 1}}
			if !removed.Load() {
				ts = append(ts, Target{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 1})
			}
			return ts
		})
		synctest.Wait()
		removed.Store(true)
		r.Refresh()
		synctest.Wait()
		m.add("a", 1)
		m.add("b", 1)
		r.Wake("a")
		r.Wake("b")
		time.Sleep(time.Minute)
		stop()
		if got := fmt.Sprint(len(m.pending["a"]), len(m.pending["b"])); got != "1 0" {
			t.Errorf("pending of a and b: %s, want 1 0", got)
		}
	})
}

func TestAcceptedBeforeTheQueueStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var known atomic.Bool
		r, stop := startWith(m, delivered, func() []Target {
			if !known.Load() {
				return nil
			}
			return []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 1}}
		})
		synctest.Wait()
		c := fresh("a")
		accepted := r.Reserve([]store.Acceptance{{Event: c.Event, Deliveries: []seawall.Delivery{c.Delivery}}})
		known.Store(true)
		r.Refresh()
		synctest.Wait() // the queue starts, and finds nothing
		m.mu.Lock()
		m.pending["a"] = append(m.pending["a"], c) // the commit
		m.mu.Unlock()
		accepted([]store.Accepted{{Verdict: seawall.New, Event: c.Event.ID}})
		synctest.Wait()
		if got := m.count(seawall.Delivered); got != 1 {
			t.Error("the delivery waits for the next poll")
		}
		stop()
	})
}

func TestG4_WhatIsSettledDuringAClaimIsNotClaimedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var tries atomic.Int32
		m.add("a", 1)
		began := make(chan struct{})
		r, stop := start(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			tries.Add(1)
			<-began
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		synctest.Wait() // it is being tried
		slow := make(chan struct{})
		m.mu.Lock()
		m.slow = slow
		m.mu.Unlock()
		r.Wake("a")
		synctest.Wait() // a claim holds a snapshot in which it is pending
		close(began)
		synctest.Wait() // it is delivered and settled
		if m.count(seawall.Delivered) != 1 {
			t.Fatal("not settled")
		}
		m.mu.Lock()
		m.slow = nil
		m.mu.Unlock()
		close(slow)
		synctest.Wait()
		stop()
		if n := tries.Load(); n != 1 {
			t.Errorf("tried %d times", n)
		}
	})
}

func TestG4_TargetThatComesBackWaitsForItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 1)
		var removed atomic.Bool
		var tries atomic.Int32
		answer := make(chan struct{})
		r, stop := startWith(m, func(ctx context.Context, c *store.Claimed) store.Settlement {
			tries.Add(1)
			<-answer
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target {
			if removed.Load() {
				return nil
			}
			return []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 1}}
		})
		synctest.Wait()
		removed.Store(true)
		r.Refresh()
		synctest.Wait()
		removed.Store(false)
		r.Refresh()
		time.Sleep(10 * time.Second)
		if n := tries.Load(); n != 1 {
			t.Errorf("in flight %d times at once", n)
		}
		close(answer)
		time.Sleep(10 * time.Second)
		stop()
		if n := tries.Load(); n != 1 || m.count(seawall.Delivered) != 1 {
			t.Errorf("tried %d times, delivered %d", n, m.count(seawall.Delivered))
		}
	})
}
