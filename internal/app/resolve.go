package app

import (
	"context"
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/resolve"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// startResolver makes the room that finds out which entities events belong to.
func (a *App) startResolver(ctx context.Context) error {
	a.resolver = resolve.New(resolve.Options{
		Store: a.store, Resolved: a.resolved, Log: a.Log, Now: a.Now,
		Plan: func(ev *seawall.Event, now time.Time, known plan.Known) plan.Planned {
			return a.path.now().current.Plan(ev, now, known)
		},
	})
	if err := a.resolver.Learn(ctx); err != nil {
		return fmt.Errorf("merged entities: %w", err)
	}
	return nil
}

// resolved tells the queues of deliveries that wait no longer for their entity,
// and makes outcomes of those that gave up.
func (a *App) resolved(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery) {
	var outcomes []store.Acceptance
	for i := range ds {
		d := &ds[i]
		switch d.State {
		case seawall.Pending, seawall.Held: // in a settle window, too
			a.lanes.Announce(store.Lane{System: d.System, Shard: d.Shard}, d.Destination)
		case seawall.Dead:
			s := store.Settlement{Delivery: d.ID, State: d.State, Reason: d.Reason, At: d.Finished}
			outcomes = append(outcomes, a.outcomes.Of(&store.Claimed{Delivery: *d, Event: ev}, &s)...)
		}
	}
	if len(outcomes) == 0 {
		return
	}
	if _, err := a.store.Accept(ctx, outcomes); err != nil {
		a.Log.Warn("nobody is told of what was not resolved", "event", ev.ID.String(), "error", err)
		return
	}
	a.announce(outcomes)
}
