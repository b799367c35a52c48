package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/transfer"
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

func testOneHead(x *line) {
	one := x.arrive(sequence("1"))
	x.is(one, "pending")
	two, three := x.arrive(sequence("2")), x.arrive(sequence("3"))
	x.is(two, "held earlier")
	x.is(three, "held earlier")
	other := x.arrive(member{version: "1", entity: "order/2"})
	longer := x.arrive(member{version: "1", entity: "order/11"})
	elsewhere := x.arrive(member{version: "1", to: "audit"})
	x.is(elsewhere, "pending")
	x.claims(one, other, longer)
	x.depths(3, 2, 0)
	if p := x.position(); p.Head.Delivery != one.ID || p.Head.Version != "1" || p.Waiting != 2 || !p.At.Equal(x.Clock.Now()) ||
		len(p.Clocks) != 1 || p.Clocks[0].Name != "shop" || p.Clocks[0].Top.Version != "3" || !p.Clocks[0].Seen.IsZero() {
		x.t.Errorf("position %+v", p)
	}
	x.Clock.Advance(time.Second)
	x.deliver(one, &two)
	if p := x.position(); p.Head.Delivery != two.ID || p.Waiting != 1 || p.Clocks[0].Seen.Version != "1" || !p.At.Equal(x.Clock.Now()) {
		x.t.Errorf("position %+v", p)
	}
	x.claims(other, longer, two)
	x.depths(3, 1, 0)
	x.deliver(two, &three)
	x.deliver(three, nil)
	x.depths(2, 0, 0)
	if p := x.position(); !p.Head.IsZero() || p.Waiting != 0 || p.Clocks[0].Seen.Version != "3" || p.Clocks[0].Top.Key != p.Clocks[0].Seen.Key {
		x.t.Errorf("position %+v", p)
	}
}

func testLowestFirst(x *line) {
	one := x.arrive(sequence("1"))
	four, three, ten, two := x.arrive(sequence("4")), x.arrive(sequence("3")), x.arrive(sequence("10")), x.arrive(sequence("2"))
	again := x.arrive(sequence("3"))
	for _, pair := range [][2]*seawall.Delivery{{&one, &two}, {&two, &three}, {&three, &again}, {&again, &four}, {&four, &ten}, {&ten, nil}} {
		x.deliver(*pair[0], pair[1])
	}
	if d := x.now(ten); d.Late {
		x.t.Error("the last is late")
	}
}

func testLineBatch(x *line) {
	ds := x.arriveAll(x.plan(sequence("3")), x.plan(sequence("1")), x.plan(member{version: "7", entity: "order/2"}), x.plan(sequence("2")), x.plan(member{version: "8", entity: "order/2"}))
	x.is(ds[0], "pending")
	x.is(ds[1], "held earlier")
	x.is(ds[2], "pending")
	x.is(ds[3], "held earlier")
	x.is(ds[4], "held earlier")
	if p := x.position(); p.Waiting != 2 {
		x.t.Errorf("position %+v", p)
	}
	x.depths(2, 3, 0)
	x.deliver(ds[0], &ds[1])
	if !x.now(ds[1]).Late {
		x.t.Error("version 1 comes after version 3 and is not late")
	}
	// Of what only the newest matters, the others of the batch are not sent at all.
	at := member{order: seawall.Latest, entity: "order/3"}
	var batch []store.Acceptance
	for _, v := range []string{"1", "3", "2", "4"} {
		at.version = v
		batch = append(batch, x.plan(at))
	}
	ds = x.arriveAll(batch...)
	x.is(ds[0], "pending") // it may be under way already
	x.is(ds[1], "superseded by version 4, "+ds[3].ID.Event().String())
	x.is(ds[2], "superseded by version 3, "+ds[1].ID.Event().String())
	x.is(ds[3], "held earlier")
	x.deliver(ds[0], &ds[3])
}

func testLineDuplicate(x *line) {
	a := x.plan(sequence("1"))
	one := x.arriveAll(a)[0]
	for _, body := range []string{string(a.Event.Body), "another"} {
		e := x.event("shop", a.Event.SourceID, body)
		b := x.acceptance(e, "orders")
		b.Deliveries[0].Entity, b.Deliveries[0].Order, b.Deliveries[0].Rank = "order/1", seawall.Sequence, order.On("shop", nil)
		out, err := x.Store.Accept(x.t.Context(), []store.Acceptance{b})
		must(x.t, err)
		if out[0].Verdict == seawall.New {
			x.t.Fatal("it is new")
		}
	}
	if p := x.position(); p.Waiting != 0 || p.Head.Delivery != one.ID {
		x.t.Errorf("position %+v", p)
	}
	x.deliver(one, nil)
}

func testNextHandedOver(x *line) {
	// Several lines in one settlement, one of them twice.
	var heads, follow []seawall.Delivery
	for i := range 5 {
		at := member{version: "1", entity: fmt.Sprint("order/", i)}
		heads = append(heads, x.arrive(at))
		at.version = "2"
		follow = append(follow, x.arrive(at))
	}
	x.Clock.Advance(time.Second)
	var in []store.Settlement
	for _, d := range heads {
		in = append(in, x.ended(x.lease, d, seawall.Delivered))
	}
	in = append(in, x.ended(x.lease, follow[0], seawall.Delivered)) // its turn comes with the first
	out, err := x.Store.Settle(x.t.Context(), in)
	must(x.t, err)
	for i := range in {
		if out[i] != store.Done {
			x.t.Errorf("settlement %d: %d", i, out[i])
		}
	}
	for i := 1; i < 5; i++ {
		if n := in[i].Next; n == nil || n.Delivery.ID != follow[i].ID || string(n.Event.Body) == "" || !n.Delivery.Due.Equal(x.Clock.Now()) {
			x.t.Errorf("settlement %d hands over %+v", i, n)
		}
	}
	x.is(follow[0], "delivered")
	x.claims(follow[1:]...)
}

func testNextElsewhere(x *line) {
	one := x.arrive(sequence("1"))
	a := x.plan(sequence("2"))
	a.Deliveries[0].System = "elsewhere" // the destination moved to another system
	two := x.arriveAll(a)[0]
	x.deliver(one, &two)
	there := x.suite.lease(x.t, "n1", "elsewhere")
	due, _, err := x.Store.Claim(x.t.Context(), there, store.Claim{Destination: "orders", Now: x.Clock.Now(), Rescan: true, Limit: 10})
	must(x.t, err)
	if len(due) != 1 || due[0].Delivery.ID != two.ID {
		x.t.Errorf("claimed %+v", due)
	}
}

func testSettleWindow(x *line) {
	window := 2 * time.Second
	three := x.arrive(member{version: "3", settle: window})
	x.is(three, "held settle")
	x.Clock.Advance(time.Second)
	one := x.arrive(member{version: "1", settle: window})
	x.ripens(0, time.Second)
	x.Clock.Advance(time.Second)
	// The window of 3 is over; 1, which comes before it, has its own.
	x.ripens(0, time.Second)
	x.Store = x.Reopen(x.t)
	x.lease = x.suite.lease(x.t, "n1", "orders")
	x.claims()
	x.Clock.Advance(time.Second)
	x.ripens(1, 0)
	x.is(one, "pending")
	x.is(three, "held earlier")
	x.claims(one)
	x.deliver(one, &three)
	// In a window while the head is there: it waits for both.
	four := x.arrive(member{version: "4", settle: window})
	x.is(four, "held earlier")
	x.deliver(three, nil)
	x.is(four, "held earlier")
	x.Clock.Advance(window)
	x.ripens(1, 0)
	x.deliver(four, nil)
	x.ripens(0, 0)
}

func testRipenBounds(x *line) {
	var ds []seawall.Delivery
	for i := range 5 {
		ds = append(ds, x.arrive(member{version: "1", entity: fmt.Sprint("order/", i), settle: time.Second}))
		x.Clock.Advance(time.Millisecond)
	}
	x.arrive(member{version: "1", to: "audit", settle: time.Second}) // another queue's
	x.Clock.Advance(time.Minute)
	old := x.lease
	old.Token--
	if r, err := x.Store.Ripen(x.t.Context(), old, "orders", x.Clock.Now(), 100); err != nil || r.Freed != 0 {
		x.t.Fatalf("an old lease: %+v, %v", r, err)
	}
	if r, err := x.Store.Ripen(x.t.Context(), x.lease, "nothing", x.Clock.Now(), 100); err != nil || r.Freed != 0 || !r.Next.IsZero() {
		x.t.Fatalf("a destination that nobody knows: %+v, %v", r, err)
	}
	now := x.Clock.Now()
	for _, want := range []int{2, 2, 1} {
		r, err := x.Store.Ripen(x.t.Context(), x.lease, "orders", now, 2)
		must(x.t, err)
		if r.Freed != want || (want == 2) != r.Next.Equal(now) {
			x.t.Fatalf("ripened %+v, want %d", r, want)
		}
	}
	x.ripens(0, 0)
	x.claims(ds...)
	x.depths(5, 0, 0)
}

func testRetryKeepsPlace(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	for range 3 {
		x.retry(one, time.Minute)
		x.claims()
		x.is(two, "held earlier")
		x.Clock.Advance(time.Minute)
		x.claims(one)
	}
	x.deliver(one, &two)
}

func testContested(x *line) {
	five := x.arrive(sequence("5"))
	six := x.arrive(sequence("6"))
	x.retry(five, time.Hour)
	three := x.arrive(sequence("3"))
	x.is(three, "pending")
	x.is(five, "held earlier")
	x.depths(1, 2, 0)
	begun, err := x.Store.Begin(x.t.Context(), x.lease, []seawall.DeliveryID{five.ID, three.ID})
	must(x.t, err)
	if len(begun) != 1 || begun[0] != three.ID {
		x.t.Errorf("begun %v", begun)
	}
	x.deliver(three, &five)
	if d := x.now(five); d.Attempts != 1 || d.Late {
		x.t.Errorf("got %+v", d)
	}
	// A head that was due long ago without being tried is not firm either, one that
	// is due since a moment is.
	x.Clock.Advance(time.Second)
	two := x.arrive(sequence("4"))
	x.is(two, "pending") // tried before: not firm
	x.is(five, "held earlier")
	x.Clock.Advance(time.Second)
	x.is(x.arrive(member{version: "3.5"}), "held earlier")
	x.Clock.Advance(10 * time.Second)
	first := x.arrive(member{version: "3.2"})
	x.is(first, "pending")
	x.is(two, "held earlier")
	x.is(six, "held earlier")
	if p := x.position(); p.Head.Delivery != first.ID || p.Waiting != 4 {
		x.t.Errorf("position %+v", p)
	}
}

func testBegunIsFirm(x *line) {
	five := x.arrive(sequence("5"))
	x.retry(five, time.Second)
	x.Clock.Advance(time.Hour)
	if begun, err := x.Store.Begin(x.t.Context(), x.lease, []seawall.DeliveryID{five.ID}); err != nil || len(begun) != 1 {
		x.t.Fatalf("begun %v, %v", begun, err)
	}
	three := x.arrive(sequence("3"))
	x.is(three, "held earlier")
	x.is(five, "sending")
	x.deliver(five, &three)
	if !x.now(three).Late {
		x.t.Error("version 3 comes after version 5 and is not late")
	}
}

func testDisplacedDelivered(x *line) {
	five := x.arrive(sequence("5"))
	x.retry(five, time.Hour)
	in := x.ended(x.lease, *x.now(five), seawall.Delivered) // it is under way
	three := x.arrive(sequence("3"))
	x.is(five, "held earlier")
	x.isNext(x.settleAs(in, store.Done), nil)
	x.is(five, "delivered")
	x.is(three, "pending")
	if p := x.position(); p.Waiting != 0 || p.Head.Delivery != three.ID || p.Clocks[0].Seen.Version != "5" {
		x.t.Errorf("position %+v", p)
	}
	x.depths(1, 0, 0)
	x.deliver(three, nil)
}

func testDisplacedRetry(x *line) {
	five := x.arrive(sequence("5"))
	x.retry(five, time.Hour)
	in := x.ended(x.lease, *x.now(five), seawall.Pending)
	in.Due = x.Clock.Now().Add(time.Minute)
	three := x.arrive(sequence("3"))
	x.isNext(x.settleAs(in, store.Done), nil)
	if d := x.is(five, "held earlier"); d.Attempts != 2 {
		x.t.Errorf("got %+v", d)
	}
	x.claims(three)
	x.depths(1, 1, 0)
	x.end(three, seawall.Delivered)
	x.Clock.Advance(time.Minute) // it is tried again when its retry is due, not before
	x.ripen()
	x.is(five, "pending")
	x.deliver(five, nil)
}

func testSupersededDelivered(x *line) {
	one := x.arrive(latest("1"))
	x.retry(one, time.Hour)
	in := x.ended(x.lease, *x.now(one), seawall.Delivered)
	two := x.arrive(latest("2"))
	x.is(one, "superseded by version 2")
	x.isNext(x.settleAs(in, store.Ended), nil)
	x.is(one, "superseded by version 2")
	x.attempts(x.t, one.ID, 2)
	if p := x.position(); p.Head.Delivery != two.ID || p.Clocks[0].Seen.Version != "1" {
		x.t.Errorf("position %+v", p)
	}
	x.deliver(two, nil)
}

func testLatestArrival(x *line) {
	seven := x.arrive(latest("7"))
	for range 2 {
		three := x.arrive(latest("3"))
		d := x.is(three, "superseded by version 7, "+seven.ID.Event().String())
		if d.Finished.IsZero() || d.Attempts != 0 {
			x.t.Errorf("got %+v", d)
		}
		if x.now(seven).State == seawall.Pending {
			x.deliver(seven, nil)
		}
	}
	eight := x.arrive(latest("8"))
	x.deliver(eight, nil)
	x.depths(0, 0, 0)
}

func testLatestWaiting(x *line) {
	one := x.arrive(latest("1"))
	two := x.arrive(latest("2"))
	x.is(two, "held earlier")
	x.Clock.Advance(time.Second)
	three := x.arrive(latest("3"))
	d := x.is(two, "superseded by version 3, "+three.ID.Event().String())
	if !d.Finished.Equal(x.Clock.Now()) {
		x.t.Errorf("got %+v", d)
	}
	x.is(three, "held earlier")
	x.depths(1, 1, 0)
	x.deliver(one, &three)
	x.deliver(three, nil)
}

func testLatestRetry(x *line) {
	one := x.arrive(latest("1"))
	x.retry(one, time.Hour)
	two := x.arrive(latest("2"))
	x.is(one, "superseded by version 2, "+two.ID.Event().String())
	x.attempts(x.t, one.ID, 1)
	x.claims(two)
	if begun, err := x.Store.Begin(x.t.Context(), x.lease, []seawall.DeliveryID{one.ID, two.ID}); err != nil || len(begun) != 1 || begun[0] != two.ID {
		x.t.Errorf("begun %v, %v", begun, err)
	}
	three := x.arrive(latest("3"))
	x.is(three, "held earlier")
	x.deliver(two, &three)
	// One whose outcome a person is to decide does not hold up the newest.
	in := x.ended(x.lease, *x.now(three), seawall.Held)
	in.Reason = seawall.ReasonUnknown
	x.isNext(x.settleAs(in, store.Done), nil)
	four := x.arrive(latest("4"))
	x.is(three, "superseded by version 4")
	x.deliver(four, nil)
	x.depths(0, 0, 0)
}

func testLatestWindow(x *line) {
	var last seawall.Delivery
	for i := range 5 {
		last = x.arrive(member{version: fmt.Sprint(i + 1), order: seawall.Latest, settle: 2 * time.Second})
		x.is(last, "held settle")
		x.Clock.Advance(400 * time.Millisecond)
	}
	x.ripens(1, 0)
	x.is(last, "pending")
	x.deliver(last, nil)
}

func testLatestSameEvent(x *line) {
	a := x.plan(latest("1"))
	second := a.Deliveries[0]
	second.ID, second.Route = a.Event.ID.Delivery(2), "another route"
	a.Deliveries = append(a.Deliveries, second)
	out, err := x.Store.Accept(x.t.Context(), []store.Acceptance{a})
	must(x.t, err)
	if out[0].Verdict != seawall.New {
		x.t.Fatal("it is not new")
	}
	first, second := a.Deliveries[0], a.Deliveries[1]
	x.is(first, "pending")
	x.is(second, "held earlier")
	if second.Tied {
		x.t.Error("it ties with itself")
	}
	x.deliver(first, &second)
	x.deliver(second, nil)
}

func testTies(x *line) {
	first, second := x.arrive(sequence("5")), x.arrive(sequence("5"))
	if first.Tied || !second.Tied {
		x.t.Errorf("tied: %v, %v", first.Tied, second.Tied)
	}
	x.deliver(first, &second)
	x.deliver(second, nil)
	at := member{version: "5", order: seawall.Latest, entity: "order/2"}
	head := x.arrive(at)
	third, fourth := x.arrive(at), x.arrive(at)
	if !fourth.Tied {
		x.t.Error("the last is not tied")
	}
	x.is(third, "superseded by version 5, "+fourth.ID.Event().String())
	x.deliver(head, &fourth)
}

func testNoVersion(x *line) {
	five := x.arrive(sequence("5"))
	none := x.arrive(sequence(""))
	six := x.arrive(sequence("6"))
	if string(none.Rank) != string(five.Rank) || none.Tied {
		x.t.Errorf("it is of rank %q, tied %v", none.Rank, none.Tied)
	}
	x.deliver(five, &none)
	x.deliver(none, &six)
	x.is(x.arrive(member{order: seawall.Latest, entity: "order/2"}), "pending")
}

func testClocks(x *line) {
	nine := x.arrive(latest("900"))
	three := x.arrive(member{version: "3", order: seawall.Latest, source: "stripe"})
	x.is(three, "held earlier")
	four := x.arrive(member{version: "4", order: seawall.Latest, source: "stripe"})
	x.is(three, "superseded by version 4")
	late := x.arrive(member{version: "2", order: seawall.Latest, source: "stripe"})
	x.is(late, "superseded by version 4")
	thousand := x.arrive(latest("1000"))
	if p := x.position(); len(p.Clocks) != 2 || p.Waiting != 2 {
		x.t.Errorf("position %+v", p)
	}
	x.deliver(nine, &four) // between clocks the arrival decides
	x.deliver(four, &thousand)
	x.deliver(thousand, nil)
	for _, c := range x.position().Clocks {
		if want := map[string]string{"shop": "1000", "stripe": "4"}[c.Name]; c.Seen.Version != want || c.Top.Version != want {
			x.t.Errorf("clock %+v, want %s", c, want)
		}
	}
	// Ranks of one clock's are read apart from those of another whose name begins alike.
	at := func(source, version string) member {
		return member{source: source, version: version, entity: "order/2"}
	}
	head := x.arrive(at("a", "5"))
	b := x.arrive(at("ab", "1"))
	c := x.arrive(at("a", "6"))
	d := x.arrive(at("ab", "0.5"))
	x.deliver(head, &c) // the first of a came before the first of ab, which is 0.5
	x.deliver(c, &d)
	x.deliver(d, &b)
}

func testLate(x *line) {
	x.deliver(x.arrive(sequence("5")), nil)
	late := x.arrive(sequence("3"))
	if d := x.is(late, "pending"); !d.Late {
		x.t.Error("it is not late")
	}
	x.deliver(late, nil)
	if p := x.position(); p.Clocks[0].Seen.Version != "5" {
		x.t.Errorf("the newest that was delivered is %+v", p.Clocks[0].Seen)
	}
	if d := x.now(late); !d.Late {
		x.t.Error("it was not late, after all")
	}
	gone := x.arrive(member{version: "2", late: seawall.LateSupersede})
	x.is(gone, "superseded by version 5")
	held := x.arrive(member{version: "4", late: seawall.LateHold})
	x.is(held, "held late")
	x.hold(held)
	six := x.arrive(sequence("6"))
	x.is(six, "pending") // what is held for a person holds nobody up
	// Those that become late only as their turn comes.
	one := x.arrive(member{version: "1", late: seawall.LateSupersede})
	two := x.arrive(member{version: "2", late: seawall.LateHold})
	seven := x.arrive(sequence("7"))
	x.is(one, "superseded")
	x.is(two, "held late")
	x.deliver(six, &seven)
	x.hold(two)
	at := member{version: "5", entity: "order/2"}
	head := x.arrive(at)
	at.version, at.late = "1", seawall.LateSupersede
	first := x.arrive(at)
	at.version, at.late = "2", seawall.LateHold
	second := x.arrive(at)
	at.version, at.late = "3", seawall.LateDeliver
	third := x.arrive(at)
	x.deliver(head, &third)
	x.is(first, "superseded by version 5")
	x.is(second, "held late")
	x.hold(second)
	x.depths(2, 3, 0)
}

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

// replay replays one, and returns what became of it: nil if it was left as it is.
func (x *line) replay(d seawall.Delivery, o store.ReplayOptions) *seawall.Delivery {
	x.t.Helper()
	o.At = x.Clock.Now()
	ds, err := x.Store.Replay(x.t.Context(), []seawall.DeliveryID{d.ID}, o, seawall.Action{What: "replay", At: o.At})
	must(x.t, err)
	if len(ds) == 0 {
		return nil
	}
	if len(ds) > 1 {
		x.t.Fatalf("replayed %+v", ds)
	}
	return &ds[0]
}

func testLineReplay(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	x.deliver(one, &two)
	x.deliver(two, nil)
	x.Clock.Advance(time.Hour)
	// The newest again is not late; an older one is.
	if d := x.replay(two, store.ReplayOptions{}); d == nil || d.State != seawall.Pending || d.Late || d.Attempts != 1 || d.Round != 0 {
		x.t.Fatalf("replayed %+v", d)
	}
	d := x.replay(one, store.ReplayOptions{Pin: true})
	if d == nil || d.State != seawall.Pending || !d.Late || !d.Pinned {
		// It goes before: a replayed head is not firm.
		x.t.Fatalf("replayed %+v", d)
	}
	x.is(two, "held earlier")
	x.deliver(one, &two)
	x.deliver(two, nil)
	x.attempts(x.t, one.ID, 2)
	// Replays are spaced; each has its turn all the same.
	at := x.Clock.Now()
	ds, err := x.Store.Replay(x.t.Context(), []seawall.DeliveryID{one.ID, two.ID}, store.ReplayOptions{At: at.Add(time.Minute), Every: time.Minute}, seawall.Action{What: "replay"})
	must(x.t, err)
	if len(ds) != 2 || !ds[0].Due.Equal(at.Add(time.Minute)) || ds[0].State != seawall.Pending || ds[1].State != seawall.Held {
		x.t.Fatalf("replayed %+v", ds)
	}
	x.claims()
	x.Clock.Advance(time.Minute)
	x.claims(one)
	x.depths(1, 1, 0)
	x.end(one, seawall.Delivered)
}

func testReplayPointless(x *line) {
	one := x.arrive(latest("1"))
	two := x.arrive(latest("2"))
	three := x.arrive(latest("3"))
	x.deliver(one, &three)
	x.deliver(three, nil)
	if d := x.replay(two, store.ReplayOptions{}); d != nil {
		x.t.Fatalf("replayed %+v", d)
	}
	x.is(two, "superseded by version 3")
	d := x.replay(two, store.ReplayOptions{Force: true})
	if d == nil || !d.Late || d.State != seawall.Pending {
		x.t.Fatalf("replayed %+v", d)
	}
	x.deliver(two, nil)
	if p := x.position(); p.Clocks[0].Seen.Version != "3" {
		x.t.Errorf("position %+v", p)
	}
	if d := x.replay(three, store.ReplayOptions{}); d == nil || d.Late {
		x.t.Fatalf("replayed %+v", d)
	}
	x.deliver(three, nil)
	if d := x.replay(one, store.ReplayOptions{NewID: true}); d != nil {
		x.t.Fatalf("replayed %+v", d)
	}
	if d := x.replay(one, store.ReplayOptions{NewID: true, Force: true}); d == nil || !d.Late || d.State != seawall.Pending || d.ID == one.ID {
		x.t.Fatalf("replayed %+v", d)
	}
}

func testLineReplayNewID(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	x.deliver(one, &two)
	d := x.replay(one, store.ReplayOptions{NewID: true})
	if d == nil || d.ID == one.ID || d.State != seawall.Held || d.Order != seawall.Sequence || string(d.Rank) != string(one.Rank) {
		x.t.Fatalf("replayed %+v", d)
	}
	x.is(one, "delivered")
	x.deliver(two, d)
	if !x.now(*d).Late {
		x.t.Error("version 1 comes after version 2 and is not late")
	}
	x.deliver(*d, nil)
	x.depths(0, 0, 0)
	// Of a dead one that holds its line up it takes the place: else it would wait for it.
	three, four := x.arrive(sequence("3")), x.arrive(sequence("4"))
	x.end(three, seawall.Dead)
	d = x.replay(three, store.ReplayOptions{NewID: true})
	if d == nil || d.ID == three.ID || d.State != seawall.Pending {
		x.t.Fatalf("replayed %+v", d)
	}
	x.is(three, "dead")
	x.is(four, "held earlier")
	x.deliver(*d, &four)
	x.deliver(four, nil)
}

func testReplayHeld(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	in := x.ended(x.lease, one, seawall.Held)
	in.Reason = seawall.ReasonUnknown
	x.isNext(x.settleAs(in, store.Done), nil)
	if d := x.is(one, "held unknown"); d.Due.Before(order.Never) {
		x.t.Errorf("due at %v", d.Due)
	}
	x.is(two, "held earlier") // a person is to say first
	x.is(x.arrive(sequence("0.5")), "held earlier")
	x.ripens(0, 0)
	if d := x.replay(one, store.ReplayOptions{}); d == nil || d.State != seawall.Pending {
		x.t.Fatalf("replayed %+v", d)
	}
	x.depths(1, 2, 0)
	x.end(one, seawall.Delivered)

	at := member{version: "5", entity: "order/2"}
	x.deliver(x.arrive(at), nil)
	at.version, at.late = "4", seawall.LateHold
	late := x.arrive(at)
	x.is(late, "held late")
	if d := x.replay(late, store.ReplayOptions{}); d == nil || d.State != seawall.Pending || !d.Late {
		x.t.Fatalf("replayed %+v", d)
	}
	if d := x.replay(late, store.ReplayOptions{}); d != nil {
		x.t.Fatalf("replayed twice: %+v", d)
	}
	x.deliver(late, nil)
	// Held for a person by its record, or for what did not come.
	at = member{version: "1", entity: "order/3"}
	third := x.arrive(at)
	in = x.ended(x.lease, third, seawall.Held)
	in.Reason = seawall.ReasonRecord + "another's"
	x.isNext(x.settleAs(in, store.Done), nil)
	at.version = "2"
	fourth := x.arrive(at)
	x.is(fourth, "held earlier")
	if d := x.replay(third, store.ReplayOptions{}); d == nil || d.State != seawall.Pending || d.Reason != "" {
		x.t.Fatalf("replayed %+v", d)
	}
	x.deliver(third, &fourth)
	at.version, at.after = "3", []string{"order.created"}
	fifth := x.arrive(at)
	if d := x.replay(fifth, store.ReplayOptions{}); d == nil || d.State != seawall.Held || d.Reason != seawall.ReasonEarlier || len(d.After) != 0 {
		x.t.Fatalf("replayed %+v", d)
	}
	x.deliver(fourth, &fifth)
	// One that waits is left as it is.
	if d := x.replay(two, store.ReplayOptions{}); d != nil {
		x.t.Fatalf("replayed %+v", d)
	}
}

func testLineReplan(x *line) {
	one := x.arrive(sequence("1"))
	wrong := x.event("shop", "wrong", "{}")
	wrong.Routing = seawall.PlanError
	_, err := x.Store.Accept(x.t.Context(), []store.Acceptance{{Event: wrong, Expires: wrong.ReceivedAt.Add(horizon)}})
	must(x.t, err)
	a := x.plan(sequence("2"))
	wrong.Routing, wrong.Entity, wrong.Version = seawall.Routed, "order/1", "2"
	d := a.Deliveries[0]
	d.ID = seawall.DeliveryID{}
	ds, err := x.Store.Replan(x.t.Context(), wrong, []seawall.Delivery{d}, seawall.Action{What: "replan"})
	must(x.t, err)
	if len(ds) != 1 || ds[0].State != seawall.Held || ds[0].Reason != seawall.ReasonEarlier {
		x.t.Fatalf("planned %+v", ds)
	}
	if p := x.position(); p.Waiting != 1 || p.Clocks[0].Top.Version != "2" {
		x.t.Errorf("position %+v", p)
	}
	x.deliver(one, &ds[0])
	x.deliver(ds[0], nil)
}

func testLineRestart(x *line) {
	head := x.arrive(sequence("5"))
	one, nine := x.arrive(sequence("1")), x.arrive(member{version: "9", settle: time.Minute})
	dead := x.arrive(member{version: "1", entity: "order/2"})
	behind := x.arrive(member{version: "2", entity: "order/2"})
	x.end(dead, seawall.Dead)
	before := x.position()
	for _, again := range []func(*testing.T) store.Store{x.Reopen, x.Crash} {
		x.Store = again(x.t)
		x.lease = x.suite.lease(x.t, "n1", "orders")
		if p := x.position(); fmt.Sprint(p) != fmt.Sprint(before) {
			x.t.Errorf("position %+v, and was %+v", p, before)
		}
		x.claims(head)
		x.sound()
	}
	x.is(behind, "held earlier")
	x.deliver(head, &one)
	x.deliver(one, nil)
	x.Clock.Advance(time.Minute)
	x.ripens(1, 0)
	x.deliver(nine, nil)
}

func testLineDoubt(x *line) {
	five := x.arrive(sequence("5"))
	x.retry(five, time.Minute)
	x.Clock.Advance(time.Minute)
	if begun, err := x.Store.Begin(x.t.Context(), x.lease, []seawall.DeliveryID{five.ID}); err != nil || len(begun) != 1 {
		x.t.Fatalf("begun %v, %v", begun, err)
	}
	x.Store = x.Crash(x.t)
	x.Clock.Advance(2 * time.Minute)
	x.lease = x.suite.lease(x.t, "n2", "orders")
	if d := x.is(five, "pending"); d.Step != seawall.Doubt {
		x.t.Fatalf("got %+v", d)
	}
	// Nobody takes the place of one that may have been delivered.
	three := x.arrive(sequence("3"))
	x.is(three, "held earlier")
	x.claims(five)
	x.deliver(five, &three)
}

func testLineMoved(x *line) {
	x.movable(x.t)
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	dead := x.arrive(member{version: "1", entity: "order/2"})
	behind := x.arrive(member{version: "2", entity: "order/2"})
	x.end(dead, seawall.Dead)
	windowed := x.arrive(member{version: "1", entity: "order/3", settle: time.Minute})
	waits := x.arrive(member{version: "1", entity: "order/4", after: []string{"order.created"}})
	x.putLinks(x.t, "order/1 crm 1")
	to := x.Another(x.t)
	_, err := transfer.Move(x.t.Context(), mover(x.t, x.Store), mover(x.t, to), transfer.Options{Chunk: 2})
	must(x.t, err)
	x.Store = to
	x.lease = x.suite.lease(x.t, "n1", "orders")
	x.is(x.arrive(sequence("0.5")), "held earlier") // the head is due since a moment
	x.deliver(one, x.only("held earlier", "0.5"))
	if ended, err := to.Skip(x.t.Context(), []seawall.DeliveryID{dead.ID}, seawall.Action{}); err != nil || len(ended) != 1 {
		x.t.Fatalf("skipped %v, %v", ended, err)
	}
	x.is(behind, "pending")
	x.Clock.Advance(time.Minute)
	x.ripens(1, 0)
	x.is(windowed, "pending")
	first := created()
	first.entity = "order/4"
	x.deliverDone(x.arrive(first), "order.created")
	x.is(waits, "pending")
	x.is(two, "held earlier")
	x.arrive(member{version: "1", entity: "order/5"}) // numbers are not given twice
	x.putLinks(x.t, "order/5 crm 5")
}

// only is the one of order/1 in a state with a version.
func (x *line) only(state, version string) *seawall.Delivery {
	x.t.Helper()
	rank, err := order.Rank([]string{version}, order.Number)
	must(x.t, err)
	for _, d := range collect(x.t, func(p store.Page) (store.List[seawall.Delivery], error) {
		return x.Store.ListDeliveries(x.t.Context(), store.DeliveryFilter{Entity: "order/1"}, p)
	}) {
		if d.State.String()+" "+d.Reason == state && string(d.Rank) == string(order.On("shop", rank)) {
			return &d
		}
	}
	x.t.Fatalf("none of version %s is %s", version, state)
	return nil
}

func testEntities(x *line) {
	for _, e := range []string{"order/2", "order/10", "user/a", "order/1", "orders/x"} {
		head := x.arrive(member{version: "1", entity: e})
		switch e {
		case "order/2":
			x.arrive(member{version: "2", entity: e})
			x.arrive(member{version: "3", entity: e})
			x.arrive(member{version: "1", entity: e, to: "audit"})
			x.arrive(member{version: "2", entity: e, to: "audit"})
		case "user/a":
			x.end(head, seawall.Dead)
			x.arrive(member{version: "2", entity: e})
		case "order/1":
			x.end(head, seawall.Dead)
		}
	}
	for _, c := range []struct {
		filter store.EntityFilter
		want   string
	}{
		{store.EntityFilter{}, "order/1:0:1 order/10:0:0 order/2:3:0 orders/x:0:0 user/a:1:1"},
		{store.EntityFilter{Name: "order"}, "order/1:0:1 order/10:0:0 order/2:3:0"},
		{store.EntityFilter{Name: "user"}, "user/a:1:1"},
		{store.EntityFilter{Destination: "audit"}, "order/2:1:0"},
		{store.EntityFilter{Waiting: true}, "order/1:0:1 order/2:3:0 user/a:1:1"},
		{store.EntityFilter{Waiting: true, Name: "order", Destination: "orders"}, "order/1:0:1 order/2:2:0"},
		{store.EntityFilter{Name: "none"}, ""},
	} {
		for _, limit := range []int{1, 2, 100} {
			var got []string
			cursor := ""
			for range 100 {
				l, err := x.Store.ListEntities(x.t.Context(), c.filter, store.Page{Limit: limit, Cursor: cursor})
				must(x.t, err)
				if len(l.Items) > limit {
					x.t.Fatalf("%d in a page of %d", len(l.Items), limit)
				}
				for _, e := range l.Items {
					got = append(got, fmt.Sprint(e.Entity, ":", e.Waiting, ":", e.Blocked))
					if !e.At.Equal(x.Clock.Now()) {
						x.t.Errorf("%s changed at %v", e.Entity, e.At)
					}
				}
				if cursor = l.Next; cursor == "" {
					break
				}
			}
			if strings.Join(got, " ") != c.want {
				x.t.Errorf("%+v, %d a page: %v, want %s", c.filter, limit, got, c.want)
			}
		}
	}
	ps, err := x.Store.Positions(x.t.Context(), "order/2")
	must(x.t, err)
	if len(ps) != 2 || ps[0].Destination != "audit" || ps[1].Destination != "orders" || ps[1].Waiting != 2 {
		x.t.Errorf("positions %+v", ps)
	}
	if ps, err := x.Store.Positions(x.t.Context(), "order/none"); err != nil || len(ps) != 0 {
		x.t.Errorf("positions %+v, %v", ps, err)
	}
}

// expireLines runs Expire with an age at which positions go.
func (x *line) expireLines(events, dead, lines time.Duration) {
	x.t.Helper()
	now := x.Clock.Now()
	for range 100 {
		_, more, err := x.Store.Expire(x.t.Context(), store.Expiry{Now: now, Events: now.Add(-events), Dead: now.Add(-dead), Lines: now.Add(-lines), Limit: 3})
		must(x.t, err)
		if !more {
			return
		}
	}
	x.t.Fatal("there is always more to delete")
}

func testLineExpires(x *line) {
	for i := range 10 {
		x.deliver(x.arrive(member{version: "1", entity: fmt.Sprint("gone/", i)}), nil)
	}
	x.deliver(x.arrive(sequence("5")), nil)
	waits := x.arrive(member{version: "1", entity: "waits/1"})
	held := x.arrive(member{version: "1", entity: "held/1", after: []string{"order.created"}})
	x.Clock.Advance(31 * day)
	x.expireLines(30*day, 90*day, 365*day)
	if _, err := x.Store.Event(x.t.Context(), waits.ID.Event()); err != nil {
		x.t.Fatal(err)
	}
	// The event is gone, what was seen is not.
	x.is(x.arrive(member{version: "4", late: seawall.LateSupersede}), "superseded by version 5")
	x.Clock.Advance(365 * day)
	x.expireLines(30*day, 90*day, 365*day)
	l, err := x.Store.ListEntities(x.t.Context(), store.EntityFilter{Name: "gone"}, store.Page{})
	must(x.t, err)
	if len(l.Items) != 0 {
		x.t.Errorf("positions stay: %+v", l.Items)
	}
	for _, e := range []string{"waits/1", "held/1"} {
		if ps, err := x.Store.Positions(x.t.Context(), e); err != nil || len(ps) != 1 {
			x.t.Errorf("%s: %+v, %v", e, ps, err)
		}
	}
	x.is(x.arrive(member{version: "1"}), "pending")
	// What is left goes on.
	in := x.ended(x.lease, x.arrive(member{none: true, typ: "order.created", entity: "held/1", counts: true}), seawall.Delivered)
	in.Done = []string{"order.created"}
	x.settleAs(in, store.Done)
	x.is(held, "pending")
	x.deliver(waits, nil)
}

func testBlockExpires(x *line) {
	one, two := x.arrive(sequence("1")), x.arrive(sequence("2"))
	x.end(one, seawall.Dead)
	alone := x.arrive(member{version: "1", entity: "order/2"})
	x.end(alone, seawall.Dead)
	x.Clock.Advance(100 * day)
	x.expireLines(30*day, 90*day, 30*day)
	x.is(one, "dead") // or nobody could say that its line is to go on
	x.is(two, "held earlier")
	if ended, err := x.Store.Skip(x.t.Context(), []seawall.DeliveryID{one.ID}, seawall.Action{What: "skip"}); err != nil || len(ended) != 1 {
		x.t.Fatalf("skipped %v, %v", ended, err)
	}
	x.is(two, "pending")
	// So does one that holds it up behind another that is dead.
	behind := member{version: "4", entity: "order/3"}
	second := x.arrive(behind)
	x.end(second, seawall.Dead)
	behind.version = "5"
	last := x.arrive(behind)
	behind.version = "3"
	first := x.arrive(behind)
	x.ripen()
	x.end(first, seawall.Dead)
	x.Clock.Advance(100 * day)
	x.expireLines(30*day, 90*day, 30*day)
	x.is(second, "dead")
	x.skip(first)
	x.skip(second)
	x.is(last, "pending")
	// One that holds nobody up goes, and holds nobody up afterwards.
	if _, err := x.Store.Event(x.t.Context(), alone.ID.Event()); err == nil {
		x.t.Error("it stays")
	}
	x.is(x.arrive(member{version: "2", entity: "order/2"}), "pending")
}

func testLongLine(x *line) {
	const n = 300
	var batch []store.Acceptance
	for i := range n {
		batch = append(batch, x.plan(sequence(fmt.Sprint(n-i))))
	}
	hot := x.arriveAll(batch...)
	other := x.arrive(member{version: "1", entity: "order/2"})
	x.claims(hot[0], other)
	x.depths(2, n-1, 0)
	head := hot[0]
	for i := n - 1; i >= 1; i-- { // version n was the head; then from the lowest on
		x.deliver(head, &hot[i])
		head = hot[i]
	}
	x.deliver(head, nil)
}
