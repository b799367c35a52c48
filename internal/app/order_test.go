package app

import (
	"slices"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A try of a delivery in order that is not its first is begun in any case, so one
// death more is needed before it is taken for what kills.
func TestG7_PoisonInALineIsQuarantinedAsElsewhere(t *testing.T) {
	received := time.Date(2026, 11, 25, 1, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		order  seawall.Ordering
		before int // tries before the first death that was written down
		since  time.Time
		deaths int // written down, that make it dead
	}{
		{seawall.Unordered, 0, received, 2},
		{seawall.Unordered, 3, received, 2},
		{seawall.Sequence, 0, received, 2},
		{seawall.Sequence, 1, received, 3},
		{seawall.Latest, 0, received.Add(time.Hour), 3}, // replayed
	} {
		for deaths := 1; deaths <= c.deaths; deaths++ {
			d := &try{
				Claimed: &store.Claimed{
					Delivery: seawall.Delivery{Order: c.order, Since: c.since},
					Event:    &seawall.Event{ReceivedAt: received},
				},
			}
			for range c.before {
				d.past = append(d.past, seawall.Attempt{})
			}
			for range deaths - 1 {
				d.past = append(d.past, seawall.Attempt{Step: seawall.Doubt})
			}
			if d.deaths() != deaths {
				t.Errorf("%d deaths are counted, not %d", d.deaths(), deaths)
			}
			if ends := d.poisonous(deaths); ends != (deaths == c.deaths) {
				t.Errorf("%s, %d tries before: death %d ends it: %t", c.order, c.before, deaths, ends)
			}
		}
	}
}

// A settlement says what those behind it need to know, by where its line is: also
// of a delivery that went to its fallback.
func TestG5_SettlementsSayWhatTheyMeanForTheLine(t *testing.T) {
	c := &config.Config{
		Entities:     []*config.Entity{{Name: "order"}},
		Destinations: []*config.Destination{{Name: "ledger", RenamedFrom: "old"}, {Name: "ops"}},
		Routes: []*config.Route{
			{Name: "all", From: "shop", To: "ledger", Entity: "order", Order: seawall.Sequence, PassAfter: time.Hour},
			{Name: "paid", From: "shop", To: "ledger", Entity: "order", After: []string{"order.created", "order.*"}},
		},
	}
	l := &live{
		plan: plan.New(c), routes: map[string]*config.Route{"all": c.Routes[0]},
		destinations: map[string]*config.Destination{"ledger": c.Destinations[0], "old": c.Destinations[0], "ops": c.Destinations[1]},
	}
	p := &path{}
	p.run.Store(l)
	now := time.Date(2026, 11, 25, 1, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		d     seawall.Delivery
		state seawall.State
		done  []string
		pass  time.Time
	}{
		"delivered":         {seawall.Delivery{Destination: "ledger", Counts: true}, seawall.Delivered, []string{"order.created", "order.*"}, time.Time{}},
		"under an old name": {seawall.Delivery{Destination: "old", Counts: true}, seawall.Delivered, []string{"order.created", "order.*"}, time.Time{}},
		"by the fallback":   {seawall.Delivery{Destination: "ops", Diverted: true, Order: seawall.Sequence}, seawall.Delivered, []string{"order.created", "order.*"}, time.Time{}},
		"to another":        {seawall.Delivery{Destination: "ops", Counts: true}, seawall.Delivered, nil, time.Time{}},
		"none waits":        {seawall.Delivery{Destination: "ledger"}, seawall.Delivered, nil, time.Time{}},
		"dead":              {seawall.Delivery{Destination: "ledger", Order: seawall.Sequence}, seawall.Dead, nil, now.Add(time.Hour)},
		"dead, not in line": {seawall.Delivery{Destination: "ledger", Counts: true}, seawall.Dead, nil, time.Time{}},
		"again":             {seawall.Delivery{Destination: "ledger", Order: seawall.Sequence}, seawall.Pending, nil, time.Time{}},
	} {
		c.d.Route, c.d.Entity, c.d.Type = "all", "order/1001", "order.created"
		s := store.Settlement{State: c.state, At: now}
		p.inLine(&try{Claimed: &store.Claimed{Delivery: c.d}, live: l}, &s)
		if !slices.Equal(s.Done, c.done) || !s.Pass.Equal(c.pass) {
			t.Errorf("%s: %v, passed at %s", name, s.Done, s.Pass)
		}
	}
}

func TestWhichQueuesKeepTime(t *testing.T) {
	c := &config.Config{
		Destinations: []*config.Destination{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d", RenamedFrom: "old"}},
		Routes: []*config.Route{
			{To: "a"}, {To: "b", Order: seawall.Latest}, {To: "c", After: []string{"paid"}}, {To: "d", Order: seawall.Sequence},
		},
	}
	got := map[string]bool{}
	for _, target := range targets(c, []store.PendingQueue{{Destination: "old", Lane: store.Lane{System: "old"}}}) {
		got[target.Name] = target.Timed
	}
	for name, want := range map[string]bool{"a": false, "b": true, "c": true, "d": true, "old": true} {
		if got[name] != want {
			t.Errorf("%s: %t", name, got[name])
		}
	}
}
