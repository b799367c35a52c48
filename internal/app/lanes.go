package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// wanted is what is to be drained: by the newest configuration, which is adopted
// first, the queues of its destinations, and whatever waits elsewhere for them.
func (a *App) wanted(ctx context.Context) lane.Wanted {
	a.adopt(ctx)
	l := a.path.now()
	return lane.Wanted{Revision: l.revision, Targets: targets(l.config, a.strays(ctx))}
}

// targets are the queues of destinations and of calls, one for each shard; and in
// lanes that the configuration no longer has, those that still hold something: of
// a shard that is gone, of the system or of the name that a destination had. All
// of a destination's queues share its concurrency.
func targets(c *config.Config, waiting []store.PendingQueue) []lane.Target {
	var out []lane.Target
	lined := inOrder(c)
	for _, d := range slices.Concat(c.Destinations, calls(c)) {
		first, shards, to := len(out), max(d.Shards, 1), system.Name(d)
		for shard := range shards {
			out = append(out, lane.Target{Name: d.Name, Lane: store.Lane{System: to, Shard: shard}})
		}
		for _, w := range waiting {
			ours := w.Destination == d.Name && w.System == to && w.Shard < shards
			if !ours && (w.Destination == d.Name || d.RenamedFrom != "" && w.Destination == d.RenamedFrom) {
				out = append(out, lane.Target{Name: w.Destination, Lane: w.Lane, Stray: true})
			}
		}
		for i := range out[first:] {
			out[first+i].Unsafe, out[first+i].Timed = d.Unsafe, lined[d.Name]
		}
		shareOut(out[first:], d.Concurrency)
	}
	return out
}

// inOrder are the destinations to which deliveries go in order, or after others.
func inOrder(c *config.Config) map[string]bool {
	out := map[string]bool{}
	for _, r := range c.Routes {
		if r.Order != seawall.Unordered || len(r.After) > 0 {
			out[r.To] = true
		}
	}
	return out
}

// shareOut divides a destination's concurrency among its queues, each of which
// gets one at least.
func shareOut(ts []lane.Target, concurrency int) {
	for i := range ts {
		ts[i].Concurrency = concurrency / len(ts)
		if i < concurrency%len(ts) {
			ts[i].Concurrency++
		}
		ts[i].Concurrency = max(ts[i].Concurrency, 1)
	}
}

// strayEvery is how often the store is asked what waits where; beside that,
// whenever something may have been put there.
const strayEvery = 10 * time.Second

// strays remembers what waits where, for a moment.
type strays struct {
	mu      sync.Mutex
	at      time.Time // zero: no longer true
	waiting []store.PendingQueue
}

func (s *strays) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = time.Time{}
}

func (a *App) strays(ctx context.Context) []store.PendingQueue {
	s := &a.waiting
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := a.Now(); s.at.IsZero() || now.Sub(s.at).Abs() >= strayEvery {
		waiting, err := a.store.Waiting(ctx)
		if err != nil {
			if ctx.Err() == nil {
				a.Log.Warn("the store did not say what waits in which lanes", "error", err)
			}
			return s.waiting
		}
		s.at, s.waiting = now, waiting
	}
	return s.waiting
}

// wake tells the queues of a destination, on whichever node they are, that
// something may have fallen due in them or that its gate has changed.
func (a *App) wake(destination string) {
	s := store.Signal{Destination: destination}
	a.hear(s)
	a.store.Tell(s)
}

// hear takes in a signal of another node.
func (a *App) hear(s store.Signal) {
	a.systems.Hear(s)
	if s.System == "" {
		a.waiting.forget()
		a.resolver.Merged()
		a.lanes.Refresh()
	}
	a.lanes.Wake(s)
}

// listenAgain is how long to wait after the store stopped passing signals on.
const listenAgain = time.Second

// listenTo takes in signals until ctx ends.
func (a *App) listenTo(ctx context.Context) error {
	for ctx.Err() == nil {
		err := a.store.Listen(ctx, a.hear)
		if ctx.Err() != nil {
			return nil
		}
		a.Log.Warn("no word from other nodes; lanes are polled", "error", err)
		timer := time.NewTimer(listenAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}
