package config

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
)

func (c *Config) system(t *testing.T, name string) *System {
	t.Helper()
	for _, s := range c.Systems {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no system %s", name)
	return nil
}

func (c *Config) destination(t *testing.T, name string) *Destination {
	t.Helper()
	for _, d := range c.Destinations {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no destination %s", name)
	return nil
}

func TestFullSystems(t *testing.T) {
	c := full(t)
	var names []string
	for _, s := range c.Systems {
		names = append(names, s.Name)
		if s.Shards < 1 || s.Timeout.Whole == 0 || s.Breaker.Window == 0 {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	crm, payments, ops := c.system(t, "crm"), c.system(t, "payments"), c.system(t, "ops")
	oauth := c.system(t, "oauth").Auth.(OAuth2)
	signed := c.system(t, "signed").Auth.(HMAC)
	token := fullVars["APP_TOKEN"]
	for _, x := range []struct{ name, got, want any }{
		{"names", fmt.Sprint(names), "[crm payments basic header query oauth signed inside trusted orders contacts handler ops]"},
		{"base", crm.URL.String(), "https://crm.example/api"},
		{"declared", crm.Declared(), true},
		{"limit", crm.Limit, Limit{100 * time.Millisecond, 5, 4}},
		{"breaker", crm.Breaker, Breaker{false, 0.6, 2 * time.Second, 0.9, 10, time.Minute, 10 * time.Second}},
		{"shards", crm.Shards, 2},
		{"renamed", crm.RenamedFrom, "old-crm"},
		{"takes no key", crm.Idempotency, Idempotency{}},
		{"answers by default", crm.Answers, int64(mib)},
		{"bearer", crm.Auth, Bearer{fullVars["CRM_TOKEN"]}},
		{"takes a key", payments.Idempotency, Idempotency{"Idempotency-Key", day}},
		{"timeout", payments.Timeout.Whole, 20 * time.Second},
		{"retry", payments.Retry.Max, 3},
		{"answers", payments.Answers, int64(2 * mib)},
		{"proxy", payments.Proxy, "127.0.0.1:8083"},
		{"no limit", payments.Limit, Limit{Burst: 1}},
		{"breaker by default", payments.Breaker, Breaker{false, 0.5, 0, 0.8, 20, 30 * time.Second, 5 * time.Second}},
		{"breaker off", c.system(t, "basic").Breaker.Off, true},
		{"basic", c.system(t, "basic").Auth, Basic{"me", token}},
		{"header", c.system(t, "header").Auth, HeaderKey{"X-Api-Key", token}},
		{"query", c.system(t, "query").Auth, QueryKey{"key", token}},
		{"token url", oauth.TokenURL.String(), "https://auth.d.example/token"},
		{"client", oauth.ID + oauth.Secret + oauth.Audience + oauth.Refresh, "seawall" + token + "d" + fullVars["REFRESH"]},
		{"scopes", fmt.Sprint(oauth.Scopes, oauth.InBody), "[read write] true"},
		{"hmac", fmt.Sprint(signed.Hash, signed.Encode, signed.Header, signed.Prefix, signed.Stamp), "sha512base64X-Signaturev1=X-Time"},
		{"hmac signs", signed.Content.Uses("timestamp") && signed.Content.Uses("body"), true},
		{"certificate", len(c.system(t, "inside").TLS.Certificates), 1},
		{"beside a token", c.system(t, "inside").Auth, Bearer{token}},
		{"own roots", c.system(t, "trusted").TLS.RootCAs != nil && c.system(t, "trusted").Auth == nil, true},
		{"old TLS is not spoken", c.system(t, "trusted").TLS.MinVersion, uint16(tls.VersionTLS12)},
		{"a destination's own", ops.Declared(), false},
		{"its limit", ops.Limit, Limit{time.Minute, 1, 0}},
		{"its breaker", ops.Breaker.Failures, 0.1},
		{"its key", ops.Idempotency, Idempotency{"Idempotency-Key", 2 * time.Hour}},
		{"its token", ops.Auth, Bearer{fullVars["CRM_TOKEN"]}},
		{"its shards", c.system(t, "orders").Shards, 2},
		{"seal", fmt.Sprint(len(c.Seal), c.Seal[0].Bytes[31], len(c.Seal[0].ID)), "1 31 8"},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
}

// What may be repeated without more ado is told by the method, by the system and
// by the file; of all else an intent is committed first (G6).
func TestG6_WhatIsSafeToRepeat(t *testing.T) {
	c := full(t)
	for name, want := range map[string]string{
		"orders":   "true [2]",   // repeatable: false
		"handler":  "false []",   // a webhook
		"contact":  "true [1 2]", // POST, with a check
		"member":   "false []",   // PUT
		"charge":   "true [0 2]", // POST, under a key that the system remembers for a while
		"lookup":   "false []",   // repeatable: true
		"ops":      "true [0 2]", // repeatable: false, and a receiver that remembers
		"contacts": "false []",
	} {
		d := c.destination(t, name)
		if got := fmt.Sprint(d.Unsafe, " ", d.OnUnknown); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	payments := c.system(t, "payments")
	for request, want := range map[string]string{
		"POST /v1/payment_intents":   "true [0 1 2]",
		"POST /v1/payment_intents/":  "true [0 1 2]",
		"GET /v1/payment_intents":    "false [0 2]",
		"POST /v1/payment_intents/x": "true [0 2]",
		"POST /v1/customers/7/notes": "true [1 2]",
		"POST /v1/customers//notes":  "true [0 2]",
		"POST /v1/search":            "false [0 2]",
		"PATCH /v1/search/a/b":       "false [0 2]",
		"POST /v1/searching":         "true [0 2]",
		"DELETE /v1/x":               "false [0 2]",
		"PATCH /":                    "true [0 2]",
	} {
		var method, path string
		if _, err := fmt.Sscan(request, &method, &path); err != nil {
			t.Fatal(err)
		}
		rule := payments.Rule(method, path)
		if got := fmt.Sprint(rule.Unsafe, " ", rule.OnUnknown); got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
	if got := c.system(t, "crm").Rule("POST", "/x"); fmt.Sprint(got.Unsafe, got.OnUnknown) != "true [2]" {
		t.Errorf("nothing known, and %v", got)
	}
}

func TestCallRules(t *testing.T) {
	c := full(t)
	s := c.system(t, "payments")
	notes := s.Rule("POST", "/v1/customers/7/notes")
	for _, x := range []struct{ name, got, want any }{
		{"timeout", notes.Timeout.Whole, 5 * time.Second},
		{"retry", notes.Retry.Max, 1},
		{"the system's timeout", s.Rule("POST", "/v1/payment_intents").Timeout.Whole, 20 * time.Second},
		{"the system's retry", s.Rule("POST", "/v1/payment_intents").Retry.Max, 3},
		{"key", notes.AssignKey, true},
		{"check", fmt.Sprint(notes.Check.Method, notes.Check.After, notes.Check.Tries), "HEAD1s 3"},
		{"fallback", fmt.Sprint(notes.Fallback.OnDead, notes.Fallback.OnOpen, notes.Fallback.Answer.Status), "true true 202"},
		{"its answer", string(notes.Fallback.Answer.Body) + notes.Fallback.Answer.Headers.Get("Content-Type") + notes.Fallback.Answer.Headers.Get("X-From"), `{"queued":true}application/jsongateway`},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	in := expr.NewInput(nil, "", expr.Event{}).Calling(expr.Call{Key: "a/b"})
	if got, err := notes.Check.URL.Expand(t.Context(), in, expr.URL); got != "https://api.stripe.com/v1/notes/a%2Fb" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

// A request on a system is one below its base, and shares its lanes.
func TestDestinationsOnSystems(t *testing.T) {
	c := full(t)
	contact, member := c.destination(t, "contact"), c.destination(t, "member")
	in := expr.NewInput([]byte(`{"email":"a+b@x.example","id":"../7"}`), "", expr.Event{})
	for _, x := range []struct{ name, got, want any }{
		{"system", contact.System, "crm"},
		{"shards", contact.Shards, 2},
		{"its own system", c.destination(t, "ops").System, "ops"},
		{"key", c.destination(t, "charge").IdempotencyHeader, "Idempotency-Key"},
		{"fallback", *contact.Fallback, Fallback{To: "ops", OnDead: true, OnOpen: true, For: time.Hour}},
		{"short fallback", *c.destination(t, "handler").Fallback, Fallback{To: "ops", OnDead: true}},
		{"check by default", fmt.Sprint(contact.Check.Method, contact.Check.After, contact.Check.Tries), "GET5s 5"},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	for template, want := range map[*expr.Template]string{
		contact.URL:       "https://crm.example/api/contacts?email=a%2Bb%40x.example",
		contact.Check.URL: "https://crm.example/api/contacts?email=a%2Bb%40x.example",
		member.URL:        "https://crm.example/api/members/..%2F7",
	} {
		if got, err := template.Expand(t.Context(), in, expr.URL); got != want || err != nil {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
	answer := in.Answered(200, nil, []byte(`{"results":[{"email":"a+b@x.example"}]}`))
	if found, err := contact.Check.Found.Bool(t.Context(), answer); !found || err != nil {
		t.Errorf("%v %v", found, err)
	}
}

func TestRates(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"10/s": 100 * time.Millisecond, "600/m": 100 * time.Millisecond, "1/h": time.Hour, "2.5 / s": 400 * time.Millisecond, "1/d": day,
		"": -1, "10": -1, "/s": -1, "0/s": -1, "-1/s": -1, "NaN/s": -1, "Inf/s": -1, "1/w": -1, "1e-300/d": forever,
	} {
		if got, err := parseRate(s); got != want && (want >= 0 || err == nil) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for rate, want := range map[string]int{"10/s": 10, "1/m": 1, "1000/h": 1, "1.5/s": 2} {
		c, err := Parse([]byte("systems: { a: { url: https://a.example, limit: { rate: "+rate+" } } }"), "x", testOptions())
		if err != nil || c.Systems[0].Limit.Burst != want {
			t.Errorf("%s: %v, want a burst of %d", rate, err, want)
		}
	}
}

// A system that one node listens for, and what it seals with, are no matter of
// who reads the file.
func TestSystemsChange(t *testing.T) {
	read := func(text string) *Config {
		c, err := Parse([]byte(text), "x", testOptions())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := read("systems: { a: { url: https://a.example }, b: { url: https://b.example } }\ndestinations: { x: { url: https://x.example } }")
	after := read("systems: { a: { url: https://a.example, shards: 2 }, c: { url: https://b.example, renamed_from: b } }\ndestinations: { x: { url: https://x.example } }")
	if got := Changes(before, after); len(got) != 1 || got["systems"] != "~a +c -b" {
		t.Errorf("%v", got)
	}
	if !SameRevision([]byte("internal: { listen: ':1' }"), []byte("internal: { listen: ':2' }")) {
		t.Error("each node has its own internal listener")
	}
}

// A destination that is only a fallback is led to.
func TestFallbackIsUsed(t *testing.T) {
	c, err := Parse([]byte("sources: {a: {provider: none}}\ndestinations: {b: {url: 'https://x.example', fallback: c}, c: {url: 'https://x.example'}}\nroutes: [{from: a, to: b}]"), "x", testOptions())
	if err != nil || len(c.Warnings) > 0 {
		t.Errorf("%v %v", err, c.Warnings)
	}
}
