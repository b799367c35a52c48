package app

import (
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// observe counts an attempt and logs what an operator would want to know of it.
func (p *path) observe(c *store.Claimed, s *store.Settlement) {
	d, a, next := &c.Delivery, s.Attempt, s.State
	status := 0
	if a.Response != nil {
		status = a.Response.Status
	}
	p.app.metrics.Attempt(d.Destination, a.Outcome, status, a.Took)
	trouble := a.Error
	if s.Answer != nil && !s.Answer.Fallback {
		trouble = "" // a no is an answer too
	}
	switch p.troubles.note(d.Destination, trouble, a.At) {
	case began:
		p.app.Log.Warn("destination fails", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "outcome", a.Outcome.String(), "error", a.Error, "next", a.Next)
	case ended:
		p.app.Log.Info("destination answers again", "delivery", d.ID.String(), "destination", d.Destination)
	}
	switch {
	case next == seawall.Delivered:
		p.app.metrics.Delivered(d.Destination, p.app.Now().Sub(c.Event.ReceivedAt))
	case next == seawall.Held:
		p.app.Log.Warn("held for a person", "reason", s.Reason, "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "error", a.Error)
	case next == seawall.Dead && trouble != "":
		p.app.Log.Warn("dead letter", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempts", a.N, "error", a.Error)
	default:
		p.app.Log.Debug("attempt did not succeed", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "outcome", a.Outcome.String(), "error", a.Error, "next", a.Next)
	}
}
