package app

import (
	"context"
	"sync/atomic"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/receive"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// path is an event's way through the gateway, by the running configuration:
//
//	receive → verify → identify → plan → accept:  COMMIT event, key, deliveries → 2xx
//	enter → claim → shape → send → settle:        COMMIT attempt, state, answer, outcome
//
// The first half is package receive's, with plan from here; the second is
// deliver, called by package lane for each delivery claimed.
type path struct {
	app *App
	run atomic.Pointer[live]
	old *revisions

	troubles troubles
}

func newPath(a *App, first *live) *path {
	p := &path{app: a, old: &revisions{kept: map[int64]*live{}, load: a.revision, version: a.Version}}
	p.run.Store(first)
	return p
}

func (p *path) now() *live { return p.run.Load() }

// swap makes next the running configuration and returns the one before.
func (p *path) swap(next *live) *live { return p.run.Swap(next) }

// current is the running configuration as receiving sees it.
func (p *path) current() *receive.Current { return p.now().current }

// reserve lets the queues know of an acceptance before it is committed, and who
// follows along after.
func (p *path) reserve(lanes *lane.Runner) func([]store.Acceptance) func([]store.Accepted) {
	return func(batch []store.Acceptance) func([]store.Accepted) {
		accepted := lanes.Reserve(batch)
		return func(done []store.Accepted) {
			accepted(done)
			if done == nil {
				return
			}
			p.app.accepted.tell()
			for i := range batch {
				if len(batch[i].Links) > 0 {
					p.app.resolver.Learned()
					return
				}
			}
		}
	}
}

// anywhere tells whether a delivery may be put in any shard: not one that is kept
// account of with others of its entity, which must stay with them.
func (p *path) anywhere(d *seawall.Delivery) bool { return !d.Lined() }

// liveFor is the configuration that shapes a delivery: the running one, unless
// the delivery is pinned to the one it was planned under, or its route or its
// destination is gone. If that is not to be had, the running one may not know
// the destination.
func (p *path) liveFor(ctx context.Context, d *seawall.Delivery) *live {
	l := p.now()
	known := l.routes[d.Route] != nil && l.destinations[d.Destination] != nil || l.callee(d) != nil
	if d.Revision == l.revision || !d.Pinned && known {
		return l
	}
	old, err := p.old.get(ctx, d.Revision)
	if err != nil {
		p.app.Log.Warn("configuration of a delivery is not to be had; the running one is used",
			"delivery", d.ID.String(), "revision", d.Revision, "error", err)
		return l
	}
	if old.destinations[d.Destination] == nil && old.callee(d) == nil {
		return l
	}
	return old
}

// revision loads an earlier configuration. What it refers to is resolved now.
func (a *App) revision(ctx context.Context, number int64) (*config.Config, error) {
	r, err := a.store.Revision(ctx, number)
	if err != nil {
		return nil, err
	}
	return a.Parse(r.Text)
}
