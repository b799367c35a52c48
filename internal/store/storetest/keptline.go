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
