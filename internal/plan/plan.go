// Package plan decides which routes an event takes, and says why: an event and
// the routes of its source become decisions and deliveries. It is pure.
package plan

import (
	"context"
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
	p := &Planner{routes: make(map[string][]route, len(c.Sources))}
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

// Plan asks each route of the event's source, under a configuration revision.
// A route whose expression fails decides no, and says so: it refuses the event
// to nobody else. The payload is parsed only if a route looks at it, and then
// once.
//
// It takes no context: what is planned must not depend on whether the sender
// still waits, and expressions are bounded by themselves.
func (p *Planner) Plan(revision int64, ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery) {
	routes := p.routes[ev.Source]
	if len(routes) == 0 {
		return seawall.Unmatched, nil, nil
	}
	var (
		decisions = make([]seawall.Decision, 0, len(routes))
		ds        []seawall.Delivery
		in        *expr.Input
		failed    bool
	)
	for i := range routes {
		r := &routes[i]
		if r.when != nil && in == nil {
			in = input(ev)
		}
		d := r.decide(ev, in)
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

func (r *route) decide(ev *seawall.Event, in *expr.Input) seawall.Decision {
	d := seawall.Decision{Route: r.name}
	if !matchAny(r.types, ev.Type) {
		d.Why = `types: "` + clip(ev.Type) + `"` + r.noType
		return d
	}
	if r.when == nil {
		d.Matched = true
		return d
	}
	yes, err := r.when.Bool(context.Background(), in)
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
