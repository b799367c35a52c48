package app

import (
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// observe counts an attempt and logs what an operator would want to know of it.
func (p *path) observe(c *store.Claimed, a *seawall.Attempt, next seawall.State) {
	d := &c.Delivery
	status := 0
	if a.Response != nil {
		status = a.Response.Status
	}
	p.app.metrics.Attempt(d.Destination, a.Outcome, status, a.Took)
	switch p.troubles.note(d.Destination, a.Error, a.At) {
	case began:
		p.app.Log.Warn("destination fails", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "outcome", a.Outcome.String(), "error", a.Error, "next", a.Next)
	case ended:
		p.app.Log.Info("destination answers again", "delivery", d.ID.String(), "destination", d.Destination)
	}
	switch next {
	case seawall.Delivered:
		p.app.metrics.Delivered(d.Destination, p.app.Now().Sub(c.Event.ReceivedAt))
	case seawall.Held:
		p.app.Log.Warn("outcome unknown: held for a person", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "error", a.Error)
	case seawall.Dead:
		p.app.Log.Warn("dead letter", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempts", a.N, "error", a.Error)
	default:
		p.app.Log.Debug("attempt did not succeed", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "outcome", a.Outcome.String(), "error", a.Error, "next", a.Next)
	}
}
