package storetest

import (
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

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
