package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// lineTests are about the deliveries of one entity at one destination. What follows
// from an arrival is decided by package order, and tested there; these are about
// what a store reads, writes and keeps.
var lineTests = []test{
	{"TestG5_OneOfAnEntityIsPendingAtADestination", lined(testOneHead)},
	{"TestG5_ASequenceGoesByVersion", lined(testLowestFirst)},
	{"TestG5_OneBatchMayHoldSeveralOfALine", lined(testLineBatch)},
	{"TestG5_ARepeatedEventJoinsNothing", lined(testLineDuplicate)},
	{"TestG5_WhatFollowsIsHandedOver", lined(testNextHandedOver)},
	{"TestG5_WhatFollowsInAnotherLaneIsToldOf", lined(testNextElsewhere)},
	{"TestG5_ASettleWindowLetsAnEarlierOneIn", lined(testSettleWindow)},
	{"TestG5_RipenIsBoundedAndFenced", lined(testRipenBounds)},
	{"TestG5_ARetryKeepsItsPlace", lined(testRetryKeepsPlace)},
	{"TestG5_AnEarlierOneGoesBeforeARetry", lined(testContested)},
	{"TestG5_WhatWasBegunKeepsItsPlace", lined(testBegunIsFirm)},
	{"TestG5_ADisplacedOneThatWasSentCounts", lined(testDisplacedDelivered)},
	{"TestG5_ADisplacedOneThatFailedGoesOnWaiting", lined(testDisplacedRetry)},
	{"TestG5_ASupersededOneThatWasSentCounts", lined(testSupersededDelivered)},
	{"TestG5_LatestSupersedesOnArrival", lined(testLatestArrival)},
	{"TestG5_LatestSupersedesWhatWaits", lined(testLatestWaiting)},
	{"TestG5_LatestSupersedesARetry", lined(testLatestRetry)},
	{"TestG5_AStreamOfUpdatesIsDelivered", lined(testLatestWindow)},
	{"TestG5_OneEventDoesNotSupersedeItself", lined(testLatestSameEvent)},
	{"TestG5_TiesAreKept", lined(testTies)},
	{"TestG5_NoVersionIsAsNewAsTheNewest", lined(testNoVersion)},
	{"TestG5_SourcesHaveTheirOwnClocks", lined(testClocks)},
	{"TestG5_LateOnesGoAsTheirPolicySays", lined(testLate)},
	{"TestG5_ADeadOneHoldsItsLineUp", lined(testBlock)},
	{"TestG5_ASkippedOneLetsItsLineGoOn", lined(testSkip)},
	{"TestG5_ALineGoesOnWithoutADeadOneInTime", lined(testPass)},
	{"TestG5_CanceledOnesLeaveTheirLine", lined(testLineCancel)},
	{"TestG5_AFallbackKeepsTheTurn", lined(testLineDiverted)},
	{"TestG5_ReplayJoinsTheLineAgain", lined(testLineReplay)},
	{"TestG5_ReplayOfWhatIsPointlessIsForced", lined(testReplayPointless)},
	{"TestG5_AReplayAsANewOneJoinsToo", lined(testLineReplayNewID)},
	{"TestG5_ReplayOfAHeldOne", lined(testReplayHeld)},
	{"TestG5_AReplannedOneJoinsItsLine", lined(testLineReplan)},
	{"TestG5_ALineOutlivesRestartsAndCrashes", lined(testLineRestart)},
	{"TestG5_WhatWasBegunAtACrashKeepsItsPlace", lined(testLineDoubt)},
	{"TestG5_AMovedLineGoesOn", lined(testLineMoved)},
	{"TestG5_EntitiesAreListed", lined(testEntities)},
	{"TestG5_PositionsOutliveEvents", lined(testLineExpires)},
	{"TestG5_ALineThatIsHeldUpKeepsItsDeadOne", lined(testBlockExpires)},
	{"TestG7_OthersAreClaimedBesideALongLine", lined(testLongLine)},

	{"TestG5_AfterWaitsForADelivery", lined(testAfter)},
	{"TestG5_AfterNeedsAllOfIts", lined(testAfterAll)},
	{"TestG5_AfterHoldsWhatHasNoOrder", lined(testAfterUnordered)},
	{"TestG5_AWaitThatRunsOutEndsAsItsPolicySays", lined(testAfterRunsOut)},
	{"TestG5_WhatIsReleasedJoinsByItsVersion", lined(testAfterLate)},
	{"TestG5_CancelEndsAWait", lined(testAfterCancel)},
}

// line is a suite whose one node has the lane of the destination orders.
type line struct {
	*suite
	t     *testing.T
	lease store.Lease
	n     int // events made
}

// lined gives a test a line, and looks whether it is sound at its end.
func lined(run func(*line)) func(*testing.T, *suite) {
	return func(t *testing.T, s *suite) {
		x := &line{suite: s, t: t, lease: s.lease(t, "n1", "orders")}
		run(x)
		if !t.Failed() {
			x.sound()
		}
	}
}

// member says of a delivery what matters for its line. Its zero value is one of a
// sequence, of order/1 from shop, without a version.
type member struct {
	source, entity, typ, version string

	order  seawall.Ordering // Unordered: Sequence
	none   bool             // Unordered all the same
	settle time.Duration
	late   seawall.LatePolicy
	after  []string
	wait   time.Duration // 0: for ever
	onWait seawall.WaitPolicy
	counts bool
	to     string // destination
}

func sequence(version string) member { return member{version: version} }
func latest(version string) member   { return member{version: version, order: seawall.Latest} }

// plan makes an event with the delivery that a member is.
func (x *line) plan(m member) store.Acceptance {
	x.t.Helper()
	or := func(v *string, usual string) {
		if *v == "" {
			*v = usual
		}
	}
	or(&m.source, "shop")
	or(&m.entity, "order/1")
	or(&m.typ, "order.paid")
	or(&m.to, "orders")
	if m.order == seawall.Unordered && !m.none {
		m.order = seawall.Sequence
	}
	x.n++
	e := x.event(m.source, fmt.Sprint("line-", x.n), fmt.Sprintf(`{"n":%d}`, x.n))
	e.Entity, e.Version, e.Type = m.entity, m.version, m.typ
	a := x.acceptance(e, m.to)
	d := &a.Deliveries[0]
	d.Entity, d.Order, d.OnLate, d.After, d.OnWait, d.Counts = m.entity, m.order, m.late, m.after, m.onWait, m.counts
	if m.order != seawall.Unordered {
		var rank []byte
		if m.version != "" {
			var err error
			rank, err = order.Rank([]string{m.version}, order.Number)
			must(x.t, err)
		}
		d.Rank = order.On(m.source, rank)
	}
	d.Due = x.Clock.Now().Add(m.settle)
	if len(m.after) > 0 {
		if d.Due = order.Never; m.wait > 0 {
			d.Due = x.Clock.Now().Add(m.wait)
		}
	}
	return a
}

// arrive accepts a member, and returns its delivery.
func (x *line) arrive(m member) seawall.Delivery {
	x.t.Helper()
	return x.arriveAll(x.plan(m))[0]
}

// arriveAll accepts events in one request, checks that the store keeps what it says
// became of their deliveries, and returns the first of each.
func (x *line) arriveAll(batch ...store.Acceptance) (ds []seawall.Delivery) {
	x.t.Helper()
	out, err := x.Store.Accept(x.t.Context(), batch)
	must(x.t, err)
	last := map[seawall.DeliveryID]bool{}
	for i := range batch {
		if out[i].Verdict != seawall.New {
			x.t.Fatalf("event %d is %s", i, out[i].Verdict)
		}
		ds = append(ds, batch[i].Deliveries[0])
		last[batch[i].Deliveries[0].ID] = i == len(batch)-1
	}
	for _, d := range ds {
		got, err := x.Store.Delivery(x.t.Context(), d.ID)
		must(x.t, err)
		if got.Order != d.Order || got.OnLate != d.OnLate || got.OnWait != d.OnWait || got.Counts != d.Counts || got.Tied != d.Tied || string(got.Rank) != string(d.Rank) {
			x.t.Errorf("%s: kept as %+v, told as %+v", d.ID, got, d)
		}
		if !last[d.ID] { // a later one of the batch may have done something to it
			continue
		}
		if got.State != d.State || got.Reason != d.Reason || got.Late != d.Late || !got.State.Final() && !got.Due.Equal(d.Due) {
			x.t.Errorf("%s: kept as %+v, told as %+v", d.ID, got, d)
		}
	}
	return ds
}

// is checks where a delivery stands. want is its state, and after a space its
// reason: what the reason begins with, for superseded ones.
func (x *line) is(d seawall.Delivery, want string) *seawall.Delivery {
	x.t.Helper()
	got, err := x.Store.Delivery(x.t.Context(), d.ID)
	must(x.t, err)
	state, reason, told := strings.Cut(want, " ")
	if got.State.String() != state || told && !strings.HasPrefix(got.Reason, reason) || !told && got.State == seawall.Held {
		x.t.Fatalf("%s, version of rank %q, is %s %q, want %s", got.ID, got.Rank, got.State, got.Reason, want)
	}
	return got
}

// end settles a delivery in a state and returns what was handed over.
func (x *line) end(d seawall.Delivery, state seawall.State) *seawall.Delivery {
	x.t.Helper()
	return x.settleAs(x.ended(x.lease, *x.now(d), state), store.Done)
}

// now is a delivery as it stands.
func (x *line) now(d seawall.Delivery) *seawall.Delivery {
	x.t.Helper()
	got, err := x.Store.Delivery(x.t.Context(), d.ID)
	must(x.t, err)
	return got
}

// settleAs settles, and returns the delivery whose turn came with it.
func (x *line) settleAs(in store.Settlement, want store.Settled) *seawall.Delivery {
	x.t.Helper()
	ss := []store.Settlement{in}
	out, err := x.Store.Settle(x.t.Context(), ss)
	must(x.t, err)
	if out[0] != want {
		x.t.Fatalf("settle %s: got %d, want %d", in.Delivery, out[0], want)
	}
	next := ss[0].Next
	if next == nil {
		return nil
	}
	d := x.is(next.Delivery, "pending")
	if d.System != in.Lease.System {
		if next.Event != nil {
			x.t.Errorf("handed over with its event to who has another lane: %+v", d)
		}
		return d
	}
	if next.Event == nil || next.Event.ID != d.ID.Event() || len(next.Event.Body) == 0 || d.Due.After(x.Clock.Now()) || d.Destination != "orders" ||
		next.Delivery.State != seawall.Pending || !next.Delivery.Due.Equal(d.Due) || next.Delivery.Late != d.Late || next.Delivery.Order != d.Order || !next.Delivery.Since.Equal(d.Since) {
		x.t.Errorf("handed over %+v, kept as %+v", next.Delivery, d)
	}
	return d
}

// deliver settles one as delivered, and checks which delivery has the turn now: nil
// for none.
func (x *line) deliver(d seawall.Delivery, next *seawall.Delivery) {
	x.t.Helper()
	x.isNext(x.end(d, seawall.Delivered), next)
}

func (x *line) isNext(got, want *seawall.Delivery) {
	x.t.Helper()
	if (got == nil) != (want == nil) || got != nil && got.ID != want.ID {
		x.t.Fatalf("handed over %+v, want %+v", got, want)
	}
}

// retry settles one as to be tried again after a while.
func (x *line) retry(d seawall.Delivery, after time.Duration) {
	x.t.Helper()
	in := x.ended(x.lease, *x.now(d), seawall.Pending)
	in.Due = x.Clock.Now().Add(after)
	x.isNext(x.settleAs(in, store.Done), nil)
}

// ripen has those go on whose time has come, and returns what it did.
func (x *line) ripen() store.Ripened {
	x.t.Helper()
	r, err := x.Store.Ripen(x.t.Context(), x.lease, "orders", x.Clock.Now(), 100)
	must(x.t, err)
	return r
}

// ripens checks that it frees so many, and when the next one's time comes: 0: never.
func (x *line) ripens(freed int, next time.Duration) store.Ripened {
	x.t.Helper()
	r, want := x.ripen(), time.Time{}
	if next > 0 {
		want = x.Clock.Now().Add(next)
	}
	if r.Freed != freed || !r.Next.Equal(want) {
		x.t.Fatalf("ripened %+v, want %d freed and the next at %v", r, freed, want)
	}
	return r
}

// position is what orders has seen of order/1.
func (x *line) position() store.Position {
	x.t.Helper()
	ps, err := x.Store.Positions(x.t.Context(), "order/1")
	must(x.t, err)
	for _, p := range ps {
		if p.Destination == "orders" {
			return p
		}
	}
	return store.Position{}
}

// sound checks what holds of lines whatever happened: one is pending, what waits is
// counted, and something will have it go on.
func (x *line) sound() {
	x.t.Helper()
	ctx := x.t.Context()
	type where struct{ destination, entity string }
	pending, waiting, timers := map[where]int{}, map[where]int{}, map[where]int{}
	entities, persons := map[string]bool{}, map[seawall.DeliveryID]bool{}
	ds := collect(x.t, func(p store.Page) (store.List[seawall.Delivery], error) {
		return x.Store.ListDeliveries(ctx, store.DeliveryFilter{}, p)
	})
	for _, d := range ds {
		if !d.Lined() {
			continue
		}
		at := where{d.Destination, d.Entity}
		if d.Diverted {
			at.destination = "orders"
		}
		entities[d.Entity] = true
		switch {
		case d.Order != seawall.Unordered && (d.State == seawall.Pending || d.State == seawall.Sending):
			pending[at]++
		case d.State == seawall.Held && (d.Reason == seawall.ReasonUnknown || strings.HasPrefix(d.Reason, seawall.ReasonRecord)):
			persons[d.ID] = true
		case d.State == seawall.Held && (d.Reason == seawall.ReasonEarlier || d.Reason == seawall.ReasonSettle):
			waiting[at]++
		}
		if d.State == seawall.Held && d.Due.Before(order.Never) {
			timers[at]++
		}
	}
	positions := map[where]order.Position{}
	for e := range entities {
		ps, err := x.Store.Positions(ctx, e)
		must(x.t, err)
		for _, p := range ps {
			positions[where{p.Destination, e}] = p.Position
		}
	}
	for at, n := range pending {
		if n > 1 {
			x.t.Errorf("%v: %d have the turn", at, n)
		}
	}
	for at, p := range positions {
		if p.Waiting != waiting[at] {
			x.t.Errorf("%v: %d wait, and %d are counted", at, waiting[at], p.Waiting)
		}
		delete(waiting, at)
		if head := !p.Head.IsZero(); head != (pending[at] > 0) && !persons[p.Head.Delivery] {
			x.t.Errorf("%v: %d have the turn, the head is %v", at, pending[at], p.Head)
		}
		if p.Waiting > 0 && p.Head.IsZero() && p.Block.IsZero() && timers[at] == 0 {
			x.t.Errorf("%v: %d wait for nothing", at, p.Waiting)
		}
	}
	for at, n := range waiting {
		if n > 0 {
			x.t.Errorf("%v: %d wait without a position", at, n)
		}
	}
}

// depths checks what waits at orders.
func (x *line) depths(pending, held, dead int64) {
	x.t.Helper()
	if d := x.depth(x.t, "orders"); d.Pending != pending || d.Held != held || d.Dead != dead {
		x.t.Errorf("depth %+v, want %d, %d, %d", d, pending, held, dead)
	}
}

// claims checks which of orders' deliveries may be tried.
func (x *line) claims(want ...seawall.Delivery) {
	x.t.Helper()
	got := map[seawall.DeliveryID]bool{}
	for _, c := range x.claim(x.t, x.lease, 100) {
		got[c.Delivery.ID] = true
	}
	for _, d := range want {
		if !got[d.ID] {
			x.t.Errorf("%s is not to be claimed", d.ID)
		}
		delete(got, d.ID)
	}
	if len(got) > 0 {
		x.t.Errorf("more to be claimed: %v", got)
	}
}
