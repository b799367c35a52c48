package story

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

var update = flag.Bool("update", false, "write testdata anew")

const (
	eventID = "evt_01kbxw0000000000000000r000"
	first   = "dlv_01kbxw0000000000000000r001"
	second  = "dlv_01kbxw0000000000000000r002"
)

var arrived = time.Date(2026, 11, 24, 2, 59, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return arrived.Add(d) }

// sample is an event with all that can happen to one.
func sample() *api.Story {
	refused := api.Attempt{
		N: 1, At: at(20 * time.Millisecond), TookMS: 4, Outcome: "refused", Error: "HTTP 503", Next: "retry in 5s",
		Request: seawall.Request{Method: "POST", URL: "http://127.0.0.1:9000/hooks", Original: true, BodySize: 17,
			Headers: http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {first}, "Webhook-Signature": {"v1,xxx"}}},
		Response: &seawall.Response{Status: 503, Headers: http.Header{"Retry-After": {"5"}}, Body: []byte("down for\nmaintenance\x1b[2J")},
	}
	last := refused
	last.N, last.At, last.Next = 2, at(5*time.Second), "give up: 1 retry"
	ok := api.Attempt{
		N: 1, At: at(21 * time.Millisecond), TookMS: 2.5, Outcome: "ok",
		Request: seawall.Request{Method: "PUT", URL: "http://127.0.0.1:9001/x", Body: []byte(`{"small":true}`), BodySize: 14,
			Headers: http.Header{"Content-Type": {"application/json"}}},
		Response: &seawall.Response{Status: 204},
	}
	return &api.Story{
		Event: api.Event{
			ID: eventID, Source: "github", SourceID: "72d3162e", Type: "push", Entity: "repo/1", Routing: "routed", Revision: 3,
			ReceivedAt: arrived, OccurredAt: at(-2 * time.Second), Remote: "192.0.2.1", Proof: "github sha256, secret 1 of 1",
			Headers: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{\"evil\": \"\x1b]0;x\a\"}"), BodySize: 17,
		},
		Duplicates: 2,
		Deliveries: []api.Traced{
			{Delivery: api.Delivery{ID: first, Event: eventID, Source: "github", Route: "r1", Destination: "orders", State: "dead", Reason: "HTTP 503",
				Attempts: 2, Created: arrived, Finished: at(5 * time.Second)}, Tries: []api.Attempt{refused, last}},
			{Delivery: api.Delivery{ID: second, Event: eventID, Source: "github", Route: "r2", Destination: "search", State: "delivered",
				Attempts: 1, Created: arrived, Finished: at(24 * time.Millisecond)}, Tries: []api.Attempt{ok}},
		},
		Timeline: []api.Incident{
			{At: arrived, Kind: "arrived", Text: "POST http://127.0.0.1/in/github, 17 bytes from 192.0.2.1"},
			{At: arrived, Kind: "verified", Text: "github sha256, secret 1 of 1"},
			{At: arrived, Kind: "decision", Text: "route r3 does not match: type push is not star"},
			{At: at(20 * time.Millisecond), Kind: "attempt", Delivery: first, Attempt: 1, Bad: true, Text: "attempt 1: refused, HTTP 503 after 4ms; retry in 5s"},
			{At: at(21 * time.Millisecond), Kind: "attempt", Delivery: second, Attempt: 1, Text: "attempt 1: ok, HTTP 204 after 2.5ms"},
			{At: at(24 * time.Millisecond), Kind: "ended", Delivery: second, Text: "delivered to search after 24ms"},
			{At: at(5 * time.Second), Kind: "attempt", Delivery: first, Attempt: 2, Bad: true, Text: "attempt 2: refused, HTTP 503 after 4ms; give up: 1 retry"},
			{At: at(5 * time.Second), Kind: "ended", Delivery: first, Bad: true, Text: "dead: HTTP 503"},
			{At: at(25 * time.Hour), Kind: "action", Text: "ann: look"},
		},
	}
}

func write(t *testing.T, s *api.Story, o Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, s, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The whole of it, as a person reads it.
func TestStory(t *testing.T) {
	for name, o := range map[string]Options{
		"story.txt": {},
		"full.txt":  {Headers: true, Bodies: true, Flags: "--config my.yaml"},
	} {
		o.Now = at(time.Minute)
		got := write(t, sample(), o)
		file := "testdata/" + name
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

// A payload can neither colour nor clear the screen, in any form of the story.
func TestStoryIsSafeToPrint(t *testing.T) {
	s := sample()
	evil := "\x1b[2J\u202e"
	s.Event.Type, s.Event.SourceID, s.Event.Entity, s.Event.Remote = evil, evil, evil, evil
	s.Event.Headers[evil] = []string{evil}
	s.Timeline[0].Text = evil
	s.Deliveries[0].Reason, s.Deliveries[0].Destination = evil, evil
	s.Deliveries[0].Tries[0].Response.Headers = http.Header{"X": {evil}, "Retry-After": {evil}}
	for _, o := range []Options{{}, {Headers: true}, {Bodies: true}, {Headers: true, Bodies: true}} {
		if got := write(t, s, o); strings.ContainsAny(got, "\x1b\u202e") {
			t.Errorf("%+v: %q", o, got)
		}
	}
	var out bytes.Buffer
	if err := WriteDelivery(&out, &s.Deliveries[0], Options{Headers: true, Bodies: true}); err != nil {
		t.Fatal(err)
	}
	a := &api.Arrival{Source: evil, Reason: evil, Detail: evil, Method: evil, URL: evil, Verdict: "rejected", Body: []byte(evil)}
	if err := WriteArrival(&out, a, Options{Headers: true}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("%q", out.String())
	}
}

func TestStorySaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *api.Story, o *Options)
		want   string
	}{
		"dead":       {func(*api.Story, *Options) {}, "seawall replay " + first},
		"plan error": {func(s *api.Story, _ *Options) { s.Event.Routing = "plan_error" }, "seawall events replan " + eventID},
		"unmatched": {func(s *api.Story, _ *Options) {
			s.Event.Routing, s.Deliveries = "unmatched", nil
		}, "seawall events replan " + eventID},
		"conflict": {func(s *api.Story, _ *Options) { s.Conflicts = 1 }, "seawall arrivals list --event " + eventID},
		"paused": {func(s *api.Story, o *Options) {
			s.Deliveries[0].State = "pending"
			o.Gates = map[string]api.Destination{"orders": {Gate: "paused", GateBy: "ann"}}
		}, "orders is paused by ann, and the delivery waits: seawall destinations resume orders"},
		"disabled": {func(s *api.Story, o *Options) {
			s.Deliveries[0].State = "pending"
			o.Gates = map[string]api.Destination{"orders": {Gate: "disabled", GateReason: "HTTP 410"}}
		}, "orders is disabled (HTTP 410)"},
		"canceled": {func(s *api.Story, _ *Options) { s.Deliveries[0].State = "canceled" }, "to send it after all: seawall replay " + first},
		"unknown": {func(s *api.Story, _ *Options) {
			s.Deliveries[0].State, s.Deliveries[0].Reason = "held", "unknown"
		}, "if it did not, send it again: seawall replay " + first},
		"waiting": {func(s *api.Story, _ *Options) {
			s.Deliveries[0].State, s.Deliveries[0].Due = "pending", at(2*time.Minute)
		}, "orders is tried again in 1m by itself"},
	} {
		s, o := sample(), Options{Now: at(time.Minute)}
		c.change(s, &o)
		_, todo, _ := strings.Cut(write(t, s, o), "What to do")
		if !strings.Contains(todo, c.want) {
			t.Errorf("%s: nothing about %q in:\n%s", name, c.want, todo)
		}
	}
	done := sample()
	done.Deliveries = done.Deliveries[1:]
	if got := write(t, done, Options{Now: at(time.Minute)}); strings.Contains(got, "What to do") {
		t.Errorf("something to do about a delivered event:\n%s", got)
	}
}

func TestStoryColoursOnlyWhenAsked(t *testing.T) {
	o := Options{Now: at(time.Minute)}
	if strings.Contains(write(t, sample(), o), "\x1b") {
		t.Error("colours without being asked")
	}
	o.Style = terminal.Style{Color: true}
	if !strings.Contains(write(t, sample(), o), "\x1b[31mdead") {
		t.Error("no colours when asked")
	}
}

func TestDeliverySaysWhatWasTried(t *testing.T) {
	d := &sample().Deliveries[0]
	d.Route, d.Revision = "r1", 3
	for i := range d.Tries {
		d.Tries[i].Revision = int64(3 + i)
		d.Tries[i].Error, d.Tries[i].Next = "HTTP 503 Service Unavailable", "retry 1 of 10 in 5s: HTTP 503 Service Unavailable"
	}
	tell := func(o Options) string {
		var out bytes.Buffer
		o.Now = at(time.Minute)
		if err := WriteDelivery(&out, d, o); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, want := range []string{
		"HTTP 503 Service Unavailable; retry 1 of 10 in 5s\n",
		d.Tries[0].Request.Method + " " + d.Tries[0].Request.URL + ", by revision 3\n", ", by revision 4\n",
	} {
		if got := tell(Options{}); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	d.State, d.Due, d.Finished = "pending", at(30*time.Second), time.Time{}
	if got := tell(Options{}); !strings.Contains(got, "(30s ago); being tried or waiting for a free slot") {
		t.Errorf("due:\n%s", got)
	}
	if got := tell(Options{Gates: map[string]api.Destination{"orders": {Gate: "paused"}}}); !strings.Contains(got, "and orders is paused\n") {
		t.Errorf("paused:\n%s", got)
	}
}

// Routes that are for other types are one line, unless each is asked for.
func TestStoryCountsRoutesForOtherTypes(t *testing.T) {
	for _, c := range []struct {
		routes []string
		all    bool
		want   string
		lines  int
	}{
		{[]string{"a"}, false, "route a does not match: types: x", 1},
		{[]string{"a", "b"}, false, "2 routes do not match by type: a, b", 1},
		{[]string{"a", "b", "c"}, false, "3 routes do not match by type (--all names them)", 1},
		{[]string{"a", "b", "c"}, true, "route c does not match: types: x", 3},
	} {
		s := sample()
		s.Event.Decisions = []seawall.Decision{{Route: "w", Why: "when: false: .x"}}
		s.Timeline = []api.Incident{{At: at(0), Kind: "decision", Route: "w", Text: "route w does not match: when: false: .x"}}
		for _, r := range c.routes {
			d := seawall.Decision{Route: r, Why: "types: x"}
			s.Event.Decisions = append(s.Event.Decisions, d)
			s.Timeline = append(s.Timeline, api.Incident{At: at(0), Kind: "decision", Route: r, Text: api.WordDecision(d)})
		}
		got := write(t, s, Options{Now: at(time.Minute), All: c.all})
		if !strings.Contains(got, c.want) || strings.Count(got, " decision ") != c.lines+1 {
			t.Errorf("%v: want %q in %d lines:\n%s", c.routes, c.want, c.lines+1, got)
		}
	}
}
