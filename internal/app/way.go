package app

import (
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// way is how a delivery is dealt with, by one configuration.
type way struct {
	name     string              // of the system it goes to
	system   *config.System      // nil: a destination's own
	to       *config.Destination // nil: it is a call
	policy   settle.Policy
	limits   send.Timeouts
	fallback *config.Fallback
}

// way is nil if the configuration does not know where the delivery goes.
func (l *live) way(d *seawall.Delivery, ev *seawall.Event) *way {
	if y := l.callee(d); y != nil {
		r := y.Rule(ev.Method, call.PlainPath(ev.URL))
		return &way{
			name: y.Name, system: y, limits: send.Timeouts(r.Timeout), fallback: r.Fallback,
			policy: settle.Policy{Retry: r.Retry, Unsafe: r.Unsafe, OnUnknown: r.OnUnknown, Check: r.Check, Valid: valid(y), Call: true},
		}
	}
	to := l.destinations[d.Destination]
	if to == nil {
		return nil
	}
	w := &way{
		name: system.Name(to), to: to, limits: send.Timeouts(to.Timeout), fallback: to.Fallback,
		policy: settle.Policy{Retry: to.Retry, Unsafe: to.Unsafe, OnUnknown: to.OnUnknown, Check: to.Check},
	}
	if w.system = l.systems[w.name]; w.system != nil {
		w.policy.Valid = valid(w.system)
	}
	if d.Diverted {
		if f := l.divertedBy(d); f != nil && f.For > 0 {
			w.policy.Retry.For = f.For
		}
	}
	return w
}

// callee is the system that a call is for; nil if the delivery is none, or the
// configuration has no such system.
func (l *live) callee(d *seawall.Delivery) *config.System {
	name, isCall := strings.CutPrefix(d.Destination, seawall.CallsTo(""))
	if y := l.systems[name]; isCall && y != nil && y.URL != nil {
		return y
	}
	return nil
}

// valid is how long a system remembers our key; 0 if it takes none.
func valid(y *config.System) (d time.Duration) {
	if y.Idempotency.Header == "" {
		return 0
	}
	return y.Idempotency.Valid
}

// divertedBy is the fallback that led a delivery to where it is.
func (l *live) divertedBy(d *seawall.Delivery) *config.Fallback {
	r := l.routes[d.Route]
	if r == nil {
		return nil
	}
	seen := map[string]bool{}
	for to := l.destinations[r.To]; to != nil && to.Fallback != nil && !seen[to.Name]; to = l.destinations[to.Fallback.To] {
		if to.Fallback.To == d.Destination {
			return to.Fallback
		}
		seen[to.Name] = true
	}
	return nil
}
