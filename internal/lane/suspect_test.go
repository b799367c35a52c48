package lane

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// After a node died, the first attempts of the next one are begun, as many as it
// can have had in hand; those after them are not, nor are those of a node that was
// given its lane.
func TestG7_AfterADeathTheFirstWindowIsBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		lane := store.Lane{System: "a"}
		count := func(want int, stop func()) {
			t.Helper()
			synctest.Wait()
			stop()
			if len(m.intents) != want {
				t.Errorf("%d attempts were begun, want %d", len(m.intents), want)
			}
			clear(m.intents)
		}
		m.add("a", 50)
		_, stop := start(m, delivered, "a")
		count(0, stop)

		m.mu.Lock()
		m.owner[lane] = store.Lease{Lane: lane, Node: "dead", Token: 99, Until: time.Now().Add(-time.Second)}
		m.mu.Unlock()
		m.add("a", 50)
		_, stop = start(m, delivered, "a")
		count(2*ahead, stop)
		if n := m.count(seawall.Delivered); n != 100 {
			t.Errorf("%d delivered of 100", n)
		}
	})
}

// What was in flight when a node died is begun again, one at a time, and holds up
// nothing else.
func TestG7_SuspectsAreSentOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		suspects := map[seawall.DeliveryID]bool{}
		for i, id := range m.add("a", 40) {
			if i%2 == 0 {
				suspects[id] = true
				m.pending["a"][i].Delivery.Reason = seawall.ReasonInterrupted
			}
		}
		var mu sync.Mutex
		flying, most, others := 0, 0, time.Duration(0)
		began := time.Now()
		_, stop := startWith(m, func(_ context.Context, c *store.Claimed, _ Pass) store.Settlement {
			suspect := suspects[c.Delivery.ID]
			mu.Lock()
			if suspect {
				flying++
				most = max(most, flying)
			}
			mu.Unlock()
			if suspect != m.begun(c.Delivery.ID) {
				t.Errorf("a suspect: %t, was begun: %t", suspect, m.begun(c.Delivery.ID))
			}
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			if suspect {
				flying--
			} else {
				others = time.Since(began)
			}
			return store.Settlement{State: seawall.Delivered}
		}, func() []Target { return []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 16}} })
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if n := m.count(seawall.Delivered); n != 40 || most != 1 {
			t.Errorf("%d delivered of 40, %d suspects at once", n, most)
		}
		if others > 3*time.Second {
			t.Errorf("the others took %s", others)
		}
	})
}
