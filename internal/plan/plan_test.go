package plan

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func code(t testing.TB, source string) *expr.Code {
	t.Helper()
	if source == "" {
		return nil
	}
	c, err := expr.Compile(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return c
}

func event(kind, body string) *seawall.Event {
	return &seawall.Event{
		ID: seawall.NewEventID(now, bytes.NewReader(make([]byte, 10))), Source: "hub", Type: kind, Entity: "e/1",
		Headers: http.Header{"Content-Type": {"application/json"}, "X-A": {"b"}}, Body: []byte(body),
	}
}

func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		name    string
		types   []string
		when    string
		kind    string
		body    string
		matched bool
		why     string
		routing seawall.Routing
	}{
		{name: "all", kind: "push", body: `{}`, matched: true},
		{name: "all, no type", body: `{}`, matched: true},
		{name: "type", types: []string{"pull_request.*", "push"}, kind: "push", matched: true},
		{
			name: "other type", types: []string{"pull_request.*"}, kind: "push",
			why: `types: "push" matches none of [pull_request.*]`, routing: seawall.Unmatched,
		},
		{
			name: "no type", types: []string{"a", "b.*"},
			why: `types: "" matches none of [a, b.*]`, routing: seawall.Unmatched,
		},
		{name: "when", when: `.action == "opened"`, body: `{"action":"opened"}`, matched: true},
		{
			name: "when not", when: ".action == \"opened\"\n  and .draft", body: `{"action":"closed"}`,
			why: `when: false: .action == "opened" and .draft`, routing: seawall.Unmatched,
		},
		{name: "when null", when: `.a`, body: `{}`, why: `when: false: .a`, routing: seawall.Unmatched},
		{name: "when empty", when: `empty`, body: `{}`, why: `when: false: empty`, routing: seawall.Unmatched},
		{name: "when zero", when: `.a`, body: `{"a":0}`, matched: true}, // by jq's rule
		{
			name: "when fails", when: `.a.b`, body: `{"a":[1]}`,
			why: `when: error: `, routing: seawall.PlanError,
		},
		{
			name: "broken payload", when: `.a`, body: `{"a":`,
			why: `when: error: payload: `, routing: seawall.PlanError,
		},
		{name: "broken payload that nobody looks at", body: `{"a":`, matched: true},
		{
			name: "broken payload of a type that is not wanted", types: []string{"b"}, when: `.a`, kind: "a", body: `{"a":`,
			why: `types: "a" matches none of [b]`, routing: seawall.Unmatched,
		},
		{name: "event", when: `$event.type == "push" and $event.headers["x-a"] == "b"`, kind: "push", body: `{}`, matched: true},
	} {
		p := New(&config.Config{Routes: []*config.Route{{Name: "r", From: "hub", Types: c.types, When: code(t, c.when), To: "dest"}}})
		routing, decisions, ds := p.Plan(7, event(c.kind, c.body), now)
		if routing != c.routing || len(decisions) != 1 || (len(ds) == 1) != c.matched {
			t.Errorf("%s: %s, %+v, %d deliveries", c.name, routing, decisions, len(ds))
			continue
		}
		d := decisions[0]
		if d.Matched != c.matched || d.Error != (c.routing == seawall.PlanError) || d.Route != "r" {
			t.Errorf("%s: %+v", c.name, d)
		}
		if d.Why != c.why && !(d.Error && strings.HasPrefix(d.Why, c.why)) {
			t.Errorf("%s: why %q, want %q", c.name, d.Why, c.why)
		}
	}
}

func TestFanOut(t *testing.T) {
	p := New(&config.Config{Routes: []*config.Route{
		{Name: "one", From: "hub", To: "a"},
		{Name: "other", From: "elsewhere", To: "a"},
		{Name: "broken", From: "hub", When: code(t, `error("no")`), To: "b"},
		{Name: "no", From: "hub", Types: []string{"x"}, To: "b"},
		{Name: "two", From: "hub", To: "c"},
	}})
	ev := event("push", `{}`)
	routing, decisions, ds := p.Plan(7, ev, now)
	if routing != seawall.PlanError {
		t.Errorf("routing %s", routing)
	}
	if got := fmt.Sprint(decisions); got != `[{one true  false} {broken false when: error: no true} {no false types: "push" matches none of [x] false} {two true  false}]` {
		t.Errorf("decisions %s", got)
	}
	want := []seawall.Delivery{
		{ID: ev.ID.Delivery(1), Route: "one", Destination: "a", System: "a"},
		{ID: ev.ID.Delivery(2), Route: "two", Destination: "c", System: "c"},
	}
	for i := range want {
		w := &want[i]
		w.Source, w.Type, w.Entity, w.Revision = "hub", "push", "e/1", 7
		w.Due, w.Since, w.Created = now, now, now
	}
	if !reflect.DeepEqual(ds, want) {
		t.Errorf("deliveries\n%+v, want\n%+v", ds, want)
	}
	ev.Source = "nowhere"
	if routing, decisions, ds := p.Plan(7, ev, now); routing != seawall.Unmatched || len(decisions)+len(ds) != 0 {
		t.Errorf("a source without routes: %s, %v, %v", routing, decisions, ds)
	}
}

// A delivery waits in a lane of the system that its destination is a request on.
func TestDeliveriesWaitForTheirSystem(t *testing.T) {
	p := New(&config.Config{
		Destinations: []*config.Destination{{Name: "a", System: "crm", Shards: 7}, {Name: "b", System: "b", Shards: 1}},
		Routes:       []*config.Route{{Name: "one", From: "hub", To: "a"}, {Name: "two", From: "hub", To: "b"}},
	})
	ev := event("push", `{}`)
	_, _, ds := p.Plan(1, ev, now)
	if len(ds) != 2 || ds[0].System != "crm" || ds[0].Shard != shard(ev, 7) || ds[1].System != "b" || ds[1].Shard != 0 {
		t.Errorf("%+v", ds)
	}
}

func TestDecisionsAreBounded(t *testing.T) {
	p := New(&config.Config{Routes: []*config.Route{{Name: "r", From: "hub", Types: []string{"x"}, To: "a"}}})
	_, decisions, _ := p.Plan(1, event(strings.Repeat("é", 10_000), "{}"), now)
	if len(decisions[0].Why) > 500 {
		t.Errorf("a decision of %d bytes", len(decisions[0].Why))
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string // separated by spaces
	}{
		{"push", "push", "Push push. pus pushh"},
		{"*", "a a.b a/b é", ""},
		{"payment_intent.*", "payment_intent.succeeded payment_intent.a.b payment_intent.", "payment_intent payment_intents.x xpayment_intent.a"},
		{"orders/*", "orders/create orders/ orders/a/b", "orders order/create"},
		{"*.deleted", "customer.deleted a.b.deleted .deleted", "deleted customer.deleted.x"},
		{"a*b*c", "abc aXbYc aabbcc abbc", "ac ab abcd xabc acb"},
		{"a*a", "aa aba", "a ab"},
		{"**", "a ab", ""},
		{"a.b", "a.b", "aXb"},
		{"[a]?", "[a]?", "a ax [a]x"},
	} {
		g := globs([]string{c.pattern})
		for _, s := range strings.Fields(c.yes) {
			if !matchAny(g, s) {
				t.Errorf("%q does not match %q", c.pattern, s)
			}
		}
		for _, s := range strings.Fields(c.no) {
			if matchAny(g, s) {
				t.Errorf("%q matches %q", c.pattern, s)
			}
		}
	}
	if !matchAny(globs([]string{"*"}), "") || matchAny(globs([]string{"a"}), "") || !matchAny(nil, "") {
		t.Error("the empty type")
	}
}

func BenchmarkPlan(b *testing.B) {
	body := `{"ref":"refs/heads/main","action":"opened","pad":"` + strings.Repeat("x", 950) + `"}`
	claims := map[string]*config.Entity{
		"entity of the provider": {Name: "order", Claims: []config.Claim{{Source: "hub"}}},
		"entity by jq":           {Name: "order", Claims: []config.Claim{{Source: "hub", Key: code(b, ".ref"), Version: []*expr.Code{code(b, ".action")}}}},
		"ordered":                {Name: "order", Claims: []config.Claim{{Source: "hub"}}},
	}
	plain := []*config.Route{{Name: "r", From: "hub", To: "a"}}
	for name, routes := range map[string][]*config.Route{
		"entity of the provider": plain, "entity by jq": plain,
		"ordered": {{Name: "r", From: "hub", To: "a", Entity: "order", Order: seawall.Sequence}},
		"plain":   {{Name: "r", From: "hub", To: "a"}},
		"types":   {{Name: "r", From: "hub", Types: []string{"issues.*", "push"}, To: "a"}, {Name: "s", From: "hub", Types: []string{"issues.*"}, To: "a"}},
		"when":    {{Name: "r", From: "hub", When: code(b, `.ref == "refs/heads/main"`), To: "a"}},
		"3 whens": {{Name: "r", From: "hub", When: code(b, `.ref == "a"`), To: "a"}, {Name: "s", From: "hub", When: code(b, `.ref == "b"`), To: "a"}, {Name: "t", From: "hub", When: code(b, `.action`), To: "a"}},
	} {
		b.Run(name, func(b *testing.B) {
			c := &config.Config{Routes: routes}
			if e := claims[name]; e != nil {
				c.Entities = []*config.Entity{e}
			}
			p := New(c)
			ev := event("push", body)
			ev.Version = "2026-11-24T12:00:00Z"
			b.ReportAllocs()
			for b.Loop() {
				p.Plan(1, ev, now)
			}
		})
	}
}
