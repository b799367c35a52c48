package lane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
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

// Six versions in every order of arrival, within the window: delivered in theirs.
func TestG5_SequenceWithinItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 10*time.Millisecond)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		var all [][]int
		permute([]int{1, 2, 3, 4, 5, 6}, 0, func(p []int) { all = append(all, slices.Clone(p)) })
		for i := range 6 {
			for n, p := range all {
				d := lined("a", fmt.Sprint("order/", n), seawall.Sequence, p[i])
				d.Delivery.Due = time.Now().Add(2 * time.Second)
				m.join(r, d)
			}
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for n := range all {
			c.want(fmt.Sprint("order/", n), "1", "2", "3", "4", "5", "6")
		}
		stop()
	})
}

func permute(p []int, i int, f func([]int)) {
	if i == len(p) {
		f(p)
	}
	for j := i; j < len(p); j++ {
		p[i], p[j] = p[j], p[i]
		permute(p, i+1, f)
		p[i], p[j] = p[j], p[i]
	}
}

// The window ends when it should: on its own node at once, on another's word
// before long, and if that is lost by the poll.
func TestG5_SettleWindowsEndOnTime(t *testing.T) {
	for name, late := range map[string]time.Duration{"here": 50 * time.Millisecond, "another": 300 * time.Millisecond, "lost": 5100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, c := newMemory(), newConsumer(t, 0)
				r, stop := startWith(m, c.deliver, timed("a"))
				synctest.Wait()
				began := time.Now()
				d := lined("a", "order/1", seawall.Sequence, 1)
				d.Delivery.Due = began.Add(2 * time.Second)
				switch name {
				case "here":
					m.join(r, d)
				case "another":
					m.join(nil, d)
					r.Wake(store.Signal{Lane: laneOf(&d.Delivery), Destination: "a"})
				case "lost":
					m.join(nil, d)
				}
				time.Sleep(10 * time.Second)
				c.want("order/1", "1")
				if after := c.at["order/1"][0].Sub(began); after < 2*time.Second || after > 2*time.Second+late {
					t.Errorf("delivered after %s", after)
				}
				stop()
			})
		})
	}
}

// A queue in which nothing is held for a time asks once.
func TestQueuesWithoutTimesDoNotAskForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		_, stop := start(m, delivered, "a")
		m.add("a", 20)
		time.Sleep(time.Hour)
		if n := m.asked("a"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		stop()
	})
}

// Times that are close together share one ask.
func TestTimesCloseTogetherShareAnAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		asked := m.asked("a")
		for i := range 1000 {
			d := lined("a", fmt.Sprint("order/", i), seawall.Sequence, 1)
			d.Delivery.Due = time.Now().Add(time.Second)
			m.join(r, d)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := m.asked("a") - asked; n > 60 {
			t.Errorf("asked %d times in a second", n)
		}
		if got := m.count(seawall.Delivered); got != 1000 {
			t.Errorf("delivered %d", got)
		}
		stop()
	})
}

func TestRipenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		m.unripe = seawall.Errorf(seawall.ErrUnavailable, "the store is away")
		r, stop := startWith(m, c.deliver, timed("a"))
		d := lined("a", "order/1", seawall.Sequence, 1)
		d.Delivery.Due = time.Now().Add(time.Second)
		m.join(r, d)
		time.Sleep(10 * time.Second)
		if n := m.asked("a"); n > 15 {
			t.Errorf("asked %d times", n)
		}
		m.mu.Lock()
		m.unripe = nil
		m.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		c.want("order/1", "1")
		stop()
	})
}

// A dead one that is passed over in time lets the others go on then.
func TestG5_LinesArePassedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		r, stop := startWith(m, func(ctx context.Context, d *store.Claimed, p Pass) store.Settlement {
			if d.Event.Version == "1" {
				return store.Settlement{State: seawall.Dead, Pass: time.Now().Add(3300 * time.Millisecond)}
			}
			return c.deliver(ctx, d, p)
		}, timed("a"))
		synctest.Wait()
		began := time.Now()
		m.join(r, lined("a", "order/1", seawall.Sequence, 1))
		m.join(r, lined("a", "order/1", seawall.Sequence, 2))
		time.Sleep(3 * time.Second)
		c.want("order/1")
		time.Sleep(10 * time.Second)
		c.want("order/1", "2")
		if after := c.at["order/1"][0].Sub(began); after > 3400*time.Millisecond {
			t.Errorf("after %s", after)
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

// What ends for lack of time is settled by its owner, with what that is, and again
// until it is written.
func TestG2_WhatEndsForLackOfTimeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		m.broken = seawall.Errorf(seawall.ErrUnavailable, "the store is away")
		var told atomic.Int32
		r, stop := startNode(m, "n1", Options{
			Deliver: c.deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: timed("a")()} },
			Over: func(_ context.Context, d *seawall.Delivery) (store.Settlement, error) {
				if told.Add(1) == 1 {
					return store.Settlement{}, seawall.Errorf(seawall.ErrUnavailable, "its event is not to be had")
				}
				s := store.Settlement{State: seawall.Held, Reason: d.Reason, Due: order.Never}
				if d.OnWait == seawall.WaitDead {
					s.State, s.Due = seawall.Dead, time.Time{}
				}
				return s, nil
			},
		})
		synctest.Wait()
		var ids []seawall.DeliveryID
		for _, then := range []seawall.WaitPolicy{seawall.WaitDead, seawall.WaitHold, seawall.WaitDeliver} {
			d := lined("a", fmt.Sprint("order/", then), seawall.Sequence, 1)
			d.Delivery.After, d.Delivery.OnWait, d.Delivery.Due = []string{"paid"}, then, time.Now().Add(time.Minute)
			ids = append(ids, m.join(r, d)[0].ID)
		}
		time.Sleep(59 * time.Second)
		if n := told.Load(); n != 0 {
			t.Errorf("told %d before its time", n)
		}
		time.Sleep(30 * time.Second)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		time.Sleep(time.Minute)
		for i, want := range []seawall.State{seawall.Dead, seawall.Held, seawall.Delivered} {
			if w := m.member(ids[i]); w.State != want {
				t.Errorf("%s is %s, want %s", ids[i], w.State, want)
			}
		}
		if w := m.member(ids[1]); !w.Due.Equal(order.Never) {
			t.Errorf("it is told again at %s", w.Due)
		}
		c.want("order/deliver", "1")
		stop()
	})
}

// What has become late with a settlement is told before long.
func TestG2_WhatBecomesLateIsToldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, time.Second)
		var told atomic.Int64
		r, stop := startNode(m, "n1", Options{
			Deliver: c.deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: timed("a")()} },
			Over: func(_ context.Context, d *seawall.Delivery) (store.Settlement, error) {
				told.Add(1)
				return store.Settlement{State: seawall.Held, Reason: d.Reason, Due: order.Never}, nil
			},
		})
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		for _, v := range []int{2, 1} {
			d := lined("a", "order/1", seawall.Sequence, v)
			d.Delivery.OnLate = seawall.LateHold
			m.join(r, d)
		}
		time.Sleep(900 * time.Millisecond)
		if n := told.Load(); n != 0 {
			t.Errorf("told %d before it was late", n)
		}
		time.Sleep(400 * time.Millisecond)
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times", n)
		}
		time.Sleep(time.Minute)
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times", n)
		}
		c.want("order/1", "2")
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
