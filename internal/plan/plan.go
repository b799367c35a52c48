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
	"github.com/seawall-dev/seawall/seawall"
)

// Planner plans by one configuration. It is immutable and safe for concurrent
// use.
type Planner struct {
	routes map[string][]route // by source, in the order of the file
	claims map[string][]claim // by source
	names  map[string]bool    // of entities
}

type route struct {
	name   string
	to     string
	system string // that the destination is a request on
	shards int    // of its queue
	types  []glob
	when   *expr.Code

	noType string // what a decision says after the type that matched none
}

// New prepares the routes of a configuration.
func New(c *config.Config) *Planner {
	p := &Planner{routes: make(map[string][]route, len(c.Sources)), claims: claims(c), names: names(c)}
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
			noType: " matches none of [" + strings.Join(r.Types, ", ") + "]",
		})
	}
	return p
}

// Plan gives the event its entity and version, if an entity claims it, and asks
// each route of its source, under a configuration revision.
//
// A route whose expression fails decides no, and says so: it refuses the event
// to nobody else. The payload is parsed only if a route looks at it, and then
// once.
//
// It takes no context: what is planned must not depend on whether the sender
// still waits, and expressions are bounded by themselves.
func (p *Planner) Plan(revision int64, ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery) {
	var (
		s         = subject{Event: ev}
		routes    = p.routes[ev.Source]
		decisions []seawall.Decision
		ds        []seawall.Delivery
		failed    bool
	)
	if len(p.names) > 0 {
		decisions = p.identify(&s)
		failed = len(decisions) > 0 && decisions[0].Error
	}
	decisions = slices.Grow(decisions, len(routes))
	for i := range routes {
		r := &routes[i]
		d := r.decide(&s)
		decisions = append(decisions, d)
		failed = failed || d.Error
		if !d.Matched {
			continue
		}
		ds = append(ds, seawall.Delivery{
			ID: ev.ID.Delivery(len(ds) + 1), Route: r.name,
			Destination: r.to, System: r.system, Shard: shard(ev, r.shards),
			Source: ev.Source, Type: ev.Type, Entity: ev.Entity,
			State: seawall.Pending, Due: now, Since: now, Created: now, Revision: revision,
		})
	}
	switch {
	case failed:
		return seawall.PlanError, decisions, ds
	case len(ds) == 0:
		return seawall.Unmatched, decisions, ds
	default:
		return seawall.Routed, decisions, ds
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
