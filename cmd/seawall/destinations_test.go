package main

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
)

func TestStandingOfADestination(t *testing.T) {
	c := &cli{now: fixed}
	at := fixed().Add(-time.Minute)
	for want, d := range map[string]api.Destination{
		"":                               {Configured: true, Gate: "open"},
		"no longer in the configuration": {Gate: "open"},
		"renamed to f2; lists and replays find these by the old name": {Gate: "open", RenamedTo: "f2"},
		"by ann 1m ago": {Configured: true, Gate: "paused", GateBy: "ann", GateAt: at},
		"no longer in the configuration; by ann 1m ago: look": {Gate: "paused", GateBy: "ann", GateAt: at, GateReason: "look"},
	} {
		if got := c.standing(d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
