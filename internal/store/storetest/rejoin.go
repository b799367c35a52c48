package storetest

import (
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

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
