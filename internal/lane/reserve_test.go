package lane

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// accept takes fresh deliveries of a destination the way receiving does, and
// returns them as they were committed.
func accept(m *memory, r *Runner, dest string, n int) (out []seawall.Delivery) {
	for range n {
		c := fresh(dest)
		batch := []store.Acceptance{{Event: c.Event, Deliveries: []seawall.Delivery{c.Delivery}}}
		accepted := r.Reserve(batch)
		c.Delivery = batch[0].Deliveries[0]
		m.mu.Lock()
		m.pending[dest] = append(m.pending[dest], c) // the commit
		m.mu.Unlock()
		accepted([]store.Accepted{{Verdict: seawall.New, Event: c.Event.ID}})
		out = append(out, c.Delivery)
	}
	return out
}

// shards are n lanes of a destination, and one more that the configuration no
// longer has.
func shards(dest string, n int) (ts []Target) {
	for i := range n + 1 {
		ts = append(ts, Target{Name: dest, Lane: store.Lane{System: dest, Shard: i}, Concurrency: 2, Stray: i == n})
	}
	return ts
}

// What nothing orders stays on the node that accepted it, in one of the lanes
// that it has: nobody needs to be told, and nothing is read back.
func TestUnorderedDeliveriesStayOnTheirNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, shards("a", 4)...)
		wanted := func(context.Context) Wanted { return Wanted{Revision: 1, Targets: c.targets} }
		free := func(*seawall.Delivery) bool { return true }
		n1, stop1 := startNode(c.memory, "n1", Options{Wanted: wanted, Deliver: c.deliver("n1"), Anywhere: free})
		n2, stop2 := startNode(c.memory, "n2", Options{Wanted: wanted, Deliver: c.deliver("n2"), Anywhere: free})
		time.Sleep(20 * time.Second)
		c.mu.Lock()
		c.told = nil
		c.mu.Unlock()
		used := map[int]bool{}
		for name, r := range map[string]*Runner{"n1": n1, "n2": n2} {
			for _, d := range accept(c.memory, r, "a", 40) {
				c.mu.Lock()
				owner := c.owner[laneOf(&d)].Node
				c.mu.Unlock()
				if owner != name {
					t.Errorf("accepted on %s, put into a lane of %q", name, owner)
				}
				if d.Shard == 4 {
					t.Error("put into a lane that the configuration no longer has")
				}
				used[d.Shard] = true
			}
		}
		time.Sleep(10 * time.Second)
		c.done(80, 0)
		if c.by["n1"] != 40 || c.by["n2"] != 40 || len(used) != 4 {
			t.Errorf("attempts by node: %v, in the shards %v", c.by, used)
		}
		if len(c.told) > 0 {
			t.Errorf("told the others: %v", c.told)
		}
		stop1()
		stop2()
	})
}

// What is ordered stays in the lane of its entity, whoever has that.
func TestG5_OrderedDeliveriesKeepTheirShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, shards("a", 4)...)
		wanted := func(context.Context) Wanted { return Wanted{Revision: 1, Targets: c.targets} }
		ordered := func(*seawall.Delivery) bool { return false }
		r, stop := startNode(c.memory, "n1", Options{Wanted: wanted, Deliver: c.deliver("n1"), Anywhere: ordered})
		time.Sleep(5 * time.Second)
		for _, d := range accept(c.memory, r, "a", 20) {
			if d.Shard != 0 {
				t.Errorf("planned for shard 0, put into %d", d.Shard)
			}
		}
		time.Sleep(10 * time.Second)
		c.done(20, 0)
		stop()
	})
}

// A destination that answers slowly for a moment does not send what comes
// meanwhile through the store and back.
func TestFreshDeliveriesGatherInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		hang := make(chan struct{})
		r, stop := start(m, func(context.Context, *store.Claimed, Pass) store.Settlement {
			<-hang
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		synctest.Wait()
		claims := m.claims["a"]
		accept(m, r, "a", 200) // the hand of a claim is 8
		synctest.Wait()
		if q := r.queues[keyFor("a")]; len(q.busy) != 200 || q.full {
			t.Errorf("%d of 200 in hand", len(q.busy))
		}
		close(hang)
		time.Sleep(time.Second)
		if got := m.count(seawall.Delivered); got != 200 || m.claims["a"] != claims {
			t.Errorf("%d of 200 delivered, %d claims made", got, m.claims["a"]-claims)
		}
		stop()
	})
}

// However many destinations are stuck and however much comes for them, what is in
// hand is bounded, and leaves those that are not what they work with.
func TestG8_FreshDeliveriesInHandAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var names []string
		for i := range 60 {
			names = append(names, fmt.Sprint("stuck-", i))
		}
		r, stop := start(m, func(ctx context.Context, _ *store.Claimed, _ Pass) store.Settlement {
			<-ctx.Done()
			return store.Settlement{State: seawall.Pending, Due: time.Now()}
		}, append(names, "well")...)
		synctest.Wait()
		fill := func(name string) (taken int) {
			ev := &seawall.Event{ID: seawall.NewEventID(time.Now(), rand.Reader)}
			for i := 1; i < seawall.MaxDeliveries && r.queues[keyFor(name)].reserve(ev.ID.Delivery(i), bulk(ev)); i++ {
				taken++
			}
			return taken
		}
		if n := fill(names[0]); n*overhead > handBytes || n < 1000 {
			t.Errorf("the first takes %d in hand", n)
		}
		for _, name := range names[1:] {
			fill(name)
		}
		if held := r.held.Load(); held > r.Bytes/2+1<<20 {
			t.Errorf("%d MiB in hand, of %d", held>>20, r.Bytes>>20)
		}
		if n := fill("well"); n < r.queues[keyFor("well")].capacity() {
			t.Errorf("room for %d is left, a queue works with %d", n, r.queues[keyFor("well")].capacity())
		}
		stop()
	})
}
