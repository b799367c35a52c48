package storetest

import (
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// yieldTests are about a head that was tried in vain while others came.
var yieldTests = []test{
	{"TestG5_ARetryYieldsToAnEarlierOne", lined(testYieldSequence)},
	{"TestG5_ARetryIsSupersededByANewerOne", lined(testYieldLatest)},
	{"TestG5_WhatNobodyKnowsIsSupersededByANewerOne", lined(testYieldUnknown)},
	{"TestG5_WhatNobodyKnowsHoldsItsSequence", lined(testYieldUnknownSequence)},
	{"TestG5_WhatIsToBeAskedAboutYieldsNothing", lined(testYieldCheck)},
	{"TestG5_WhatCouldNotBeTriedForLongYields", lined(testYieldPaused)},
	{"TestG5_WhatWasDeliveredAfterItWasSupersededIsSeen", lined(testSeenLater)},
}

// tried settles a head's attempt that did not succeed.
func (x *line) tried(d seawall.Delivery, state seawall.State, step seawall.Step) *seawall.Delivery {
	x.t.Helper()
	in := x.ended(x.lease, *x.now(d), state)
	in.Step = step
	switch state {
	case seawall.Pending:
		in.Due = x.Clock.Now().Add(time.Hour)
	case seawall.Held:
		in.Reason = seawall.ReasonUnknown
	}
	return x.settleAs(in, store.Done)
}

// begins begins to try a head that is contested, which it may be too late for.
func (x *line) begins(d seawall.Delivery, may bool) {
	x.t.Helper()
	got, err := x.Store.Begin(x.t.Context(), x.lease, []seawall.DeliveryID{d.ID})
	must(x.t, err)
	if (len(got) == 1) != may {
		x.t.Errorf("begun %v", got)
	}
	x.sound()
}

// A destination is paused while they come.
func testYieldPaused(x *line) {
	three, one, two := x.arrive(sequence("3")), x.arrive(sequence("1")), x.arrive(sequence("2"))
	x.is(three, "pending")
	x.Clock.Advance(time.Minute)
	x.begins(three, false)
	x.is(three, "held earlier")
	x.is(one, "pending")
	x.begins(one, true)
	x.deliver(one, &two)
	x.deliver(two, &three)
	if d := x.now(three); d.Late {
		x.t.Errorf("got %+v", d)
	}
	x.deliver(three, nil)

	at := func(v string) member { return member{version: v, order: seawall.Latest, entity: "order/2"} }
	old, newest := x.arrive(at("1")), x.arrive(at("2"))
	x.is(old, "pending")
	x.Clock.Advance(time.Minute)
	x.begins(old, false)
	x.is(newest, "pending")
	x.begins(newest, true)
	x.deliver(newest, nil)
}

func testYieldSequence(x *line) {
	two := x.arrive(sequence("2"))
	three := x.arrive(sequence("3"))
	one := x.arrive(sequence("1")) // while two is under way
	x.isNext(x.tried(two, seawall.Pending, seawall.Send), &one)
	x.is(two, "held earlier")
	x.depths(1, 2, 0)
	x.isNext(x.tried(one, seawall.Pending, seawall.Send), nil) // it is the lowest
	x.deliver(one, &two)
	if d := x.now(two); d.Attempts != 1 || d.Round != 1 {
		x.t.Errorf("got %+v", d)
	}
	x.deliver(two, &three)
	x.deliver(three, nil)
}

func testYieldLatest(x *line) {
	two := x.arrive(latest("2"))
	three := x.arrive(latest("3"))
	x.is(three, "held earlier")
	x.isNext(x.tried(two, seawall.Pending, seawall.Send), &three)
	if d := x.is(two, "superseded by version 3, "+three.ID.Event().String()); d.Attempts != 1 || d.Finished.IsZero() {
		x.t.Errorf("got %+v", d)
	}
	if as, err := x.Store.Attempts(x.t.Context(), two.ID); err != nil || len(as) != 1 {
		x.t.Errorf("%d attempts, %v", len(as), err)
	}
	x.depths(1, 0, 0)
	x.deliver(three, nil)
}

func testYieldUnknown(x *line) {
	two := x.arrive(latest("2"))
	three := x.arrive(latest("3"))
	x.isNext(x.tried(two, seawall.Held, seawall.Send), &three)
	x.is(two, "superseded by version 3, "+three.ID.Event().String())
	x.deliver(three, nil)
}

// Where each one matters a person is to say.
func testYieldUnknownSequence(x *line) {
	two, one := x.arrive(sequence("2")), x.arrive(sequence("1"))
	x.isNext(x.tried(two, seawall.Held, seawall.Send), nil)
	x.is(two, "held unknown")
	x.is(one, "held earlier")
}

func testYieldCheck(x *line) {
	two := x.arrive(latest("2"))
	three := x.arrive(latest("3"))
	x.isNext(x.tried(two, seawall.Pending, seawall.Check), nil)
	x.is(three, "held earlier")
	x.isNext(x.tried(two, seawall.Pending, seawall.Send), &three)
}

// One that was under way as it was superseded has reached the destination, also if the
// store was opened anew meanwhile.
func testSeenLater(x *line) {
	two := x.arrive(latest("2"))
	x.retry(two, time.Hour)
	under := x.ended(x.lease, *x.now(two), seawall.Delivered)
	three := x.arrive(latest("3"))
	x.is(two, "superseded by version 3, "+three.ID.Event().String())
	x.Store = x.Reopen(x.t)
	x.Clock.Advance(2 * time.Minute)
	x.lease = x.suite.lease(x.t, "n2", "orders")
	under.Lease = x.lease
	x.settleAs(under, store.Ended)
	ps, err := x.Store.Positions(x.t.Context(), two.Entity)
	must(x.t, err)
	if len(ps) != 1 || len(ps[0].Clocks) != 1 || ps[0].Clocks[0].Seen.Delivery != two.ID {
		x.t.Errorf("positions %+v", ps)
	}
}
