package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

func TestEntityOfAnEvent(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 5e6, time.UTC)
	long := strings.Repeat("k", 257)
	for _, c := range []struct {
		name, key, version string // of the claim; versions divided by commas
		body               string
		occurred           bool
		entity, is, why    string
		routing            seawall.Routing
	}{
		{name: "text", key: ".id", version: ".v", body: `{"id":"a","v":"2026-11-24T12:00:00Z"}`, entity: "order/a", is: "2026-11-24T12:00:00Z"},
		{name: "slash", key: ".id", body: `{"id":"a/b"}`, entity: "order/a/b"},
		{name: "number", key: ".id", version: ".v", body: `{"id":12345678901234567890,"v":17}`, entity: "order/12345678901234567890", is: "17"},
		{name: "exponent", key: ".id", version: ".v", body: `{"id":1e3,"v":1.5e1}`, entity: "order/1000", is: "15"},
		{name: "point", key: ".id", version: ".v", body: `{"id":7.0,"v":1.10}`, entity: "order/7", is: "1.10"},
		{name: "sum", key: ".id + 1", version: ".v / 4", body: `{"id":41,"v":2}`, entity: "order/42", is: "0.5"},
		{name: "parts", key: ".id", version: ".v,.w", body: `{"id":1,"v":"a,b","w":2}`, entity: "order/1", is: `["a,b","2"]`},
		{name: "the provider's", body: `{}`, entity: "order/pi_1", is: "9"},
		{name: "the provider's version", key: ".id", body: `{"id":1}`, occurred: true, entity: "order/1", is: "9"},

		{name: "none", key: ".id", version: ".v", body: `{"v":1}`, why: "entity order: no key", routing: seawall.Routed},
		{name: "empty", key: ".id", body: `{"id":""}`, why: "entity order: no key"},
		{name: "no version", key: ".id", version: ".v,.w", body: `{"id":1,"v":1}`, entity: "order/1", why: "entity order: no version"},

		{name: "boolean", key: ".id", body: `{"id":true}`, why: "!entity order: key: gives a boolean, where a text or a number is wanted"},
		{name: "object", key: ".", body: `{"id":1}`, why: "!entity order: key: gives an object, where a text or a number is wanted"},
		{name: "array", key: ".id", body: `{"id":[]}`, why: "!entity order: key: gives an array, where a text or a number is wanted"},
		{name: "fraction", key: ".id", body: `{"id":1.5}`, why: "!entity order: key: gives a fraction, or a number too large to be exact"},
		{name: "huge", key: ".id", body: `{"id":1e999999999}`, why: "!entity order: key: gives a fraction, or a number too large to be exact"},
		{name: "inexact", key: ".id * 1.0", body: `{"id":9007199254740993.5}`, why: "!entity order: key: gives a fraction, or a number too large to be exact"},
		{name: "nan", key: "nan", body: `{}`, why: "!entity order: key: gives no number"},
		{name: "long", key: ".id", body: `{"id":"` + long + `"}`, why: "!entity order: key: longer than 256 bytes"},
		{name: "control", key: ".id", body: `{"id":"a\u0000"}`, why: "!entity order: key: a control character, at byte 2"},
		{name: "fails", key: ".id.x", body: `{"id":1}`, why: "!entity order: key: .x of a number, which is no object"},
		{name: "broken", key: ".id", body: `{"id":`, why: "!entity order: key: payload: "},
		{name: "version fails", key: ".id", version: ".v", body: `{"id":1,"v":{}}`, entity: "order/1", why: "!entity order: version: gives an object, where a text or a number is wanted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New(&config.Config{
				Entities: []*config.Entity{{Name: "order", Claims: []config.Claim{{Source: "hub", Key: code(t, c.key), Version: codes(t, c.version)}}}},
				Routes:   []*config.Route{{Name: "r", From: "hub", To: "a"}},
			})
			ev := event("paid", c.body)
			ev.Entity, ev.Version = "pi_1", "9"
			if c.occurred {
				ev.OccurredAt = at
			}
			if c.is == "" && c.version == "" {
				c.is = "9"
				if c.entity == "" {
					c.is = ""
				}
			}
			routing, decisions, ds := p.Plan(1, ev, now)
			if ev.Entity != c.entity || ev.Version != c.is {
				t.Errorf("%q, version %q; want %q, version %q", ev.Entity, ev.Version, c.entity, c.is)
			}
			why, failed := strings.CutPrefix(c.why, "!")
			want := seawall.Routed
			if failed {
				want = seawall.PlanError
			}
			if len(ds) != 1 || ds[0].Entity != c.entity || routing != want { // it is delivered in any case
				t.Errorf("%s, deliveries %+v", routing, ds)
			}
			if c.why == "" {
				if len(decisions) != 1 {
					t.Errorf("decisions %+v", decisions)
				}
			} else if len(decisions) != 2 || !strings.HasPrefix(decisions[0].Why, why) || decisions[0].Error != failed || decisions[0].Route != "" || decisions[0].Matched {
				t.Errorf("decisions %+v", decisions)
			}
		})
	}
}

// What a provider calls its object stands in headers and indexes like any other key.
func TestKeysOfProvidersAreBounded(t *testing.T) {
	p := New(&config.Config{Entities: []*config.Entity{{Name: "order", Claims: []config.Claim{{Source: "hub"}}}}})
	long := strings.Repeat("k", 257)
	for _, c := range []struct{ entity, version, is, why string }{
		{"a\nb", "1", "", "entity order: key: a control character, at byte 2"},
		{long, "1", "", "entity order: key: longer than 256 bytes"},
		{"a", "1\n", "order/a", "entity order: version: a control character, at byte 2"},
		{"a", long, "order/a", "entity order: version: longer than 256 bytes"},
	} {
		ev := event("paid", "{}")
		ev.Entity, ev.Version = c.entity, c.version
		routing, decisions, _ := p.Plan(1, ev, now)
		if ev.Entity != c.is || ev.Version != "" || routing != seawall.PlanError || len(decisions) != 1 || decisions[0].Why != c.why {
			t.Errorf("%q, version %q, %s, %v", ev.Entity, ev.Version, routing, decisions)
		}
	}
}

func codes(t *testing.T, versions string) (out []*expr.Code) {
	for v := range strings.SplitSeq(versions, ",") {
		if v != "" {
			out = append(out, code(t, v))
		}
	}
	return out
}

func TestEntityByTypeAndSource(t *testing.T) {
	p := New(&config.Config{
		Entities: []*config.Entity{
			{Name: "order", Claims: []config.Claim{{Source: "hub", Types: []string{"order.*"}, Key: code(t, ".id")}}},
			{Name: "user", Claims: []config.Claim{{Source: "app", Key: code(t, ".id")}, {Source: "hub", Types: []string{"user"}, Key: code(t, ".u")}}},
		},
		Routes: []*config.Route{{Name: "r", From: "hub", When: entityCode(t, `$entity.key == "1" and $event.entity == "order/1"`), To: "a"}},
	})
	for _, c := range []struct{ source, kind, entity, decisions string }{
		{"hub", "order.paid", "order/1", "[{r true  false}]"}, // the filter sees it
		{"hub", "user", "user/2", `[{r false when: false: $entity.key == "1" and $event.entity == "order/1" false}]`},
		{"hub", "other", "e/1", `[{r false when: false: $entity.key == "1" and $event.entity == "order/1" false}]`}, // nobody's: as the provider said
		{"app", "anything", "user/1", "[]"},                                                                         // without a route too
		{"lab", "order.paid", "e/1", "[]"},
	} {
		ev := event(c.kind, `{"id":1,"u":2}`)
		ev.Source = c.source
		_, decisions, _ := p.Plan(1, ev, now)
		if ev.Entity != c.entity || fmt.Sprint(decisions) != c.decisions {
			t.Errorf("%s %s: %s, %v", c.source, c.kind, ev.Entity, decisions)
		}
	}
}

func entityCode(t *testing.T, source string) *expr.Code {
	c, err := expr.Compile(source, expr.EntityVar)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A version that nobody states is when the event occurred; and planning again
// changes nothing of what the provider said.
func TestEntityIsTheSameWhenPlannedAgain(t *testing.T) {
	p := New(&config.Config{Entities: []*config.Entity{{Name: "order", Claims: []config.Claim{{Source: "hub"}}}}})
	ev := event("paid", `not JSON`) // nor looked at
	ev.Entity, ev.OccurredAt = "pi_1", time.Date(2026, 11, 24, 13, 0, 0, 5e6, time.FixedZone("", 3600))
	for range 2 {
		if routing, decisions, _ := p.Plan(1, ev, now); routing != seawall.Unmatched || decisions != nil {
			t.Errorf("%s, %v", routing, decisions)
		}
		if ev.Entity != "order/pi_1" || ev.Version != "2026-11-24T12:00:00.005Z" {
			t.Errorf("%s, version %s", ev.Entity, ev.Version)
		}
	}
	ev.Entity, ev.Version = "", ""
	p.Plan(1, ev, now)
	if ev.Entity != "" || ev.Version != "" {
		t.Errorf("without a key of the provider's: %q, version %q", ev.Entity, ev.Version)
	}
}

// A sender cannot put its event among those of an entity that does not claim it.
func TestNobodyPassesForAnEntity(t *testing.T) {
	p := New(&config.Config{Entities: []*config.Entity{{Name: "order", Claims: []config.Claim{{Source: "hub", Types: []string{"order.*"}}}}}})
	for _, c := range []struct{ source, kind, entity, want string }{
		{"lab", "x", "order/1", ""},
		{"hub", "x", "order/1", ""},
		{"lab", "x", "orders/1", "orders/1"},
		{"lab", "x", "order", "order"},
		{"hub", "order.paid", "order/1", "order/1"},
		{seawall.SourceOutcomes, "delivery.dead", "order/1", "order/1"},
	} {
		ev := event(c.kind, `{}`)
		ev.Source, ev.Entity, ev.Version = c.source, c.entity, "7"
		routing, decisions, _ := p.Plan(1, ev, now)
		if ev.Entity != c.want || (ev.Version == "") != (c.want == "") || (len(decisions) == 1) != (c.want == "") || routing != seawall.Unmatched {
			t.Errorf("%s %s %s: %q, version %q, %s, %v", c.source, c.kind, c.entity, ev.Entity, ev.Version, routing, decisions)
		}
	}
}
