package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/shape"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// gateway is what the API may ask of a running App.
type gateway App

func (g *gateway) Config() (*config.Config, int64) {
	l := g.path.now()
	return l.config, l.revision
}

func (g *gateway) Reload(ctx context.Context, by string, drop bool) (seawall.Revision, []string, error) {
	return (*App)(g).Reload(ctx, by, drop)
}

func (g *gateway) Wake(destination string) {
	ctx, cancel := context.WithTimeout(context.Background(), regateTime)
	defer cancel()
	if err := g.lanes.Regate(ctx); err != nil {
		g.Log.Warn("gates not read", "error", err) // what follows tries again
	}
	(*App)(g).wake(destination)
}

// regateTime bounds how long an order waits for its effect on this node.
const regateTime = 2 * time.Second

// Replan plans a stored event by the running configuration.
func (g *gateway) Replan(ctx context.Context, id seawall.EventID, a seawall.Action) ([]seawall.Delivery, error) {
	ev, err := g.store.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	l := g.path.now()
	planned := g.resolver.Known(ctx, func(k plan.Known) plan.Planned { return l.current.Plan(ev, g.Now(), k) })
	ev.Routing, ev.Decisions = planned.Routing, planned.Decisions
	// What waits for a link does so from its arrival on; now it would wait for ever.
	ds := slices.DeleteFunc(planned.Deliveries, func(d seawall.Delivery) bool {
		return d.State == seawall.Held && d.Reason == seawall.ReasonUnresolved
	})
	added, err := g.store.Replan(ctx, ev, ds, a)
	if err != nil {
		return nil, err
	}
	if err := g.teach(ctx, planned.Links, a); err != nil {
		return nil, err
	}
	for _, d := range added {
		g.lanes.Announce(store.Lane{System: d.System, Shard: d.Shard}, d.Destination)
	}
	return added, nil
}

// teach writes links that an event taught which was planned again, where the entity
// has none yet: like one that comes, it takes no other link's place.
func (g *gateway) teach(ctx context.Context, links []seawall.Link, a seawall.Action) error {
	for _, l := range links {
		has, err := g.store.LinksOf(ctx, l.Entity)
		if err != nil {
			return fmt.Errorf("links of %s: %w", l.Entity, err)
		}
		if slices.ContainsFunc(has, func(h seawall.Link) bool { return h.System == l.System }) {
			continue
		}
		a.What, a.On, a.Detail = "link", l.Entity, map[string]string{"system": l.System, "record": l.Record}
		if err := g.store.PutLinks(ctx, []seawall.Link{l}, a); err != nil && !errors.Is(err, seawall.ErrConflict) {
			return fmt.Errorf("link of %s: %w", l.Entity, err)
		}
		g.resolver.Learned()
	}
	return nil
}

// Learned tells that people taught links.
func (g *gateway) Learned() { g.resolver.Learned() }

// Merged tells all nodes that entities are called otherwise.
func (g *gateway) Merged() {
	ctx, cancel := context.WithTimeout(context.Background(), regateTime)
	defer cancel()
	if err := g.resolver.Learn(ctx); err != nil {
		g.Log.Warn("merged entities not read", "error", err)
		g.resolver.Merged()
	}
	g.store.Tell(store.Signal{})
}

// Alias is what an entity is called now.
func (g *gateway) Alias(entity string) string { return g.resolver.Alias(entity) }

// AliasesOf are the entities that were merged into this one.
func (g *gateway) AliasesOf(entity string) []string { return g.resolver.AliasesOf(entity) }

// Preview shapes what a route would send for an event, as its first attempt.
func (g *gateway) Preview(ctx context.Context, route string, ev *seawall.Event, revision int64) (*seawall.Request, error) {
	l := g.path.now()
	if revision != 0 && revision != l.revision {
		var err error
		if l, err = g.path.old.get(ctx, revision); err != nil {
			return nil, err
		}
	}
	r := l.routes[route]
	if r == nil {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no route is named %q", route)
	}
	d := &seawall.Delivery{
		ID: ev.ID.Delivery(1), Route: r.Name, Destination: r.To, System: r.To,
		Source: ev.Source, Type: ev.Type, Entity: ev.Entity, Created: g.Now(), Revision: l.revision,
	}
	links, err := g.store.LinksOf(ctx, ev.Entity)
	if err != nil {
		return nil, fmt.Errorf("links of %s: %w", ev.Entity, err)
	}
	given := shape.Given{Links: map[string]string{}}
	for _, k := range links {
		given.Links[k.System] = k.Record
	}
	if to := l.destinations[r.To]; to != nil && to.Upsert != nil && given.Links[to.Upsert.Link] != "" {
		given.Request, given.NoKey = &to.Upsert.Update, true
	}
	_, record, err := l.shape.Shape(ctx, d, ev, g.Now(), given)
	return record, err
}

// Systems tells how each system stands.
func (g *gateway) Systems() []api.SystemStanding {
	var out []api.SystemStanding
	for _, st := range g.systems.Status() {
		st.State.System = st.Name
		out = append(out, api.SystemStanding{SystemState: st.State, Off: st.Off, Waiting: st.Waiting, Flight: st.Flight, Pace: st.Pace})
	}
	return out
}

// ResetSystem lets a system be asked again.
func (g *gateway) ResetSystem(ctx context.Context, name string) error {
	y := g.systems.Of(name)
	if y == nil {
		return seawall.Errorf(seawall.ErrNotFound, "no system is named %q", name)
	}
	return y.Reset(ctx)
}
