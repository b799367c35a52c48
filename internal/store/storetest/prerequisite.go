package storetest

import (
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// created is what others wait for.
func created() member { return member{none: true, typ: "order.created", counts: true} }

// deliverDone settles one as delivered that fulfils what others wait for.
func (x *line) deliverDone(d seawall.Delivery, done ...string) *seawall.Delivery {
	x.t.Helper()
	in := x.ended(x.lease, *x.now(d), seawall.Delivered)
	in.Done = done
	return x.settleAs(in, store.Done)
}

func testAfter(x *line) {
	paid := x.arrive(member{version: "2", after: []string{"order.created"}, wait: time.Minute})
	if d := x.is(paid, "held prerequisite"); len(d.After) != 1 || d.After[0] != "order.created" || !d.Due.Equal(x.Clock.Now().Add(time.Minute)) {
		x.t.Errorf("got %+v", d)
	}
	x.ripens(0, time.Minute)
	x.depths(0, 1, 0)
	// It is not in the line yet: a later one is not held up by it.
	three := x.arrive(sequence("3"))
	x.is(three, "pending")
	first := x.arrive(created())
	x.is(first, "pending")
	x.deliverDone(first, "order.created")
	x.is(paid, "held earlier")
	if p := x.position(); len(p.Done) != 1 || p.Done[0] != "order.created" || p.Waiting != 1 {
		x.t.Errorf("position %+v", p)
	}
	x.deliver(three, &paid)
	if d := x.now(paid); !d.Late || len(d.After) != 0 {
		x.t.Errorf("got %+v", d)
	}
	x.deliver(paid, nil)
	// From now on nobody waits; elsewhere, and of others, one does.
	x.is(x.arrive(member{version: "4", after: []string{"order.created"}}), "pending")
	x.is(x.arrive(member{version: "4", after: []string{"order.created"}, to: "audit"}), "held prerequisite")
	x.is(x.arrive(member{version: "4", after: []string{"order.created"}, entity: "order/2"}), "held prerequisite")
	x.ripens(0, 0)
}

func testAfterAll(x *line) {
	both := x.arrive(member{version: "1", after: []string{"order.created", "customer.*"}})
	x.deliverDone(x.arrive(created()), "order.created")
	x.is(both, "held prerequisite")
	x.Store = x.Reopen(x.t)
	x.lease = x.suite.lease(x.t, "n1", "orders")
	next := x.deliverDone(x.arrive(member{none: true, typ: "customer.created", counts: true}), "customer.*")
	x.isNext(next, &both)
	x.deliver(both, nil)
	if p := x.position(); len(p.Done) != 2 {
		x.t.Errorf("position %+v", p)
	}
}

func testAfterUnordered(x *line) {
	at := member{none: true, after: []string{"order.created"}}
	one, two := x.arrive(at), x.arrive(at)
	x.is(one, "held prerequisite")
	x.deliverDone(x.arrive(created()), "order.created")
	x.is(one, "pending")
	x.is(two, "pending") // without an order they do not wait for each other
	x.claims(one, two)
	x.depths(2, 0, 0)
	x.end(one, seawall.Delivered)
	x.end(two, seawall.Dead)
	three := x.arrive(at)
	x.is(three, "pending")
	if d := x.replay(two, store.ReplayOptions{}); d == nil || d.State != seawall.Pending {
		x.t.Errorf("replayed %+v", d)
	}
}

func testAfterRunsOut(x *line) {
	at := func(w seawall.WaitPolicy, version string) member {
		return member{version: version, after: []string{"order.created"}, wait: time.Minute, onWait: w}
	}
	deliver, hold, dead := x.arrive(at(seawall.WaitDeliver, "3")), x.arrive(at(seawall.WaitHold, "1")), x.arrive(at(seawall.WaitDead, "2"))
	x.Clock.Advance(time.Minute - time.Second)
	x.ripens(0, time.Second)
	x.Clock.Advance(time.Second)
	over := func(freed int, want ...seawall.Delivery) {
		x.t.Helper()
		r := x.ripens(freed, 0)
		got := map[seawall.DeliveryID]bool{}
		for _, d := range r.Over {
			got[d.ID] = d.State == seawall.Held && d.Reason == seawall.ReasonPrerequisite && d.Entity != "" && d.Destination == "orders" && len(d.After) == 1
		}
		for _, d := range want {
			if !got[d.ID] {
				x.t.Errorf("%s is not over: %+v", d.ID, r.Over)
			}
		}
		if len(got) != len(want) {
			x.t.Errorf("over: %+v, want %d", r.Over, len(want))
		}
	}
	over(1, hold, dead)
	over(0, hold, dead) // until they are settled
	x.is(deliver, "pending")
	in := x.decided(hold, seawall.Held, seawall.ReasonPrerequisite)
	in.Due = order.Never
	x.isNext(x.settleAs(in, store.Done), nil)
	over(0, dead)
	x.isNext(x.settleAs(x.decided(dead, seawall.Dead, "what it waits for did not come"), store.Done), nil)
	over(0)
	x.is(hold, "held prerequisite")
	x.is(dead, "dead what it waits for did not come")
	x.depths(1, 1, 1)
	x.ripens(0, 0)
	// One that never was in the line does not hold it up; what is held still goes
	// on when what it waits for comes.
	if p := x.position(); !p.Block.IsZero() {
		x.t.Errorf("position %+v", p)
	}
	next := x.deliverDone(x.arrive(created()), "order.created")
	x.isNext(next, nil)
	x.is(hold, "held earlier")
	if d := x.replay(dead, store.ReplayOptions{}); d == nil || d.State != seawall.Held || d.Reason != seawall.ReasonEarlier {
		x.t.Errorf("replayed %+v", d)
	}
	x.deliver(deliver, &hold)
	x.deliver(hold, &dead)
	x.deliver(dead, nil)
	// It came just before its wait was to end: who decided that comes too late.
	just := at(seawall.WaitHold, "9")
	just.entity = "order/2"
	released := x.arrive(just)
	x.Clock.Advance(time.Minute)
	over(0, released)
	second := created()
	second.entity = "order/2"
	x.deliverDone(x.arrive(second), "order.created")
	in = x.decided(released, seawall.Held, seawall.ReasonPrerequisite)
	in.Due = order.Never
	x.isNext(x.settleAs(in, store.Ended), nil)
	x.is(released, "pending")
}

func testAfterLate(x *line) {
	one := x.arrive(member{version: "1", order: seawall.Latest, after: []string{"order.created"}})
	x.deliver(x.arrive(latest("2")), nil)
	hold := x.arrive(member{version: "1", entity: "order/2", late: seawall.LateHold, after: []string{"order.created"}})
	x.deliver(x.arrive(member{version: "2", entity: "order/2"}), nil)
	x.deliverDone(x.arrive(created()), "order.created")
	x.is(one, "superseded by version 2")
	second := created()
	second.entity = "order/2"
	x.deliverDone(x.arrive(second), "order.created")
	x.is(hold, "held late")
	x.depths(0, 1, 0)
}

func testAfterCancel(x *line) {
	one := x.arrive(member{version: "1", after: []string{"order.created"}})
	if ended, err := x.Store.Cancel(x.t.Context(), []seawall.DeliveryID{one.ID}, "no", seawall.Action{What: "cancel"}); err != nil || len(ended) != 1 {
		x.t.Fatalf("canceled %v, %v", ended, err)
	}
	x.deliverDone(x.arrive(created()), "order.created")
	x.is(one, "canceled no")
	x.depths(0, 0, 0)
	if d := x.replay(one, store.ReplayOptions{}); d == nil || d.State != seawall.Pending {
		x.t.Errorf("replayed %+v", d)
	}
}
