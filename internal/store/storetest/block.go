package storetest

import (
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// hold checks that Ripen has the owner tell of one that is held late, until he has.
func (x *line) hold(d seawall.Delivery) {
	x.t.Helper()
	for range 2 {
		if r := x.ripens(0, 0); len(r.Over) != 1 || r.Over[0].ID != d.ID || r.Over[0].State != seawall.Held || r.Over[0].Reason != seawall.ReasonLate {
			x.t.Fatalf("over: %+v", r.Over)
		}
	}
	in := x.decided(d, seawall.Held, seawall.ReasonLate)
	in.Due = order.Never
	x.isNext(x.settleAs(in, store.Done), nil)
	if r := x.ripens(0, 0); len(r.Over) != 0 {
		x.t.Fatalf("over: %+v", r.Over)
	}
	x.is(d, "held late")
}

// decided is the settlement of one that was not tried.
func (x *line) decided(d seawall.Delivery, state seawall.State, reason string) store.Settlement {
	return store.Settlement{Lease: x.lease, Delivery: d.ID, State: state, Reason: reason, At: x.Clock.Now()}
}

func testBlock(x *line) {
	one, two, three := x.arrive(sequence("1")), x.arrive(sequence("2")), x.arrive(sequence("3"))
	x.deliver(one, &two)
	x.isNext(x.end(two, seawall.Dead), nil)
	x.is(three, "held earlier")
	four := x.arrive(sequence("4"))
	x.is(four, "held earlier")
	if p := x.position(); p.Block.Delivery != two.ID || !p.Until.IsZero() || !p.Head.IsZero() || p.Waiting != 2 {
		x.t.Errorf("position %+v", p)
	}
	x.depths(0, 2, 1)
	x.ripens(0, 0)
	// One that comes before the dead one is not held up.
	early := x.arrive(sequence("1.5"))
	x.ripen()
	x.is(early, "pending")
	x.deliver(early, nil)
	other := x.arrive(member{version: "1", source: "stripe"})
	x.is(other, "held earlier")

	ds, err := x.Store.Replay(x.t.Context(), []seawall.DeliveryID{two.ID}, store.ReplayOptions{At: x.Clock.Now()}, seawall.Action{What: "replay"})
	must(x.t, err)
	if len(ds) != 1 || ds[0].State != seawall.Pending || ds[0].Late {
		x.t.Fatalf("replayed %+v", ds)
	}
	x.is(three, "held earlier")
	x.deliver(two, &three)
	x.deliver(three, &four)
	x.deliver(four, &other)
	x.depths(1, 0, 0)

	// Two that are dead hold it up one after the other: that the first is passed says
	// nothing of the second.
	of := func(v string) member { return member{version: v, entity: "order/3"} }
	second := x.arrive(of("4"))
	x.end(second, seawall.Dead)
	last := x.arrive(of("5"))
	first := x.arrive(of("3"))
	x.ripen()
	x.isNext(x.end(first, seawall.Dead), nil)
	between := x.arrive(of("3.5"))
	x.is(between, "held earlier")
	x.skip(first)
	x.is(between, "pending")
	x.deliver(between, nil)
	x.is(last, "held earlier")
	x.skip(second)
	x.is(last, "pending")
	x.deliver(last, nil)
	// The second may be decided on before the first.
	of = func(v string) member { return member{version: v, entity: "order/4"} }
	second = x.arrive(of("4"))
	x.end(second, seawall.Dead)
	last, first = x.arrive(of("5")), x.arrive(of("3"))
	x.ripen()
	x.end(first, seawall.Dead)
	if d := x.replay(second, store.ReplayOptions{}); d == nil || d.State != seawall.Held {
		x.t.Fatalf("replayed %+v", d)
	}
	x.skip(first)
	x.is(second, "pending")
	x.deliver(second, &last)
	x.deliver(last, nil)

	// Where only the newest matters nothing is held up.
	at := member{version: "1", order: seawall.Latest, entity: "order/2"}
	head := x.arrive(at)
	at.version = "2"
	newer := x.arrive(at)
	got := x.end(head, seawall.Dead)
	x.isNext(got, &newer)
}

// skip gives one up that is dead.
func (x *line) skip(d seawall.Delivery) {
	x.t.Helper()
	ended, err := x.Store.Skip(x.t.Context(), []seawall.DeliveryID{d.ID}, seawall.Action{What: "skip", At: x.Clock.Now()})
	must(x.t, err)
	if len(ended) != 1 || ended[0] != d.ID {
		x.t.Fatalf("skipped %v", ended)
	}
	x.sound()
}

func testSkip(x *line) {
	one, two, three := x.arrive(sequence("1")), x.arrive(sequence("2")), x.arrive(sequence("3"))
	x.end(one, seawall.Dead)
	x.Clock.Advance(time.Minute)
	a := seawall.Action{What: "skip", On: "x", By: "ann", At: x.Clock.Now()}
	ended, err := x.Store.Skip(x.t.Context(), []seawall.DeliveryID{one.ID}, a)
	must(x.t, err)
	if len(ended) != 1 || ended[0] != one.ID {
		x.t.Fatalf("skipped %v", ended)
	}
	if d := x.is(one, "canceled skipped"); !d.Finished.Equal(x.Clock.Now()) || d.Attempts != 1 {
		x.t.Errorf("got %+v", d)
	}
	x.attempts(x.t, one.ID, 1)
	x.is(two, "pending")
	x.claims(two)
	x.depths(1, 1, 0)
	x.actions(x.t, "x", "skip")
	// Skipped again, nothing happens; one that has not ended is canceled.
	ended, err = x.Store.Skip(x.t.Context(), []seawall.DeliveryID{one.ID, two.ID}, a)
	must(x.t, err)
	if len(ended) != 1 || ended[0] != two.ID {
		x.t.Fatalf("skipped %v", ended)
	}
	x.is(two, "canceled skipped")
	x.is(three, "pending")
	x.deliver(three, nil)
	if ended, err := x.Store.Skip(x.t.Context(), []seawall.DeliveryID{three.ID}, a); err != nil || len(ended) != 0 {
		x.t.Errorf("skipped a delivered one: %v, %v", ended, err)
	}
	// One that has no order.
	plain := x.accept(x.t, "plain", "orders").ID.Delivery(1)
	x.settle(x.t, x.ended(x.lease, *x.delivery(x.t, plain, seawall.Pending), seawall.Dead), store.Done)
	if ended, err := x.Store.Skip(x.t.Context(), []seawall.DeliveryID{plain}, a); err != nil || len(ended) != 1 {
		x.t.Errorf("skipped %v, %v", ended, err)
	}
	x.depths(0, 0, 0)
}

func testPass(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	in := x.ended(x.lease, one, seawall.Dead)
	in.Pass = x.Clock.Now().Add(time.Hour)
	x.isNext(x.settleAs(in, store.Done), nil)
	if p := x.position(); !p.Until.Equal(in.Pass) {
		x.t.Errorf("position %+v", p)
	}
	x.ripens(0, time.Hour)
	x.Store = x.Crash(x.t)
	x.Clock.Advance(time.Hour - time.Second)
	x.lease = x.suite.lease(x.t, "n1", "orders")
	x.ripens(0, time.Second)
	x.is(two, "held earlier")
	x.Clock.Advance(time.Second)
	x.ripens(1, 0)
	x.is(two, "pending")
	x.is(one, "dead")
	x.deliver(two, nil)
	if p := x.position(); !p.Block.IsZero() {
		x.t.Errorf("position %+v", p)
	}
	// Also where nothing waits: what comes then goes.
	three := x.arrive(sequence("3"))
	in = x.ended(x.lease, three, seawall.Dead)
	in.Pass = x.Clock.Now().Add(time.Hour)
	x.settleAs(in, store.Done)
	x.Clock.Advance(time.Hour)
	x.ripens(0, 0)
	x.is(x.arrive(sequence("4")), "pending")
}

func testLineCancel(x *line) {
	one, two, three, four := x.arrive(sequence("1")), x.arrive(sequence("2")), x.arrive(sequence("3")), x.arrive(sequence("4"))
	cancel := func(ds ...seawall.Delivery) {
		x.t.Helper()
		var ids []seawall.DeliveryID
		for _, d := range ds {
			ids = append(ids, d.ID)
		}
		ended, err := x.Store.Cancel(x.t.Context(), ids, "not wanted", seawall.Action{What: "cancel"})
		must(x.t, err)
		if len(ended) != len(ds) {
			x.t.Fatalf("canceled %v", ended)
		}
	}
	cancel(two)
	x.is(one, "pending")
	if p := x.position(); p.Waiting != 2 || p.Head.Delivery != one.ID {
		x.t.Errorf("position %+v", p)
	}
	cancel(one)
	x.is(three, "pending")
	x.claims(three)
	cancel(three, four)
	x.depths(0, 0, 0)
	if p := x.position(); p.Waiting != 0 || !p.Head.IsZero() || !p.Clocks[0].Seen.IsZero() {
		x.t.Errorf("position %+v", p)
	}
	// One that was canceled while it was under way, and reached the destination.
	five := x.arrive(sequence("5"))
	in := x.ended(x.lease, five, seawall.Delivered)
	cancel(five)
	six := x.arrive(sequence("6"))
	x.is(six, "pending")
	x.settleAs(in, store.Ended)
	x.is(five, "canceled")
	if p := x.position(); p.Clocks[0].Seen.Version != "5" || p.Head.Delivery != six.ID {
		x.t.Errorf("position %+v", p)
	}
}

func testLineDiverted(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	in := x.ended(x.lease, one, seawall.Pending)
	in.Due, in.Move = x.Clock.Now(), &ops
	x.isNext(x.settleAs(in, store.Done), nil)
	x.is(two, "held earlier")
	at := x.suite.lease(x.t, "n1", "ops")
	x.isNext(x.settleAs(x.ended(at, *x.now(one), seawall.Delivered), store.Done), &two)
	x.claims(two)
	if p := x.position(); p.Head.Delivery != two.ID || p.Clocks[0].Seen.Version != "1" {
		x.t.Errorf("position %+v", p)
	}
	// A replay begins at the first destination, in the same line.
	x.deliver(two, nil)
	ds, err := x.Store.Replay(x.t.Context(), []seawall.DeliveryID{one.ID}, store.ReplayOptions{At: x.Clock.Now()}, seawall.Action{What: "replay"})
	must(x.t, err)
	if len(ds) != 1 || !ds[0].Late || ds[0].Destination != "orders" {
		x.t.Fatalf("replayed %+v", ds)
	}
	three := x.arrive(sequence("3"))
	x.is(three, "held earlier")
	x.deliver(one, &three)
}
