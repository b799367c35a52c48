package lane

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// gatekeeper lets workers in one by one, as it is told.
type gatekeeper struct {
	tickets chan struct{}
	mu      sync.Mutex
	out     int // passes not given back
}

func (g *gatekeeper) Enter(ctx context.Context, _ store.Lane, _ string) (Pass, error) {
	select {
	case <-g.tickets:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out++
	return leaving(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.out--
	}), nil
}

type leaving func()

func (f leaving) Leave() { f() }

func entering(m *memory, g *gatekeeper, tried *[]store.Claimed) (r *Runner, stop func()) {
	var mu sync.Mutex
	return startNode(m, "n1", Options{
		Enter: g.Enter,
		Deliver: func(_ context.Context, c *store.Claimed, p Pass) store.Settlement {
			defer p.Leave()
			mu.Lock()
			defer mu.Unlock()
			*tried = append(*tried, *c)
			return store.Settlement{State: seawall.Delivered}
		},
		Wanted: func(context.Context) Wanted {
			return Wanted{Targets: []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 4}}}
		},
	})
}

func TestNoMorePassesAreTakenThanThereAreDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newMemory(), &gatekeeper{tickets: make(chan struct{}, 100)}
		for range 100 {
			g.tickets <- struct{}{}
		}
		m.add("a", 10)
		var tried []store.Claimed
		_, stop := entering(m, g, &tried)
		synctest.Wait()
		// One may be given back unused: to a worker that turned out to be one too
		// many, since an outcome was not recorded yet. Without the bound each of the
		// four takes one more than there is.
		if used := 100 - len(g.tickets); len(tried) != 10 || used > 12 || g.out != 0 {
			t.Errorf("%d tried with %d passes, %d of them not given back", len(tried), used, g.out)
		}
		stop()
	})
}

// While a system is left alone, a pause and a cancel are heeded as ever.
func TestWaitingForASystemHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newMemory(), &gatekeeper{tickets: make(chan struct{}, 100)}
		ids := m.add("a", 3)
		var tried []store.Claimed
		r, stop := entering(m, g, &tried)
		defer stop()
		time.Sleep(time.Minute)
		m.mu.Lock()
		m.pending["a"] = slices.DeleteFunc(m.pending["a"], func(c store.Claimed) bool { return c.Delivery.ID == ids[1] }) // canceled
		m.mu.Unlock()
		for range 10 {
			g.tickets <- struct{}{}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(tried) != 2 || tried[0].Delivery.ID == ids[1] || tried[1].Delivery.ID == ids[1] {
			t.Errorf("%d tried, one of them canceled while it waited", len(tried))
		}

		for len(g.tickets) > 0 {
			<-g.tickets
		}
		m.add("a", 3)
		r.Wake(store.Signal{Destination: "a"})
		time.Sleep(time.Minute)
		m.mu.Lock()
		m.gates["a"] = seawall.Paused
		m.mu.Unlock()
		if err := r.Regate(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		q := r.queues[keyFor("a")]
		q.mu.Lock()
		held, working, asking := len(q.busy), q.working, q.asking
		q.mu.Unlock()
		if held != 0 || working != 0 || asking != 0 || r.held.Load() != 0 {
			t.Errorf("paused, and there are %d in hand, %d workers, %d asking, %d bytes held", held, working, asking, r.held.Load())
		}
		g.tickets <- struct{}{}
		m.mu.Lock()
		delete(m.gates, "a")
		m.mu.Unlock()
		if err := r.Regate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(tried) != 3 {
			t.Errorf("%d tried after the pause, want 3", len(tried))
		}
	})
}

func TestStopEndsTheWaitingForASystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newMemory(), &gatekeeper{tickets: make(chan struct{})}
		m.add("a", 3)
		var tried []store.Claimed
		r, stop := entering(m, g, &tried)
		time.Sleep(time.Minute)
		start := time.Now()
		stop()
		synctest.Wait()
		if took := time.Since(start); took > time.Second || len(tried) != 0 || r.held.Load() != 0 {
			t.Errorf("stopped in %v, %d tried, %d bytes held", took, len(tried), r.held.Load())
		}
	})
}

// A flood of one entity does not keep the others waiting.
func TestG7_EntitiesTakeTurnsAtASystemThatIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newMemory(), &gatekeeper{tickets: make(chan struct{}, 1)}
		m.add("a", 14)
		for i := range m.pending["a"] {
			m.pending["a"][i].Delivery.Entity = "hot"
		}
		m.pending["a"][10].Delivery.Entity = "b"
		m.pending["a"][12].Delivery.Entity = "c"
		order := []seawall.DeliveryID{}
		for _, c := range m.pending["a"] {
			order = append(order, c.Delivery.ID)
		}
		var tried []store.Claimed
		_, stop := entering(m, g, &tried)
		defer stop()
		for range 14 {
			time.Sleep(2 * time.Second)
			g.tickets <- struct{}{}
			synctest.Wait()
		}
		var seen []string
		var hot []seawall.DeliveryID
		for _, c := range tried {
			seen = append(seen, c.Delivery.Entity)
			if c.Delivery.Entity == "hot" {
				hot = append(hot, c.Delivery.ID)
			}
		}
		if len(seen) != 14 || !slices.Contains(seen[:3], "b") || !slices.Contains(seen[:3], "c") {
			t.Errorf("in this order: %v", seen)
		}
		order = slices.Delete(order, 12, 13)
		order = slices.Delete(order, 10, 11)
		if !slices.Equal(hot, order) {
			t.Error("those of one entity went out of order")
		}
	})
}
