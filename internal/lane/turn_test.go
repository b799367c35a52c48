package lane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// consumer is a destination that takes its time, and watches that of an entity
// one delivery is in flight.
type consumer struct {
	t    *testing.T
	take time.Duration

	mu     sync.Mutex
	flying map[string]int
	took   map[string][]string // versions by entity
	at     map[string][]time.Time
	fail   map[string]int // versions that are refused so often
}

func newConsumer(t *testing.T, take time.Duration) *consumer {
	return &consumer{t: t, take: take, flying: map[string]int{}, took: map[string][]string{}, at: map[string][]time.Time{}, fail: map[string]int{}}
}

func (c *consumer) deliver(_ context.Context, d *store.Claimed, _ Pass) store.Settlement {
	entity, version := d.Delivery.Entity, d.Event.Version
	c.mu.Lock()
	if c.flying[entity]++; c.flying[entity] > 1 {
		c.t.Errorf("two of %s are in flight", entity)
	}
	c.mu.Unlock()
	time.Sleep(c.take)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying[entity]--
	if c.fail[version] > 0 {
		c.fail[version]--
		return store.Settlement{State: seawall.Pending, Due: time.Now().Add(10 * time.Second), Attempt: &seawall.Attempt{}}
	}
	c.took[entity] = append(c.took[entity], version)
	c.at[entity] = append(c.at[entity], time.Now())
	return store.Settlement{State: seawall.Delivered, Attempt: &seawall.Attempt{}}
}

func (c *consumer) want(entity string, versions ...string) {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.took[entity]; !slices.Equal(got, versions) {
		c.t.Errorf("%s took %v, want %v", entity, got, versions)
	}
}

func timed(names ...string) func() []Target {
	return func() (ts []Target) {
		for _, n := range names {
			ts = append(ts, Target{Name: n, Lane: store.Lane{System: n}, Concurrency: 4, Timed: true})
		}
		return ts
	}
}

// Whose turn it is comes with the settlement before it: without a claim.
func TestG5_TurnsFollowEachOtherWithoutAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 100*time.Millisecond)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		claims := m.claimed("a")
		var want []string
		for v := 1; v <= 10; v++ {
			m.join(r, lined("a", "order/1", seawall.Sequence, v), lined("a", "order/2", seawall.Sequence, v))
			want = append(want, fmt.Sprint(v))
		}
		time.Sleep(2 * time.Second)
		c.want("order/1", want...)
		c.want("order/2", want...)
		if n := m.claimed("a") - claims; n > 0 {
			t.Errorf("%d claims", n)
		}
		if m.begunSoFar() != 0 {
			t.Errorf("%d begun: a fresh head needs no commit of its own", m.begunSoFar())
		}
		q := r.queues[keyFor("a")]
		if len(q.busy) != 0 || q.bytes.Load() != 0 || len(q.under) != 0 {
			t.Errorf("left in hand: %d, %d bytes, %d under way", len(q.busy), q.bytes.Load(), len(q.under))
		}
		stop()
	})
}

// What waits in the store goes first: turns that follow each other do not keep the
// others out.
func TestG7_LongLinesKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 100*time.Millisecond)
		for v := 1; v <= 200; v++ {
			for e := range 20 { // more than the queue holds in hand
				m.join(nil, lined("a", fmt.Sprint("hot/", e), seawall.Sequence, v))
			}
		}
		for e := range 20 {
			m.join(nil, lined("a", fmt.Sprint("cold/", e), seawall.Sequence, 1))
		}
		_, stop := startWith(m, c.deliver, timed("a"))
		time.Sleep(20 * time.Second) // 800 of 4,020
		for e := range 20 {
			c.want(fmt.Sprint("cold/", e), "1")
		}
		stop()
	})
}

// What a claim reads as pending, before its queue knows that its turn came with a
// settlement, is not tried for both.
func TestG4_TurnThatAClaimReadsTooIsTriedOnce(t *testing.T) {
	for _, after := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} { // while it is tried, or after
		synctest.Test(t, func(t *testing.T) {
			m, c := newMemory(), newConsumer(t, time.Second)
			r, stop := startWith(m, c.deliver, timed("a"))
			synctest.Wait()
			m.join(r, lined("a", "order/1", seawall.Sequence, 1), lined("a", "order/1", seawall.Sequence, 2))
			arrives := make(chan struct{})
			m.mu.Lock()
			m.wrote = sync.OnceFunc(func() {
				m.mu.Lock()
				m.arrives = arrives
				m.mu.Unlock()
				r.Wake(store.Signal{Destination: "a"})
				time.Sleep(10 * time.Millisecond) // it reads
			})
			m.mu.Unlock()
			time.Sleep(time.Second + after)
			close(arrives)
			time.Sleep(5 * time.Second)
			c.want("order/1", "1", "2")
			stop()
		})
	}
}

// Of those that waited for a delivery one at most is handed over: the queue looks for
// the others at once.
func TestG2_WhateverWaitedForOneGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		first := m.add("a", 1)[0]
		m.wrote = sync.OnceFunc(func() { m.add("a", 20) }) // they go on with it
		_, stop := startWith(m, func(_ context.Context, c *store.Claimed, _ Pass) store.Settlement {
			s := store.Settlement{State: seawall.Delivered, Attempt: &seawall.Attempt{}}
			if c.Delivery.ID == first {
				s.Done = []string{"order.created"}
			}
			return s
		}, timed("a"))
		defer stop()
		time.Sleep(time.Second)
		if n := m.count(seawall.Delivered); n != 21 {
			t.Errorf("%d delivered within a second", n)
		}
	})
}

// A canceled head that is still under way keeps the next one waiting until it has
// come to its end.
func TestG5_NextWaitsForWhatIsStillUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 3*time.Second)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		first := m.join(r, lined("a", "order/1", seawall.Sequence, 1))[0]
		m.join(r, lined("a", "order/1", seawall.Sequence, 2))
		time.Sleep(time.Second)
		m.end(first.ID)
		r.Wake(store.Signal{Destination: "a"})
		time.Sleep(10 * time.Second)
		c.want("order/1", "1", "2")
		if got := c.at["order/1"]; got[1].Sub(got[0]) > 3100*time.Millisecond {
			t.Errorf("the next one waited for %s", got[1].Sub(got[0]))
		}
		stop()
	})
}

// One whose outcome the store refuses holds nobody up once a person has ended it.
func TestG5_NextGoesOnAfterWhatCannotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		first := lined("a", "order/1", seawall.Sequence, 1)
		m.refuse = first.Delivery.ID
		m.join(r, first, lined("a", "order/1", seawall.Sequence, 2))
		time.Sleep(time.Second)
		m.end(first.Delivery.ID)
		time.Sleep(10 * time.Second)
		c.want("order/1", "1", "2")
		stop()
	})
}

// A head that waits for its next try lets an earlier one before it, and has its
// turn after that; it is begun, since its place may be taken.
func TestG5_ContestedHeadsAreBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		c.fail["2"] = 2
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		m.join(r, lined("a", "order/1", seawall.Sequence, 2))
		time.Sleep(5 * time.Second)
		if m.begunSoFar() != 0 {
			t.Error("the first try was begun")
		}
		m.join(r, lined("a", "order/1", seawall.Sequence, 1))
		time.Sleep(time.Second)
		c.want("order/1", "1")
		time.Sleep(30 * time.Second)
		c.want("order/1", "1", "2")
		if m.begunSoFar() == 0 {
			t.Error("no try after that was begun")
		}
		stop()
	})
}

// A head whose first try lasts keeps its turn, however long that is: what comes
// meanwhile waits, and is late where it is older.
func TestG5_AHeadThatIsUnderWayForLongKeepsItsTurn(t *testing.T) {
	for _, o := range []seawall.Ordering{seawall.Sequence, seawall.Latest} {
		synctest.Test(t, func(t *testing.T) {
			m, c := newMemory(), newConsumer(t, 20*time.Second)
			r, stop := startWith(m, c.deliver, timed("a"))
			synctest.Wait()
			m.join(r, lined("a", "order/1", o, 2))
			time.Sleep(10 * time.Second)
			v := 1
			if o == seawall.Latest {
				v = 3
			}
			other := lined("a", "order/1", o, v)
			m.join(r, other)
			if d := m.member(other.Delivery.ID); d.State != seawall.Held {
				t.Errorf("%s: the one that came meanwhile is %s", o, d.State)
			}
			time.Sleep(time.Minute)
			c.want("order/1", "2", fmt.Sprint(v))
			if o == seawall.Sequence && !m.member(other.Delivery.ID).Late {
				t.Error("the older one is not late")
			}
			stop()
		})
	}
}

// A head that fails while others came gives its turn up, and the one whose turn it is
// then is tried without a claim.
func TestG5_AHeadThatFailsYields(t *testing.T) {
	for o, want := range map[seawall.Ordering][]string{seawall.Sequence: {"1", "2"}, seawall.Latest: {"3"}} {
		synctest.Test(t, func(t *testing.T) {
			m, c := newMemory(), newConsumer(t, time.Second)
			c.fail["2"] = 1
			r, stop := startWith(m, c.deliver, timed("a"))
			synctest.Wait()
			m.join(r, lined("a", "order/1", o, 2))
			time.Sleep(500 * time.Millisecond)
			v := 1
			if o == seawall.Latest {
				v = 3
			}
			m.join(r, lined("a", "order/1", o, v))
			time.Sleep(1600 * time.Millisecond)
			c.want("order/1", want[0])
			time.Sleep(time.Minute)
			c.want("order/1", want...)
			stop()
		})
	}
}

// A head that was in its owner's hand when a newer one took its place is not sent.
func TestG5_ASupersededHeadIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		enter := make(chan struct{})
		r, stop := startNode(m, "n1", Options{
			Deliver: c.deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: timed("a")()} },
			Enter: func(ctx context.Context, _ store.Lane, _ string) (Pass, error) {
				select {
				case <-enter:
					return freely{}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			},
		})
		synctest.Wait()
		old := m.join(r, lined("a", "order/1", seawall.Latest, 1))[0]
		time.Sleep(7 * time.Second) // its system is waited for
		m.join(r, lined("a", "order/1", seawall.Latest, 2))
		if w := m.member(old.ID); w.State != seawall.Superseded {
			t.Fatalf("the old one is %s", w.State)
		}
		close(enter)
		time.Sleep(time.Second)
		c.want("order/1", "2")
		stop()
	})
}

// What was reserved and has not its turn is let go of; if its turn comes before
// that, it is not forgotten.
func TestG5_ReservedDeliveriesWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 100*time.Millisecond)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		m.join(r, lined("a", "order/1", seawall.Sequence, 1))
		d := lined("a", "order/1", seawall.Sequence, 2)
		batch := []store.Acceptance{{Event: d.Event, Deliveries: []seawall.Delivery{d.Delivery}}}
		accepted := r.Reserve(batch)
		m.mu.Lock()
		m.admit(d.Event, &batch[0].Deliveries[0])
		m.mu.Unlock()
		if batch[0].Deliveries[0].State != seawall.Held {
			t.Fatalf("it is %s", batch[0].Deliveries[0].State)
		}
		time.Sleep(time.Second) // its turn comes, while nobody knows yet that it was accepted
		accepted([]store.Accepted{{Verdict: seawall.New, Event: d.Event.ID}})
		time.Sleep(time.Second)
		c.want("order/1", "1", "2")
		if q := r.queues[keyFor("a")]; len(q.busy) != 0 || q.bytes.Load() != 0 {
			t.Errorf("left in hand: %d deliveries, %d bytes", len(q.busy), q.bytes.Load())
		}
		stop()
	})
}

// A node that dies leaves its lines to the next one, which goes on in order.
func TestG5_LinesGoOnOnAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 200*time.Millisecond)
		o := Options{Deliver: c.deliver, Wanted: func(context.Context) Wanted { return Wanted{Revision: 1, Targets: timed("a")()} }}
		r, stop1 := startNode(m, "n1", o)
		synctest.Wait()
		var want []string
		for v := 1; v <= 40; v++ {
			m.join(r, lined("a", "order/1", seawall.Sequence, v))
			want = append(want, fmt.Sprint(v))
		}
		time.Sleep(3 * time.Second)
		_, stop2 := startNode(m, "n2", o)
		stop1()
		time.Sleep(30 * time.Second)
		c.want("order/1", want...)
		stop2()
	})
}
