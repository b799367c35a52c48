package lane

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// unsafe is one target whose attempts are not safe to repeat.
func unsafe(concurrency int) []Target {
	return []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: concurrency, Unsafe: true}}
}

func TestG6_IntentIsCommittedBeforeTheFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 100)
		slowly := make(chan struct{})
		m.slowly = slowly
		var tries atomic.Int32
		_, stop := startWith(m, func(_ context.Context, c *store.Claimed, _ Pass) store.Settlement {
			tries.Add(1)
			if !m.begun(c.Delivery.ID) {
				t.Errorf("%s is sent without an intent", c.Delivery.ID)
			}
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target { return unsafe(8) })
		synctest.Wait()
		if n := tries.Load(); n != 0 {
			t.Errorf("%d attempts before a commit", n)
		}
		m.mu.Lock()
		m.slowly = nil
		m.mu.Unlock()
		close(slowly)
		synctest.Wait()
		stop()
		if n := m.count(seawall.Delivered); n != 100 || tries.Load() != 100 || len(m.sending) != 0 {
			t.Errorf("delivered %d of 100 by %d attempts, %d still begun", n, tries.Load(), len(m.sending))
		}
	})
}

// Those that wait for a commit share the next one.
func TestIntentsShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 8)
		slowly := make(chan struct{})
		m.slowly = slowly
		_, stop := startWith(m, delivered, func() []Target { return unsafe(8) })
		synctest.Wait() // the first leads, seven wait
		close(slowly)
		synctest.Wait()
		stop()
		if m.begins != 2 || m.count(seawall.Delivered) != 8 {
			t.Errorf("%d commits for %d deliveries, want 2 for 8", m.begins, m.count(seawall.Delivered))
		}
	})
}

func TestG6_WhatADeadNodeBeganIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(6)...)
		for i := range c.targets {
			c.targets[i].Unsafe = true
		}
		c.take = time.Minute
		_, stop1 := c.start("n1")
		_, stop2 := c.start("n2")
		time.Sleep(10 * time.Second)
		c.all(2)
		time.Sleep(6 * time.Second)
		c.mu.Lock()
		c.cut["n1"] = true
		c.mu.Unlock()
		time.Sleep(5 * time.Minute)
		c.done(6, 6) // those of the other three lanes
		c.mu.Lock()
		if len(c.unknown) != 6 {
			t.Errorf("%d held as unknown, want the 6 that were in flight", len(c.unknown))
		}
		c.mu.Unlock()
		for _, id := range c.unknown {
			if c.tries[id] != 1 {
				t.Errorf("%s was tried %d times", id, c.tries[id])
			}
		}
		stop1()
		stop2()
	})
}

// What was begun and then not sent is not left to a person.
func TestG6_WhatWasBegunAndNotSentIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 2)
		slowly := make(chan struct{})
		m.slowly = slowly
		var tries atomic.Int32
		r, stop := startWith(m, func(context.Context, *store.Claimed, Pass) store.Settlement {
			tries.Add(1)
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target { return unsafe(2) })
		gate := func(g seawall.Gate) {
			m.mu.Lock()
			m.gates["a"] = g
			m.mu.Unlock()
			r.Refresh()
			synctest.Wait()
		}
		synctest.Wait()
		gate(seawall.Paused) // while the intent is being committed
		close(slowly)
		synctest.Wait()
		if tries.Load() != 0 || len(m.sending) != 0 || m.count(seawall.Pending) != 2 {
			t.Errorf("%d attempts, %d begun, %d put back; want 0, 0 and 2", tries.Load(), len(m.sending), m.count(seawall.Pending))
		}
		gate(seawall.Open)
		if m.count(seawall.Delivered) != 2 {
			t.Errorf("%d delivered after the gate was opened", m.count(seawall.Delivered))
		}
		stop()
	})
}

// A commit whose answer was lost may stand: the delivery is put back, for it was
// not sent.
func TestG6_IntentThatMayStandIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.unbegun = seawall.Errorf(seawall.ErrUnavailable, "the answer was lost")
		m.add("a", 3)
		var tries atomic.Int32
		_, stop := startWith(m, func(context.Context, *store.Claimed, Pass) store.Settlement {
			tries.Add(1)
			m.mu.Lock()
			m.unbegun = nil
			m.mu.Unlock()
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target { return unsafe(1) })
		time.AfterFunc(time.Minute, func() {
			m.mu.Lock()
			m.unbegun = nil
			m.mu.Unlock()
		})
		time.Sleep(59 * time.Second)
		if tries.Load() != 0 {
			t.Errorf("%d sent though the intent may not stand", tries.Load())
		}
		time.Sleep(time.Minute)
		stop()
		if tries.Load() != 3 || m.count(seawall.Delivered) != 3 || len(m.unknown) != 0 {
			t.Errorf("%d attempts, %d delivered, %d unknown; want 3, 3, 0", tries.Load(), m.count(seawall.Delivered), len(m.unknown))
		}
	})
}

func TestDeliveryCanceledBeforeItsIntentIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		ids := m.add("a", 2)
		m.sending[ids[0]] = store.Lane{System: "other"} // stands for one that is no longer pending
		var tries atomic.Int32
		r, stop := startWith(m, func(context.Context, *store.Claimed, Pass) store.Settlement {
			tries.Add(1)
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target { return unsafe(2) })
		synctest.Wait()
		q := r.queues[keyFor("a")]
		if !q.reserve(ids[0], 2) || !q.handOver(entry{store.Claimed{Delivery: seawall.Delivery{ID: ids[0]}, Event: &seawall.Event{}}, 2, time.Now()}) {
			t.Fatal("not taken in hand")
		}
		synctest.Wait()
		if tries.Load() != 1 || len(q.busy) != 0 {
			t.Errorf("%d attempts, %d in hand; want the other's one and none", tries.Load(), len(q.busy))
		}
		stop()
	})
}

// What only asks, or only decides, begins nothing: there is nothing that a crash
// would leave in doubt.
func TestG6_OnlySendingNeedsAnIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 3)
		for i, s := range []seawall.Step{seawall.Send, seawall.Doubt, seawall.Check} {
			m.pending["a"][i].Delivery.Step = s
		}
		begun := map[seawall.Step]bool{}
		var mu sync.Mutex
		_, stop := startWith(m, func(_ context.Context, c *store.Claimed, _ Pass) store.Settlement {
			mu.Lock()
			defer mu.Unlock()
			begun[c.Delivery.Step] = m.begun(c.Delivery.ID)
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target { return unsafe(2) })
		synctest.Wait()
		stop()
		if len(begun) != 3 || !begun[seawall.Send] || begun[seawall.Doubt] || begun[seawall.Check] {
			t.Errorf("begun: %v", begun)
		}
	})
}

// What a settlement puts into another queue is taken up at once, and who asked
// to be told is.
func TestSettledIsToldAndFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		id := m.add("a", 1)[0]
		var told []seawall.DeliveryID
		b := store.Lane{System: "b"}
		_, stop := startNode(m, "n1", Options{
			Deliver: func(_ context.Context, c *store.Claimed, _ Pass) store.Settlement {
				return store.Settlement{State: seawall.Pending, Due: time.Now().Add(time.Hour), Move: &store.Place{Lane: b, Destination: "b"}}
			},
			Wanted: func(context.Context) Wanted {
				return Wanted{Targets: []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 1}}}
			},
			Settled: func(ss []store.Settlement, done []store.Settled) { told = append(told, ss[0].Delivery) },
		})
		synctest.Wait()
		m.mu.Lock()
		defer func() { m.mu.Unlock(); stop() }()
		if len(told) != 1 || told[0] != id {
			t.Errorf("told of %v", told)
		}
		want := store.Signal{Lane: b, Destination: "b"}
		if !slices.Contains(m.told, want) {
			t.Errorf("told the others %v, want %v among them", m.told, want)
		}
	})
}
