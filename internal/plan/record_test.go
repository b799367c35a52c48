package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// records is a planner for payments of orders, which say their record and, unless
// they are refunds, their order; with a route that wants the order, one that does
// not, and one that asks for it.
func records(t *testing.T, then seawall.WaitPolicy) *Planner {
	return New(&config.Config{
		Entities: []*config.Entity{{
			Name: "order", Unresolved: config.Unresolved{Wait: time.Hour, Then: then},
			Claims: []config.Claim{{Source: "hub", Types: []string{"paid", "refunded"}, Key: code(t, ".order"), Record: code(t, ".payment"), System: "stripe", Version: codes(t, ".at")}},
		}},
		Routes: []*config.Route{
			{Name: "any", From: "hub", To: "a"},
			{Name: "ordered", From: "hub", To: "b", Entity: "order"},
			{Name: "asks", From: "hub", To: "c", Entity: "order", When: entityCode(t, `$entity.key == "7"`)},
		},
	})
}

func TestG9_AnEventWithKeyAndRecordTeachesTheLink(t *testing.T) {
	p := records(t, seawall.WaitDead)
	ev := event("paid", `{"order":7,"payment":"pi_3","at":5}`)
	got := p.Event(1, ev, now, Known{})
	if len(got.Links) != 1 || got.Links[0] != (seawall.Link{Entity: "order/7", System: "stripe", Record: "pi_3", At: now, By: ev.ID.String()}) {
		t.Errorf("teaches %+v", got.Links)
	}
	if got.Unresolved != nil || len(got.Deliveries) != 3 || got.Deliveries[1].State != seawall.Pending || ev.Version != "5" {
		t.Errorf("%+v, version %s", got, ev.Version)
	}
	for body, why := range map[string]string{
		`{"order":7,"at":5}`:                   "",
		`{"order":7,"payment":"","at":5}`:      "",
		`{"order":7,"payment":true,"at":5}`:    "!entity order: record: gives a boolean, where a text or a number is wanted",
		`{"at":5}`:                             "entity order: no key",
		`{"order":{},"payment":"pi_3","at":5}`: "!entity order: key: gives an object, where a text or a number is wanted",
	} {
		got := p.Event(1, event("paid", body), now, Known{})
		why, failed := strings.CutPrefix(why, "!")
		if d := got.Decisions[0]; got.Links != nil || got.Unresolved != nil || d.Why != why || d.Error != failed {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestG9_AnEventWithItsRecordAloneWaitsForTheLink(t *testing.T) {
	p := records(t, seawall.WaitDead)
	ev := event("refunded", `{"payment":"pi_3","at":9}`)
	until := now.Add(time.Hour)
	got := p.Event(1, ev, now, Known{})
	if got.Unresolved == nil || *got.Unresolved != (store.Record{Entity: "order", System: "stripe", Record: "pi_3", Until: until}) || got.Links != nil {
		t.Fatalf("waits for %+v", got.Unresolved)
	}
	if why := got.Decisions[0].Why; why != "entity order: record pi_3 of stripe belongs to none yet: waits for its link until 2026-11-24T13:00:00Z" || got.Decisions[0].Error {
		t.Errorf("says %q", why)
	}
	if ev.Entity != "" || ev.Version != "9" || got.Routing != seawall.Routed || len(got.Deliveries) != 3 {
		t.Fatalf("%q, version %q, %+v", ev.Entity, ev.Version, got)
	}
	if d := got.Deliveries[0]; d.State != seawall.Pending || !d.Due.Equal(now) {
		t.Errorf("who does not care for the order waits: %+v", d)
	}
	for _, d := range got.Deliveries[1:] {
		if d.State != seawall.Held || d.Reason != seawall.ReasonUnresolved || !d.Due.Equal(until) || d.Entity != "" {
			t.Errorf("held %+v", d)
		}
	}

	// Once it is known, the event is planned as if it had said it.
	got = p.Event(1, ev, until, Known{Entity: "order/8"})
	if ev.Entity != "order/8" || ev.Version != "9" || got.Unresolved != nil || got.Links != nil || len(got.Deliveries) != 2 {
		t.Fatalf("%q: %+v", ev.Entity, got)
	}
	if d := got.Deliveries[1]; d.Route != "ordered" || d.State != seawall.Pending || d.Entity != "order/8" || d.Shard != shard(ev, 1) {
		t.Errorf("%+v", d)
	}
	if w := got.Decisions[0].Why; w != "entity order: record pi_3 of stripe is order/8" {
		t.Errorf("says %q", w)
	}
	if w := got.Decisions[3]; w.Matched || !strings.HasPrefix(w.Why, "when: false") {
		t.Errorf("the route that asks says %+v", w)
	}
}

// A claim that says its record and no key leaves the provider's out: that is what
// the record is called, not the entity.
func TestG9_ARecordAloneIsNoKeyOfTheProviders(t *testing.T) {
	p := New(&config.Config{Entities: []*config.Entity{{
		Name: "order", Unresolved: config.Unresolved{Wait: time.Hour},
		Claims: []config.Claim{{Source: "hub", Record: code(t, ".payment")}},
	}}})
	ev := event("paid", `{"payment":"pi_3"}`)
	ev.Entity = "pi_3"
	got := p.Event(1, ev, now, Known{})
	if ev.Entity != "" || got.Links != nil || got.Unresolved == nil || got.Unresolved.System != "hub" {
		t.Errorf("%q: %+v", ev.Entity, got)
	}
	ev = event("paid", `{}`)
	ev.Entity = "pi_3"
	if got := p.Event(1, ev, now, Known{}); ev.Entity != "" || got.Unresolved != nil || got.Decisions[0].Why != "entity order: no key" {
		t.Errorf("%q: %+v", ev.Entity, got)
	}
}

func TestG9_AnEventWhoseLinkNeverComesEndsAsSaid(t *testing.T) {
	for then, c := range map[seawall.WaitPolicy]struct {
		state seawall.State
		end   string
		due   time.Time
	}{
		seawall.WaitDead:    {seawall.Dead, "it is a dead letter where a route wants the entity", now},
		seawall.WaitDeliver: {seawall.Pending, "it goes on without an entity", now},
		seawall.WaitHold:    {seawall.Held, "it is held for a person", order.Never},
	} {
		p := records(t, then)
		ev := event("refunded", `{"payment":"pi_3","at":9}`)
		first := p.Event(1, ev, now.Add(-time.Hour), Known{})
		if until := first.Unresolved.Until; then == seawall.WaitHold && !until.Equal(order.Never) || then != seawall.WaitHold && !until.Equal(now) {
			t.Errorf("%s: waits until %v", then, until)
		}
		got := p.Event(1, ev, now, Known{Over: true})
		d := got.Deliveries[1]
		if got.Unresolved != nil || d.Route != "ordered" || d.State != c.state || d.Entity != "" || !d.Due.Equal(c.due) || (d.State == seawall.Dead) == d.Finished.IsZero() {
			t.Errorf("%s: %+v", then, d)
		}
		if w := got.Decisions[0].Why; w != "entity order: record pi_3 of stripe belongs to none, and the wait for its link is over: "+c.end {
			t.Errorf("%s: says %q", then, w)
		}
		if len(got.Deliveries) != 2 { // the one that asks has its answer: there is no entity
			t.Errorf("%s: %+v", then, got.Deliveries)
		}
	}
}

func TestG9_AnEntityThatWasMergedGoesByItsNewName(t *testing.T) {
	p := records(t, seawall.WaitDead)
	alias := func(entity string) string { return map[string]string{"order/8": "order/7"}[entity] }
	for _, c := range []struct{ body, known, said string }{
		{`{"order":8,"payment":"pi_3"}`, "", "entity order: order/8 was merged into order/7"},
		{`{"payment":"pi_3"}`, "order/8", "entity order: order/8 was merged into order/7"},
		{`{"order":7,"payment":"pi_3"}`, "", ""},
	} {
		ev := event("paid", c.body)
		got := p.Event(1, ev, now, Known{Entity: c.known, Alias: alias})
		if ev.Entity != "order/7" || len(got.Deliveries) != 3 || got.Deliveries[1].Entity != "order/7" {
			t.Errorf("%s: %q, %+v", c.body, ev.Entity, got.Deliveries)
		}
		if c.said != "" && got.Decisions[0].Why != c.said || c.known == "" && got.Links[0].Entity != "order/7" {
			t.Errorf("%s: %+v", c.body, got)
		}
	}
}
