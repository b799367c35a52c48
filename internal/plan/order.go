package plan

import (
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/seawall"
)

// ordering is how a route stands to what it delivers of one entity.
type ordering struct {
	entity string // "": of none
	order  seawall.Ordering
	settle time.Duration
	late   seawall.LatePolicy
	after  []string
	before []glob // the same: what matches them waits for none of them itself
	wait   time.Duration
	then   seawall.WaitPolicy
}

func orderingOf(r *config.Route) ordering {
	return ordering{
		entity: r.Entity, order: r.Order, settle: r.Settle, late: r.Late,
		after: r.After, before: globs(r.After), wait: r.Wait, then: r.Then,
	}
}

// line is where the deliveries of one entity are kept account of.
type line struct{ destination, entity string }

// prerequisite is a pattern of types that others wait for.
type prerequisite struct {
	pattern string
	glob    glob
}

// waitedFor are what the routes to a destination wait for, of an entity.
func waitedFor(c *config.Config) map[line][]prerequisite {
	out := map[line][]prerequisite{}
	for _, r := range c.Routes {
		l := line{r.To, r.Entity}
		for i, g := range globs(r.After) {
			p := prerequisite{r.After[i], g}
			if !slices.ContainsFunc(out[l], func(q prerequisite) bool { return q.pattern == p.pattern }) {
				out[l] = append(out[l], p)
			}
		}
	}
	return out
}

// Fulfils lists the patterns of prerequisites, of an entity's name, that an event of
// a type fulfils once it is delivered to a destination.
func (p *Planner) Fulfils(destination, entity, typ string) (patterns []string) {
	for _, q := range p.prerequisites(destination, entity) {
		if q.glob.match(typ) {
			patterns = append(patterns, q.pattern)
		}
	}
	return patterns
}

func (p *Planner) prerequisites(destination, entity string) []prerequisite {
	if len(p.before) == 0 {
		return nil // as nearly always, and without a look
	}
	return p.before[line{destination, entity}]
}

// arrange gives a delivery its place among others of its entity at its destination.
// An event of another entity than the route's is delivered beside, as it comes.
func (p *Planner) arrange(r *route, s *subject, d *seawall.Delivery) {
	if s.Entity == "" {
		return
	}
	name, _ := seawall.EntityName(s.Entity)
	for _, q := range p.prerequisites(r.to, name) {
		d.Counts = d.Counts || q.glob.match(s.Type)
	}
	if r.entity != name {
		return
	}
	if d.Order = r.order; r.order != seawall.Unordered {
		d.Rank, d.OnLate = s.ranked(), r.late
		if r.settle > 0 {
			d.Due = s.arrived().Add(r.settle)
		}
	}
	if len(r.after) > 0 && !matchAny(r.before, s.Type) {
		d.After, d.OnWait, d.Due = r.after, r.then, s.now.Add(r.wait)
	}
}

// beside tells whether the route keeps an order that the event has no part in.
func (r *route) beside(s *subject) bool {
	if r.order == seawall.Unordered && len(r.after) == 0 || s.wanted(r) {
		return false
	}
	name, _ := seawall.EntityName(s.Entity)
	return name != r.entity
}

// arrived is when the event came, from which its settle window counts: not from when
// it is planned again.
func (s *subject) arrived() time.Time {
	if s.ReceivedAt.IsZero() {
		return s.now
	}
	return s.ReceivedAt
}

// ranked is the event's version as it compares; of one without, by its clock alone.
func (s *subject) ranked() []byte {
	if s.rank == nil {
		s.rank = order.On(s.Source, nil)
	}
	return s.rank
}

// rankBy ranks a version whose parts are known.
func (s *subject) rankBy(c *claim, parts []string, t *told) {
	clock := s.Source
	if c.shared {
		clock = ""
	}
	s.rank = order.On(clock, nil)
	if len(parts) == 0 || !c.ranks {
		return
	}
	rank, err := order.Rank(parts, c.compare...)
	if err != nil {
		t.say(true, "version: %s", clip(err.Error()))
		return
	}
	s.rank = order.On(clock, rank)
}
