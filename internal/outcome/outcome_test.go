package outcome

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var now = time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)

// maker makes outcomes for one route from seawall with these types.
func maker(types ...string) *Maker {
	routes := []*config.Route{{Name: "r", From: seawall.SourceOutcomes, To: "ops", Types: types}}
	if types == nil {
		routes = nil
	}
	p := plan.New(&config.Config{
		Destinations: []*config.Destination{{Name: "ops", Shards: 1}}, Routes: routes,
	})
	return &Maker{
		Current: func() Current { return Current{Routes: p, Revision: 7, Keep: time.Hour} },
		Now:     func() time.Time { return now }, Random: rand.Reader,
	}
}

func claimed(source string) *store.Claimed {
	id := seawall.NewEventID(now, rand.Reader)
	ev := &seawall.Event{ID: id, Source: source, Type: "paid", Entity: "order/1", Depth: 2}
	d := seawall.Delivery{
		ID: id.Delivery(1), Route: "stripe-orders", Destination: "orders", System: "orders", Source: source,
		Type: "paid", Entity: "order/1", Attempts: 3, Since: now,
	}
	if source == seawall.SourceCalls {
		ev.SourceID, ev.Method, ev.URL = "bank/team%2Fa/key/1", "POST", "/charges?secret=1"
		d.Route, d.Destination, d.System = source, seawall.CallsTo("bank"), "bank"
	}
	return &store.Claimed{Delivery: d, Event: ev}
}

func ended(s seawall.State, reason string) store.Settlement {
	return store.Settlement{
		State: s, Reason: reason, At: now,
		Attempt: &seawall.Attempt{N: 4, Outcome: seawall.Refused, Error: "HTTP 500", Response: &seawall.Response{Status: 500}},
	}
}

func TestWhichOutcomesAreEvents(t *testing.T) {
	dead, held := ended(seawall.Dead, "gave up"), ended(seawall.Held, seawall.ReasonUnknown)
	moved := ended(seawall.Pending, "")
	moved.Move = &store.Place{Destination: "spare"}
	answered, refused := ended(seawall.Delivered, ""), ended(seawall.Dead, "HTTP 402")
	answered.Answer, refused.Answer = &seawall.Answer{Status: 201}, &seawall.Answer{Status: 402}
	for _, c := range []struct {
		types  string // "-": no route
		source string
		s      store.Settlement
		want   string
	}{
		{"", "stripe", dead, seawall.TypeDead},
		{"delivery.dead", "stripe", dead, seawall.TypeDead},
		{"breaker.*", "stripe", dead, ""},
		{"-", "stripe", dead, ""},
		{"", "stripe", held, seawall.TypeHeld},
		{"", "stripe", ended(seawall.Held, "settle"), ""},
		{"", "stripe", ended(seawall.Held, seawall.ReasonLate), seawall.TypeHeld},
		{"", "stripe", ended(seawall.Held, seawall.ReasonPrerequisite), seawall.TypeHeld},
		{"", "stripe", ended(seawall.Pending, "HTTP 500"), ""},
		{"", "stripe", moved, seawall.TypeDiverted},
		{"", "stripe", ended(seawall.Delivered, ""), ""},
		{"delivery.*", "stripe", ended(seawall.Delivered, ""), ""},
		{"delivery.delivered", "stripe", ended(seawall.Delivered, ""), seawall.TypeDelivered},
		{"delivery.delivered", seawall.SourceOutcomes, ended(seawall.Delivered, ""), ""},
		{"", seawall.SourceOutcomes, dead, seawall.TypeDead},
		{"", seawall.SourceCalls, answered, seawall.TypeCompleted},
		{"call.completed", seawall.SourceCalls, refused, seawall.TypeCompleted},
		{"", seawall.SourceCalls, dead, seawall.TypeCallDead},
		{"", seawall.SourceCalls, held, seawall.TypeCallUnknown},
		{"delivery.*", seawall.SourceCalls, dead, ""},
	} {
		m := maker(strings.Fields(c.types)...)
		if c.types == "" {
			m = maker("*")
		}
		if c.types == "-" {
			m = maker()
		}
		got := m.Of(claimed(c.source), &c.s)
		kind := ""
		if len(got) == 1 {
			kind = got[0].Event.Type
		}
		if kind != c.want {
			t.Errorf("%q, %s %s: %q, want %q", c.types, c.source, c.s.State, kind, c.want)
		}
	}
}

func TestWhatAnOutcomeSays(t *testing.T) {
	c := claimed(seawall.SourceCalls)
	s := ended(seawall.Dead, "HTTP 402")
	s.Answer = &seawall.Answer{Status: 402}
	a := maker("*").Of(c, &s)[0]
	ev := a.Event
	if ev.Source != seawall.SourceOutcomes || ev.Cause != c.Event.ID || ev.Depth != 3 || ev.Entity != "order/1" || ev.Revision != 7 ||
		ev.Routing != seawall.Routed || len(a.Deliveries) != 1 || a.Deliveries[0].Destination != "ops" || !a.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v", ev)
	}
	var got report
	if err := json.Unmarshal(ev.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Delivery != c.Delivery.ID.String() || got.State != "dead" || got.Status != 402 || got.Attempts != 4 || got.Error != "HTTP 500" ||
		*got.Call != (called{ID: c.Event.ID.Call(), By: "team/a", Key: "key/1", Method: "POST", Path: "/charges"}) {
		t.Errorf("%s", ev.Body)
	}
	if strings.Contains(string(ev.Body), "secret") {
		t.Error("it shows the query")
	}
}

// The same settlement written twice is one event, and each round has its own.
func TestG3_OutcomesAreToldOnce(t *testing.T) {
	m := maker("*")
	c := claimed("stripe")
	s := ended(seawall.Dead, "gave up")
	id := func() string { return m.Of(c, &s)[0].Event.SourceID }
	first := id()
	if id() != first {
		t.Error("not stable")
	}
	s.Attempt.N++
	if id() == first {
		t.Error("another attempt is another outcome")
	}
	s.Attempt, s.Move, s.State = nil, &store.Place{Destination: "spare"}, seawall.Pending
	first = id()
	c.Delivery.Since = c.Delivery.Since.Add(time.Hour) // replayed
	if id() == first {
		t.Error("another round is another outcome")
	}
}

func TestChainsOfOutcomesEnd(t *testing.T) {
	m, s := maker("*"), ended(seawall.Dead, "gave up")
	c := claimed("stripe")
	c.Event.Depth = 0
	n := 0
	for ; n < 100; n++ {
		made := m.Of(c, &s)
		if len(made) == 0 {
			break
		}
		c = &store.Claimed{Event: made[0].Event, Delivery: made[0].Deliveries[0]}
	}
	if n != seawall.MaxDepth {
		t.Errorf("a route that reacts to its own dead letters made %d events, want %d", n, seawall.MaxDepth)
	}
}
