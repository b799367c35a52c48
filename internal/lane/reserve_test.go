package lane

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestReservedDeliveryIsNotClaimedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		seen := map[seawall.DeliveryID]int{}
		var mu sync.Mutex
		r, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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
			r.Wake(store.Signal{Destination: "a"}) // a claim at the worst moment
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
		if q := r.queues[keyFor("a")]; len(q.busy) != 0 || q.bytes.Load() != 0 {
			t.Errorf("left in hand: %d deliveries, %d bytes", len(q.busy), q.bytes.Load())
		}
		stop()
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

// The commit of a reserved delivery may end after another queue has taken the
// place of the one it was reserved in, and has claimed.
func TestReservedInAQueueThatWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var gone atomic.Bool
		r, stop := startWith(m, delivered, func() []Target {
			if gone.Load() {
				return nil
			}
			return []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 1}}
		})
		synctest.Wait()
		c := fresh("a")
		accepted := r.Reserve([]store.Acceptance{{Event: c.Event, Deliveries: []seawall.Delivery{c.Delivery}}})
		for _, away := range []bool{true, false} {
			gone.Store(away)
			r.Refresh()
			synctest.Wait()
		}
		m.mu.Lock()
		m.pending["a"] = append(m.pending["a"], c) // the commit
		m.mu.Unlock()
		accepted([]store.Accepted{{Verdict: seawall.New, Event: c.Event.ID}})
		synctest.Wait()
		if m.count(seawall.Delivered) != 1 {
			t.Error("it waits for the next poll")
		}
		stop()
	})
}

// What waits behind a claim that failed still goes first.
func TestNothingIsReservedAfterAClaimThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.unread = seawall.Errorf(seawall.ErrUnavailable, "the store is away")
		r, stop := start(m, delivered, "a")
		synctest.Wait()
		if q := r.queues[keyFor("a")]; q.reserve(fresh("a").Delivery.ID, 2) {
			t.Error("a fresh delivery jumped the queue")
		}
		stop()
	})
}
