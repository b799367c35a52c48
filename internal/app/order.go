package app

import (
	"context"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// inLine adds to a settlement what it means for the line that the delivery is in.
func (p *path) inLine(t *try, s *store.Settlement) {
	d := &t.Delivery
	if !d.Lined() {
		return
	}
	switch s.State {
	case seawall.Delivered:
		l := p.now() // what waits for it was planned by this, as a rule
		entity, _ := seawall.EntityName(d.Entity)
		s.Done = l.plan.Fulfils(l.firstDestination(d), entity, d.Type)
	case seawall.Dead:
		if r := t.live.routes[d.Route]; r != nil && r.PassAfter > 0 && d.Order == seawall.Sequence {
			s.Pass = s.At.Add(r.PassAfter)
		}
	}
}

// firstDestination is where a delivery was to go at first, by its name now. Its
// line is there, also while it goes to a fallback.
func (l *live) firstDestination(d *seawall.Delivery) string {
	name := d.Destination
	if r := l.routes[d.Route]; r != nil && d.Diverted {
		name = r.To
	}
	if to := l.destinations[name]; to != nil {
		return to.Name
	}
	return name
}

// over settles a delivery that is held, and whose time came without its turn: it
// waited for what did not come, or it came too late. Either is told (package
// outcome).
func (a *App) over(ctx context.Context, d *seawall.Delivery) (store.Settlement, error) {
	ev, err := a.store.Event(ctx, d.ID.Event())
	if err != nil {
		return store.Settlement{}, err
	}
	s := store.Settlement{State: seawall.Held, Reason: d.Reason, Due: order.Never, At: a.Now()}
	if d.Reason == seawall.ReasonPrerequisite && d.OnWait == seawall.WaitDead {
		s.State, s.Due = seawall.Dead, time.Time{}
		s.Reason = "waited in vain: not delivered in time: " + strings.Join(d.After, ", ")
	}
	s.Outcomes = a.outcomes.Of(&store.Claimed{Delivery: *d, Event: ev}, &s)
	return s, nil
}
