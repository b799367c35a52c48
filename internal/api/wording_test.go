package api

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

func TestWordAction(t *testing.T) {
	for want, a := range map[string]Action{
		"sent again by ann": {By: "ann", What: "replay"},
		"sent again by ann, under a new id, by the configuration that it was planned under": {By: "ann", What: "replay",
			Detail: map[string]string{"new_id": "yes", "config": "original"}},
		"sent again by ann, in an order for 7 deliveries (state dead, since 2h), at 5/s, due 2026-05-01 12:00:00Z to 2026-05-01 12:00:02Z": {
			By: "ann", What: "replay", Detail: map[string]string{"count": "7", "state": "dead", "since": "2h", "rate": "5/s",
				detailFrom: "2026-05-01T12:00:00.1Z", detailTo: "2026-05-01T12:00:02Z"}},
		"sent again by ann, though a newer version may have made it pointless": {By: "ann", What: "replay", Detail: map[string]string{"force": "yes"}},
		"canceled by ann: gone":                 {By: "ann", What: "cancel", Detail: map[string]string{"reason": "gone"}},
		"planned again by ann, added 2":         {By: "ann", What: "plan", Detail: map[string]string{"added": "2"}},
		"something by ann, a 1, b 2: well, yes": {By: "ann", What: "something", Detail: map[string]string{"b": "2", "a": "1", "reason": "well, yes"}},
	} {
		if got := WordAction(a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What went wrong is told once.
func TestWordAttempt(t *testing.T) {
	d := &Traced{Delivery: Delivery{Destination: "orders"}}
	post := seawall.Request{Method: "POST", URL: "https://x.example/"}
	for want, a := range map[string]Attempt{
		"attempt 1, POST https://x.example/: refused, HTTP 400 Bad Request after 2ms; retry 1 of 10 in 5s": {
			Outcome: "refused", Error: "HTTP 400 Bad Request", Next: "retry 1 of 10 in 5s: HTTP 400 Bad Request", Request: post, Response: &seawall.Response{Status: 400}},
		"attempt 1, POST https://x.example/: failed after 2ms, connection refused; dead: gave up after 1 retry": {
			Outcome: "failed", Error: "connection refused", Next: "dead: gave up after 1 retry: connection refused", Request: post},
		"attempt 1, POST https://x.example/: ok, HTTP 204 after 2ms; delivered": {
			Outcome: "ok", Next: "delivered", Request: post, Response: &seawall.Response{Status: 204}},
		"attempt 1 to orders: failed after 2ms, transform: null has no keys; retry in 5s": {
			Outcome: "failed", Error: "transform: null has no keys", Next: "retry in 5s"},
	} {
		a.N, a.TookMS = 1, 2
		if got := wordAttempt(d, &a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWordDecision(t *testing.T) {
	for want, d := range map[string]seawall.Decision{
		"route a matches":                                     {Route: "a", Matched: true},
		"route a does not match: when: false: .x":             {Route: "a", Why: "when: false: .x"},
		"route a could not decide: when: error: x":            {Route: "a", Error: true, Why: "when: error: x"},
		"identify: entity: the payload is not JSON after all": {Error: true, Why: "identify: entity: the payload is not JSON after all"},
	} {
		if got := WordDecision(d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAboutSaysThingsOnce(t *testing.T) {
	lost := seawall.Errorf(seawall.ErrNotFound, "no event evt_1").WithHint("look")
	if err := fmt.Errorf("replay: %w", about("event", "evt_1", lost)); err.Error() != "replay: no event evt_1" || seawall.Hint(err) != "look" {
		t.Error(err)
	}
	if err := about("event", "evt_1", errors.New("disk full")); err.Error() != "event evt_1: disk full" {
		t.Error(err)
	}
}

func TestWaitingSaysForWhat(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		due  time.Time
		gate string
		want string
	}{
		{now.Add(time.Minute), "", "due: HTTP 503"},
		{now.Add(-time.Minute), "", "due since 2026-05-01 11:59:00Z; being tried or waiting for a free slot: HTTP 503"},
		{now.Add(-time.Minute), "paused", "due since 2026-05-01 11:59:00Z, and orders is paused: HTTP 503"},
	} {
		life := lifeOf(&Traced{Delivery: Delivery{Destination: "orders", State: "pending", Reason: "HTTP 503", Due: c.due}}, c.gate, now)
		if got := life[len(life)-1]; got.Kind != "waiting" || got.Text != c.want {
			t.Errorf("%+v, want %q", got, c.want)
		}
	}
}
