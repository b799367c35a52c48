// Package plan decides which routes an event takes, and says why: an event and
// the routes of its source become decisions and deliveries. It is pure.
package plan

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Planner plans by one configuration. It is immutable and safe for concurrent
// use.
type Planner struct {
	routes map[string][]route // by source, in the order of the file
	claims map[string][]claim // by source
	names  map[string]bool    // of entities
	before map[line][]prerequisite
}

type route struct {
	name   string
	to     string
	system string // that the destination is a request on
	shards int    // of its queue
	types  []glob
	when   *expr.Code
	ordering

	noType string // what a decision says after the type that matched none
}

// New prepares the routes of a configuration.
func New(c *config.Config) *Planner {
	p := &Planner{routes: make(map[string][]route, len(c.Sources)), claims: claims(c), names: names(c), before: waitedFor(c)}
	destinations := make(map[string]*config.Destination, len(c.Destinations))
	for _, d := range c.Destinations {
		destinations[d.Name] = d
	}
	for _, r := range c.Routes {
		system, shards := r.To, 1
		if d := destinations[r.To]; d != nil {
			shards = d.Shards
			if d.System != "" {
				system = d.System
			}
		}
		p.routes[r.From] = append(p.routes[r.From], route{
			name: r.Name, to: r.To, system: system, shards: shards, types: globs(r.Types), when: r.When,
			ordering: orderingOf(r),
			noType:   " matches none of [" + strings.Join(r.Types, ", ") + "]",
		})
	}
	return p
}

// Known is what is known of entities beside what an event says.
type Known struct {
	Entity string                     // whose record the event's is; "": not known
	Over   bool                       // it is not known, and the wait for it is over
	Alias  func(entity string) string // what an entity is called now; nil: as ever
}

// Planned is what planning makes of an event.
type Planned struct {
	Routing    seawall.Routing
	Decisions  []seawall.Decision
	Deliveries []seawall.Delivery
	Links      []seawall.Link // that the event teaches
	Unresolved *store.Record  // whose entity is to be found; nil: the entity is known, or there is none
}

// Plan is [Planner.Event], where nothing more is known or wanted.
func (p *Planner) Plan(revision int64, ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery) {
	out := p.Event(revision, ev, now, Known{})
	return out.Routing, out.Decisions, out.Deliveries
}

// Event gives the event its entity and version, if an entity claims it, and asks
// each route of its source, under a configuration revision.
//
// A route whose expression fails decides no, and says so: it refuses the event
// to nobody else. The payload is parsed only if a route looks at it, and then
// once.
//
// An event that says only its record, and not whose that is, waits for the entity
// to be known: held, where a route wants it, and else it goes on at once.
//
// It takes no context: what is planned must not depend on whether the sender
// still waits, and expressions are bounded by themselves.
func (p *Planner) Event(revision int64, ev *seawall.Event, now time.Time, known Known) (out Planned) {
	var (
		s      = subject{Event: ev, now: now, known: known}
		routes = p.routes[ev.Source]
		failed bool
	)
	if len(p.names) > 0 {
		out.Decisions = p.identify(&s)
		failed = slices.ContainsFunc(out.Decisions, func(d seawall.Decision) bool { return d.Error })
	}
	out.Decisions = slices.Grow(out.Decisions, len(routes))
	for i := range routes {
		r := &routes[i]
		d := r.decide(&s)
		if d.Matched && d.Why == "" && r.beside(&s) {
			d.Why = "as it comes: it is not about the entity " + r.entity
		}
		out.Decisions = append(out.Decisions, d)
		failed = failed || d.Error
		if !d.Matched {
			continue
		}
		out.Deliveries = append(out.Deliveries, seawall.Delivery{
			ID: ev.ID.Delivery(len(out.Deliveries) + 1), Route: r.name,
			Destination: r.to, System: r.system, Shard: shard(ev, r.shards),
			Source: ev.Source, Type: ev.Type, Entity: ev.Entity,
			State: seawall.Pending, Due: now, Since: now, Created: now, Revision: revision,
		})
		p.arrange(r, &s, &out.Deliveries[len(out.Deliveries)-1])
		s.await(r, &out.Deliveries[len(out.Deliveries)-1])
	}
	out.Links = s.links
	if s.record != nil && !known.Over {
		out.Unresolved = s.record
	}
	switch {
	case failed:
		out.Routing = seawall.PlanError
	case len(out.Deliveries) == 0:
		out.Routing = seawall.Unmatched
	default:
		out.Routing = seawall.Routed
	}
	return out
}

// wanted tells whether a route wants the entity, which is not known yet.
func (s *subject) wanted(r *route) bool { return s.record != nil && r.entity == s.record.Entity }

// await holds a delivery whose route wants the entity, where that is not known yet;
// if it will not be, what the entity says follows.
func (s *subject) await(r *route, d *seawall.Delivery) {
	if !s.wanted(r) {
		return
	}
	switch {
	case s.then == seawall.WaitHold:
		d.State, d.Reason, d.Due = seawall.Held, seawall.ReasonUnresolved, order.Never
		s.record.Until = order.Never
	case !s.known.Over:
		d.State, d.Reason, d.Due = seawall.Held, seawall.ReasonUnresolved, s.record.Until
	case s.then == seawall.WaitDead:
		d.State, d.Reason, d.Finished = seawall.Dead, seawall.ReasonUnresolved, s.now
	}
}

func (r *route) decide(s *subject) seawall.Decision {
	d := seawall.Decision{Route: r.name}
	if !matchAny(r.types, s.Type) {
		d.Why = `types: "` + clip(s.Type) + `"` + r.noType
		return d
	}
	if r.when == nil {
		d.Matched = true
		return d
	}
	if s.wanted(r) && !s.known.Over && strings.Contains(r.when.Source(), expr.EntityVar) {
		d.Matched, d.Why = true, "when: asked once the entity is known"
		return d
	}
	yes, err := r.when.Bool(context.Background(), s.input())
	switch {
	case err != nil:
		d.Error, d.Why = true, "when: error: "+clip(err.Error())
	case !yes:
		d.Why = "when: false: " + clip(oneLine(r.when.Source()))
	default:
		d.Matched = true
	}
	return d
}

// input is the event as expressions see it.
func input(ev *seawall.Event) *expr.Input {
	return expr.NewInput(ev.Body, ev.Headers.Get("Content-Type"), expr.Event{
		ID: ev.ID.String(), Source: ev.Source, SourceID: ev.SourceID, Type: ev.Type,
		Entity: ev.Entity, Version: ev.Version, OccurredAt: ev.OccurredAt, ReceivedAt: ev.ReceivedAt,
		Headers: ev.Headers,
	})
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// clip bounds what goes into a decision: expressions are long, and types and
// errors may hold what a stranger wrote.
func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
