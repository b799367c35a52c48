package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/receive"
	"github.com/seawall-dev/seawall/internal/shape"
	"github.com/seawall-dev/seawall/seawall"
)

// live is one revision of the configuration, ready to work by. It is never
// changed: a reload makes another, and what is in flight ends on its own.
type live struct {
	revision     int64
	config       *config.Config
	sources      map[string]*config.Source
	destinations map[string]*config.Destination // by name, and by the name they were renamed from
	routes       map[string]*config.Route
	entities     map[string]*config.Entity
	systems      map[string]*config.System // declared ones, by earlier names too, and those of destinations
	current      *receive.Current
	calls        *call.Current
	plan         *plan.Planner
	shape        *shape.Shaper
}

func newLive(revision int64, c *config.Config, version string) *live {
	l := &live{
		revision: revision, config: c,
		sources:      map[string]*config.Source{},
		destinations: map[string]*config.Destination{},
		routes:       map[string]*config.Route{},
		entities:     map[string]*config.Entity{},
		systems:      map[string]*config.System{},
		plan:         plan.New(c),
		shape:        shape.New(c, version),
	}
	for _, s := range c.Sources {
		l.sources[s.Name] = s
	}
	for _, d := range c.Destinations {
		if d.RenamedFrom != "" {
			l.destinations[d.RenamedFrom] = d
		}
	}
	for _, d := range c.Destinations {
		l.destinations[d.Name] = d
	}
	for _, r := range c.Routes {
		l.routes[r.Name] = r
	}
	for _, e := range c.Entities {
		l.entities[e.Name] = e
	}
	for _, y := range c.Declared() {
		if y.RenamedFrom != "" {
			l.systems[y.RenamedFrom] = y
		}
	}
	for _, y := range c.Systems {
		l.systems[y.Name] = y
	}
	l.current = &receive.Current{
		Config: c, Revision: revision,
		Source: func(name string) *config.Source { return l.sources[name] },
		Plan: func(ev *seawall.Event, now time.Time, known plan.Known) plan.Planned {
			return l.plan.Event(revision, ev, now, known)
		},
	}
	l.calls = callable(l)
	return l
}

// revisions makes earlier configurations ready to work by, for deliveries that
// are pinned to the one they were planned under, or whose route is gone.
type revisions struct {
	load    func(ctx context.Context, number int64) (*config.Config, error)
	version string

	mu   sync.Mutex
	kept map[int64]*live
}

// keptRevisions bounds how many are kept ready.
const keptRevisions = 8

func (r *revisions) get(ctx context.Context, number int64) (*live, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.kept[number]; l != nil {
		return l, nil
	}
	c, err := r.load(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("configuration revision %d: %w", number, err)
	}
	if len(r.kept) >= keptRevisions {
		clear(r.kept)
	}
	l := newLive(number, c, r.version)
	r.kept[number] = l
	return l, nil
}
