package lane

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// cluster is some nodes over one store. It watches that no delivery is in flight
// twice.
type cluster struct {
	*memory
	t       *testing.T
	take    time.Duration // how long an attempt takes
	targets []Target

	watch  sync.Mutex
	flying map[seawall.DeliveryID]string
	tries  map[seawall.DeliveryID]int
	by     map[string]int // attempts that ended, by node
	cuts   int            // attempts that were cut off
	last   map[string]time.Time
}

func newCluster(t *testing.T, targets ...Target) *cluster {
	return &cluster{
		memory: newMemory(), t: t, targets: targets, take: 100 * time.Millisecond,
		flying: map[seawall.DeliveryID]string{}, tries: map[seawall.DeliveryID]int{},
		by: map[string]int{}, last: map[string]time.Time{},
	}
}

func systems(n int) (ts []Target) {
	for i := range n {
		name := fmt.Sprint("sys-", i)
		ts = append(ts, Target{Name: name, Lane: store.Lane{System: name}, Concurrency: 2})
	}
	return ts
}

func (c *cluster) start(name string) (*Runner, func()) {
	return c.startOn(name, func(context.Context) Wanted { return Wanted{Revision: 1, Targets: c.targets} })
}

func (c *cluster) startOn(name string, wanted func(context.Context) Wanted) (*Runner, func()) {
	return startNode(c.memory, name, Options{Wanted: wanted, Deliver: c.deliver(name)})
}

// deliver makes an attempt on a node.
func (c *cluster) deliver(name string) func(context.Context, *store.Claimed, Pass) store.Settlement {
	return func(ctx context.Context, d *store.Claimed, _ Pass) store.Settlement {
		c.watch.Lock()
		if other := c.flying[d.Delivery.ID]; other != "" {
			c.t.Errorf("%s is in flight on %s and %s", d.Delivery.ID, other, name)
		}
		c.flying[d.Delivery.ID] = name
		c.tries[d.Delivery.ID]++
		c.watch.Unlock()
		s := store.Settlement{State: seawall.Delivered}
		select {
		case <-time.After(c.take):
		case <-ctx.Done():
			s = store.Settlement{State: seawall.Pending, Due: time.Now()}
		}
		c.watch.Lock()
		defer c.watch.Unlock()
		delete(c.flying, d.Delivery.ID)
		if c.last[name] = time.Now(); s.State == seawall.Pending {
			c.cuts++
		} else {
			c.by[name]++
		}
		return s
	}
}

// owners counts the lanes of queues by who has them.
func (c *cluster) owners() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for _, t := range c.targets {
		if o, held := c.owner[t.Lane]; held && o.Until.After(time.Now()) {
			out[o.Node]++
		}
	}
	return out
}

func (c *cluster) wantOwners(want map[string]int) {
	c.t.Helper()
	synctest.Wait()
	if got := c.owners(); fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("lanes by owner: %v, want %v", got, want)
	}
}

// all adds n deliveries for each destination.
func (c *cluster) all(n int) {
	for _, t := range c.targets {
		c.add(t.Name, n)
	}
}

// done checks that all of total deliveries ended, each after one attempt but for
// at most again.
func (c *cluster) done(total, again int) {
	c.t.Helper()
	synctest.Wait()
	if got := c.count(seawall.Delivered); got != total {
		c.t.Errorf("delivered %d of %d", got, total)
	}
	tries := 0
	for _, n := range c.tries {
		tries += n
	}
	if tries > total+again {
		c.t.Errorf("%d attempts of %d deliveries, at most %d more are right", tries, total, again)
	}
}

func TestG4_NodesShareTheLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(6)...)
		c.all(20)
		_, stop1 := c.start("n1")
		_, stop2 := c.start("n2")
		time.Sleep(20 * time.Second)
		c.wantOwners(map[string]int{"n1": 3, "n2": 3})
		c.all(20)
		time.Sleep(20 * time.Second)
		c.done(240, 0)
		if c.by["n1"] < 60 || c.by["n2"] < 60 {
			t.Errorf("attempts by node: %v", c.by)
		}
		stop1()
		stop2()
	})
}

func TestG4_JoiningNodeGetsItsPartAndCutsNothingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(6)...)
		_, stop1 := c.start("n1")
		time.Sleep(10 * time.Second)
		c.wantOwners(map[string]int{"n1": 6})

		// Idle lanes change hands at once, without waiting for anybody's turn.
		_, stop2 := c.start("n2")
		time.Sleep(leaseRenew + 100*time.Millisecond)
		c.wantOwners(map[string]int{"n1": 3, "n2": 3})

		// Busy ones when what is in flight has ended.
		c.take = 20 * time.Second
		c.all(2)
		time.Sleep(6 * time.Second)
		_, stop3 := c.start("n3")
		time.Sleep(6 * time.Second)
		c.all(1)
		c.wantOwners(map[string]int{"n1": 3, "n2": 3})
		time.Sleep(14 * time.Second)
		c.wantOwners(map[string]int{"n1": 2, "n2": 2, "n3": 2})
		time.Sleep(30 * time.Second)
		c.done(18, 0)
		if c.cuts != 0 || c.by["n3"] != 2 {
			t.Errorf("%d attempts cut off, by node %v", c.cuts, c.by)
		}
		stop1()
		stop2()
		stop3()
	})
}

func TestG10_LeavingNodeIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(6)...)
		_, stop1 := c.start("n1")
		_, stop2 := c.start("n2")
		time.Sleep(10 * time.Second)
		c.wantOwners(map[string]int{"n1": 3, "n2": 3})
		stop1()
		time.Sleep(time.Second)
		c.wantOwners(map[string]int{"n2": 6})
		stop2()
	})
}

// A node that stops gives each lane back as soon as nothing is in flight in it.
func TestG10_LeavingNodeDrainsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(6)...)
		c.take = 10 * time.Second
		_, stop1 := c.start("n1")
		_, stop2 := c.start("n2")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		busy := ""
		for l, o := range c.owner {
			if o.Node == "n1" && l.System[0] == 's' {
				busy = l.System
				break
			}
		}
		c.add(busy, 3)
		time.Sleep(6 * time.Second) // longer than a poll: two are in flight
		stopped := make(chan struct{})
		go func() { defer close(stopped); stop1() }()
		time.Sleep(2 * time.Second)
		c.wantOwners(map[string]int{"n1": 1, "n2": 5})
		<-stopped
		time.Sleep(12 * time.Second)
		c.wantOwners(map[string]int{"n2": 6})
		c.done(3, 0)
		stop2()
	})
}

// A node that dies, or that does not reach the store, is followed within 20 s,
// and what it had in flight has ended by then.
func TestG4_DeadNodeIsTakenOverWithin20Seconds(t *testing.T) {
	for _, off := range []time.Duration{0, 700 * time.Millisecond, 1500 * time.Millisecond, 2999 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, systems(6)...)
			c.take = time.Minute // hangs
			_, stop1 := c.start("n1")
			_, stop2 := c.start("n2")
			time.Sleep(10 * time.Second)
			c.all(1)
			time.Sleep(6*time.Second + off)
			c.mu.Lock()
			c.cut["n1"] = true
			c.mu.Unlock()
			died := time.Now()
			for c.owners()["n2"] < 6 && time.Since(died) < time.Minute {
				time.Sleep(100 * time.Millisecond)
			}
			if took := time.Since(died); took > 20*time.Second {
				t.Errorf("taken over after %v", took)
			}
			c.watch.Lock()
			if c.cuts != 3 || time.Since(c.last["n1"]) < time.Second {
				t.Errorf("%d attempts of the dead node cut off, want 3; the last %v ago", c.cuts, time.Since(c.last["n1"]))
			}
			c.watch.Unlock()
			time.Sleep(3 * time.Minute)
			c.done(6, 3)

			c.mu.Lock()
			c.cut["n1"] = false // it was only paused
			c.mu.Unlock()
			time.Sleep(10 * time.Second)
			c.wantOwners(map[string]int{"n1": 3, "n2": 3})
			stop1()
			stop2()
		})
	}
}

// A process that was paused may come to its deliveries before its timers tell it
// that its leases have run out.
func TestG4_NothingStartsOnALeaseThatRanOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(1)...)
		r, stop := c.start("n1")
		synctest.Wait()
		c.mu.Lock()
		c.lost = true
		c.mu.Unlock()
		r.mu.Lock()
		l, q := r.lanes[c.targets[0].Lane], r.queues[keyFor("sys-0")]
		l.timer.Stop() // it has not come to that
		r.mu.Unlock()
		time.Sleep(leaseTTL)
		d := fresh("sys-0")
		if !q.reserve(d.Delivery.ID, 2) || !q.handOver(entry{d, 2, time.Now()}) {
			t.Fatal("the queue knows already")
		}
		synctest.Wait()
		if n := len(c.tries); n != 0 {
			t.Errorf("%d attempts under a lease that ran out", n)
		}
		if l.ctx.Err() == nil {
			t.Error("the lane goes on")
		}
		stop()
	})
}

func TestWordBetweenNodesSavesWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(4)...)
		r1, stop1 := c.start("n1")
		_, stop2 := c.start("n2")
		time.Sleep(10 * time.Second)
		send := func() {
			for _, to := range c.targets {
				d := fresh(to.Name)
				accepted := r1.Reserve([]store.Acceptance{{Event: d.Event, Deliveries: []seawall.Delivery{d.Delivery}}})
				c.mu.Lock()
				c.pending[to.Name] = append(c.pending[to.Name], d) // the commit
				c.mu.Unlock()
				accepted([]store.Accepted{{Verdict: seawall.New, Event: d.Event.ID}})
			}
		}
		send()
		time.Sleep(c.take)
		c.done(4, 0)
		c.mu.Lock()
		c.deaf = true
		c.mu.Unlock()
		send()
		time.Sleep(5*time.Second + c.take)
		c.done(8, 0)
		stop1()
		stop2()
	})
}

// Nodes of an older revision leave the work to those of the newest, which may
// know of more; and do it again if those are gone.
func TestG2_NodesOfDifferentRevisionsLeaveNoLaneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(8)...)
		on := func(revision int64, n int) func(context.Context) Wanted {
			return func(context.Context) Wanted { return Wanted{Revision: revision, Targets: c.targets[:n]} }
		}
		_, stop1 := c.startOn("n1", on(1, 4))
		time.Sleep(5 * time.Second)
		c.wantOwners(map[string]int{"n1": 4})
		_, stop2 := c.startOn("n2", on(2, 8))
		time.Sleep(5 * time.Second)
		c.wantOwners(map[string]int{"n2": 8})
		_, stop3 := c.startOn("n3", on(2, 8))
		time.Sleep(5 * time.Second)
		c.wantOwners(map[string]int{"n2": 4, "n3": 4})
		stop2()
		stop3()
		time.Sleep(5 * time.Second)
		c.wantOwners(map[string]int{"n1": 4})
		stop1()
	})
}

// Of a lane that one node knows of and another does not yet, and the other way
// round, one has it in the end.
func TestG2_StrayLanesAreDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(8)...)
		for i := range c.targets {
			c.targets[i].Stray = true
		}
		c.all(2)
		_, stop1 := c.start("n1")
		_, stop2 := c.start("n2")
		time.Sleep(5 * time.Second)
		c.done(16, 0)
		stop1()
		time.Sleep(time.Second)
		c.wantOwners(map[string]int{"n2": 8})
		stop2()
	})
}

func TestDutyIsDoneOnceOverAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var mu sync.Mutex
		doing, most, by := 0, 0, map[string]int{}
		start := func(name string) func() {
			_, stop := startNode(m, name, Options{
				Wanted: func(context.Context) Wanted { return Wanted{} },
				Duties: []Duty{{Name: "sweep", Do: func(ctx context.Context) {
					mu.Lock()
					doing++
					most = max(most, doing)
					by[name]++
					mu.Unlock()
					<-ctx.Done()
					mu.Lock()
					doing--
					mu.Unlock()
				}}},
			})
			return stop
		}
		stops := map[string]func(){}
		for _, n := range []string{"n1", "n2", "n3"} {
			stops[n] = start(n)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		mu.Lock()
		if doing != 1 {
			t.Errorf("%d do it", doing)
		}
		mu.Unlock()
		m.mu.Lock()
		holder := m.owner[Duty{Name: "sweep"}.lane()].Node
		m.cut[holder] = true
		m.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		mu.Lock()
		if next := m.owner[Duty{Name: "sweep"}.lane()].Node; next == holder || doing != 1 || by[next] == 0 {
			t.Errorf("%s after %s; %d do it; begun by %v", next, holder, doing, by)
		}
		mu.Unlock()
		for _, stop := range stops {
			stop()
		}
		if most != 1 || doing != 0 {
			t.Errorf("%d at once, %d after all stopped", most, doing)
		}
	})
}

func TestClaimsGoOnFromWhereTheyWereBut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(1)...)
		r, stop := c.start("n1")
		scans := func(do string, want int) {
			t.Helper()
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.rescans["sys-0"] != want {
				t.Errorf("%s: %d rescans, want %d", do, c.rescans["sys-0"], want)
			}
		}
		scans("at first", 1)
		time.Sleep(rescanEvery - time.Second)
		scans("soon after", 1)
		time.Sleep(2 * time.Second)
		scans("after a while", 2)

		gate := func(g seawall.Gate) {
			c.mu.Lock()
			c.gates["sys-0"] = g
			c.mu.Unlock()
			r.Refresh()
			synctest.Wait()
		}
		gate(seawall.Paused)
		scans("paused", 2)
		gate(seawall.Open)
		scans("opened", 3)

		d := fresh("sys-0")
		accepted := r.Reserve([]store.Acceptance{{Event: d.Event, Deliveries: []seawall.Delivery{d.Delivery}}})
		accepted(nil)
		scans("nobody knows whether it was accepted", 4)
		stop()
	})
}

// Where much is to be passed over, looking from the oldest on takes its time, and
// must not take all of it.
func TestG7_SlowRescansAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, systems(1)...)
		c.slow = make(chan struct{})
		_, stop := c.start("n1")
		time.Sleep(time.Second)
		close(c.slow) // the first one took a second
		rescans := func() int {
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.rescans["sys-0"]
		}
		time.Sleep(rescanPart*time.Second - 3*time.Second)
		if n := rescans(); n != 1 {
			t.Errorf("%d rescans, want 1", n)
		}
		time.Sleep(4 * time.Second)
		if n := rescans(); n != 2 {
			t.Errorf("%d rescans after its rest, want 2", n)
		}
		stop()
	})
}
