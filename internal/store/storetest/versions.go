package storetest

import (
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

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
