package lane

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

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
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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

func TestRetryComesWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 1)
		var at []time.Duration
		began := time.Now()
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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

func TestOutcomesSurviveAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.broken = seawall.Errorf(seawall.ErrUnavailable, "disk full")
		m.add("a", 3)
		tries := 0
		var mu sync.Mutex
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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

func TestG4_WhatIsSettledDuringAClaimIsNotClaimedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var tries atomic.Int32
		m.add("a", 1)
		began := make(chan struct{})
		r, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
			tries.Add(1)
			<-began
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		synctest.Wait() // it is being tried
		slow := make(chan struct{})
		m.mu.Lock()
		m.slow = slow
		m.mu.Unlock()
		r.Wake(store.Signal{Destination: "a"})
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

func TestConcurrencyIsUsedForDeliveriesThatComeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var now atomic.Int32
		hang := make(chan struct{})
		r, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
			now.Add(1)
			<-hang
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		for range 2 {
			m.add("a", 1)
			r.Wake(store.Signal{Destination: "a"})
			synctest.Wait()
		}
		if n := now.Load(); n != 2 {
			t.Errorf("%d in flight, 2 are waiting and may be", n)
		}
		close(hang)
		stop()
	})
}

// A crash repeats what was sent and not recorded: no more of that than
// concurrency allows, however long a commit takes.
func TestG4_UnrecordedAttemptsKeepTheirSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.broken = seawall.Errorf(seawall.ErrUnavailable, "disk full")
		m.add("a", 20)
		var tries atomic.Int32
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
			tries.Add(1)
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := tries.Load(); n != 2 {
			t.Errorf("%d attempts without a record, concurrency is 2", n)
		}
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		stop()
		if n := m.count(seawall.Delivered); n != 20 {
			t.Errorf("delivered %d of 20", n)
		}
	})
}

// All queues together stay within the budget of bytes, but for one delivery
// each.
func TestG8_BodiesInHandAreBoundedOverAllQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		names := []string{"a", "b", "c", "d"}
		for _, n := range names {
			m.add(n, 8)
			for i := range m.pending[n] {
				m.pending[n][i].Event.Body = make([]byte, 16<<20)
			}
		}
		hang := make(chan struct{})
		r, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
			<-hang
			return store.Settlement{State: seawall.Delivered}
		}, names...)
		synctest.Wait()
		if held, most := r.held.Load(), r.Bytes+int64(len(names))*16<<20; held > most {
			t.Errorf("%d MiB in hand, at most %d", held>>20, most>>20)
		}
		close(hang)
		time.Sleep(time.Minute)
		stop()
		if n := m.count(seawall.Delivered); n != 32 {
			t.Errorf("delivered %d of 32", n)
		}
		if held := r.held.Load(); held != 0 {
			t.Errorf("%d bytes are still counted", held)
		}
	})
}

// An outcome that the store refuses for what it is holds up no other.
func TestG7_UnrecordableOutcomeHarmsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		ids := m.add("a", 4)
		m.refuse = ids[1]
		var tries atomic.Int32
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
			tries.Add(1)
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		time.Sleep(time.Minute)
		stop()
		if n, d := tries.Load(), m.count(seawall.Delivered); n != 4 || d != 3 {
			t.Errorf("%d tries, %d recorded; want 4 and 3", n, d)
		}
	})
}

// startGathering runs a runner whose outcomes wait for others for a second.
func startGathering(m *memory, deliver func(context.Context, *store.Claimed, Pass) store.Settlement) (*Runner, func()) {
	return startNode(m, "n1", Options{Deliver: deliver, Gather: time.Second, Wanted: func(context.Context) Wanted {
		return Wanted{Targets: []Target{{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 4}}}
	}})
}

// Outcomes that nobody waits for share a commit; what is settled late is settled.
func TestOutcomesGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r, stop := startGathering(m, delivered)
		synctest.Wait()
		accept(m, r, "a", 1)
		time.Sleep(500 * time.Millisecond)
		accept(m, r, "a", 1)
		synctest.Wait()
		if got := m.count(seawall.Delivered); got != 0 {
			t.Errorf("%d recorded at once", got)
		}
		time.Sleep(501 * time.Millisecond)
		synctest.Wait()
		if got, n := m.count(seawall.Delivered), m.settles; got != 2 || n != 1 {
			t.Errorf("%d recorded in %d commits, want 2 in one", got, n)
		}
		stop()
	})
}

// Where a delivery waits for the slot of one whose outcome is not recorded, that
// is not put off.
func TestOutcomesDoNotGatherWhileASlotIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		began := time.Now()
		r, stop := startGathering(m, delivered)
		synctest.Wait()
		accept(m, r, "a", 4) // one for each slot
		synctest.Wait()
		accept(m, r, "a", 40)
		synctest.Wait()
		if got := m.count(seawall.Delivered); got < 40 {
			t.Errorf("%d of 44 recorded: slots stand empty for an outcome's sake", got)
		}
		if time.Since(began) != 0 {
			t.Errorf("it took %s", time.Since(began))
		}
		time.Sleep(time.Second)
		stop()
		if got := m.count(seawall.Delivered); got != 44 {
			t.Errorf("%d of 44 recorded", got)
		}
	})
}

// Whoever waits for the answer to a call is not kept waiting.
func TestOutcomeOfACallDoesNotGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := fresh("a")
		c.Event.Source = seawall.SourceCalls
		m.pending["a"] = append(m.pending["a"], c)
		_, stop := startGathering(m, delivered)
		synctest.Wait()
		if got := m.count(seawall.Delivered); got != 1 {
			t.Errorf("%d recorded at once, want 1", got)
		}
		stop()
	})
}

// A stop does not wait for others to come.
func TestStopRecordsWhatGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r, stop := startGathering(m, delivered)
		synctest.Wait()
		accept(m, r, "a", 3)
		synctest.Wait()
		began := time.Now()
		stop()
		if got, took := m.count(seawall.Delivered), time.Since(began); got != 3 || took >= time.Second {
			t.Errorf("%d of 3 recorded, after %s", got, took)
		}
	})
}
