package lane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestG7_HungDestinationHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("hung", 100)
		m.add("well", 100)
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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

func TestStopWaitsForAttemptsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 10)
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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
		_, stop := start(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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
		r.Wake(store.Signal{Destination: "a"})
		r.Wake(store.Signal{Destination: "b"})
		time.Sleep(time.Minute)
		stop()
		if got := fmt.Sprint(len(m.pending["a"]), len(m.pending["b"])); got != "1 0" {
			t.Errorf("pending of a and b: %s, want 1 0", got)
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
		r, stop := startWith(m, func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
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

// A lease that the store gave and whose answer nobody waited for would keep the
// lane from everyone until it runs out.
func TestG10_StopGivesBackWhatItWasJustGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.late = 2 * time.Second
		_, stop := start(m, delivered, "a")
		time.Sleep(time.Second) // the lane is ours, and we have not heard yet
		stop()
		if len(m.owner) != 0 {
			t.Errorf("left behind: %v", m.owner)
		}
	})
}

// A store that never takes the outcomes again, a full disk perhaps, must not
// keep the process from ending.
func TestStopEndsThoughNothingCanBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 2)
		m.broken = errors.New("no room")
		_, stop := start(m, delivered, "a")
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took > recordWithin+time.Second {
			t.Errorf("stop took %v, want about %v", took, recordWithin)
		}
	})
}

func TestG1_StopWaitsForNothingOnceTheStoreHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("a", 1)
		m.add("b", 1)
		m.broken = errors.New("the store failed")
		failed := make(chan struct{})
		deliver := func(ctx context.Context, c *store.Claimed, _ Pass) store.Settlement {
			if c.Delivery.Destination == "a" {
				<-ctx.Done() // hangs
			}
			return store.Settlement{State: seawall.Pending, Due: time.Now().Add(time.Hour)}
		}
		targets := []Target{{Name: "a", Lane: store.Lane{System: "a"}}, {Name: "b", Lane: store.Lane{System: "b"}}}
		r := New(Options{
			Store: node{m, "n1"}, Node: "n1", Deliver: deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: targets} },
			Log: slog.New(slog.DiscardHandler), Now: time.Now, Poll: time.Second, Drain: 30 * time.Second, Bytes: 64 << 20, Failed: failed,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		close(failed)
		cancel()
		began := time.Now()
		<-done
		if took := time.Since(began); took > time.Second {
			t.Errorf("stop took %v after the store failed", took)
		}
	})
}

// A store that is away fails every queue once a second, for as long as it lasts.
func TestG9_TroubleIsLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.unread = errors.New("the store is away")
		var said bytes.Buffer
		r := New(Options{Store: node{m, "n1"}, Node: "n1", Log: slog.New(slog.NewTextHandler(&said, nil)), Now: time.Now,
			Deliver: delivered, Poll: time.Second, Drain: time.Second, Bytes: 1 << 20,
			Wanted: func(context.Context) Wanted {
				return Wanted{Targets: []Target{{Name: "a", Lane: store.Lane{System: "a"}}, {Name: "b", Lane: store.Lane{System: "b"}}}}
			}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(59 * time.Second)
		cancel()
		<-done
		if n := strings.Count(said.String(), "claim failed"); n != 2 {
			t.Errorf("said %d times in a minute, want 2:\n%s", n, &said)
		}
	})
}
