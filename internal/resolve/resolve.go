// Package resolve finds out which entity an event belongs to that says only its
// record: at once where the link is known, else when it comes, else when the wait
// for it is over. It also knows what entities are called that were merged.
//
// Every node does all of it: what two find out at once is written once.
package resolve

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Store is what resolving needs of the store.
type Store interface {
	EntityOf(ctx context.Context, name, system, record string) (string, error)
	Aliases(ctx context.Context, version int64) (all map[string]string, now int64, err error)
	Resolvable(ctx context.Context, now time.Time, limit int) ([]store.Resolvable, error)
	Await(ctx context.Context, id seawall.EventID, r store.Record) error
	Resolve(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery) (done bool, err error)
	Event(ctx context.Context, id seawall.EventID) (*seawall.Event, error)
	DeliveriesOf(ctx context.Context, id seawall.EventID) ([]seawall.Delivery, error)
}

// Options are what a Resolver works with. All are needed.
type Options struct {
	Store Store
	// Plan plans an event by the running configuration.
	Plan func(ev *seawall.Event, now time.Time, known plan.Known) plan.Planned
	// Resolved is told of an event that waits no longer, and what became of its
	// deliveries that were held for that.
	Resolved func(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery)
	Log      *slog.Logger
	Now      func() time.Time
}

// Resolver resolves. Run must run beside it.
type Resolver struct {
	Options
	aliases  atomic.Pointer[aliases]
	learning sync.Mutex // held while they are read
	learned  chan struct{}
	merged   chan struct{}

	mu     sync.Mutex
	events map[seawall.EventID]bool // that are to wait again
}

type aliases struct {
	of      map[string]string
	version int64
}

const (
	// every is how often it is looked whether another node learned a link, or a
	// wait is over.
	every = time.Second
	// aliasesEvery is how often it is looked whether another node merged entities.
	aliasesEvery = 5 * time.Second
	// askTime bounds what is asked of the store while a sender waits.
	askTime = 2 * time.Second
	batch   = 100
)

// New makes a Resolver.
func New(o Options) *Resolver {
	r := &Resolver{Options: o, learned: make(chan struct{}, 1), merged: make(chan struct{}, 1), events: map[seawall.EventID]bool{}}
	r.aliases.Store(&aliases{})
	return r
}

// Alias is what an entity is called now.
func (r *Resolver) Alias(entity string) string {
	if now, merged := r.aliases.Load().of[entity]; merged {
		return now
	}
	return entity
}

// AliasesOf are the entities that were merged into this one, by name.
func (r *Resolver) AliasesOf(entity string) (out []string) {
	for was, now := range r.aliases.Load().of {
		if now == entity {
			out = append(out, was)
		}
	}
	slices.Sort(out)
	return out
}

// Known plans an event that has just come, with what is known of its entity. If
// the store cannot tell, the event waits for the link like one that is not known.
func (r *Resolver) Known(ctx context.Context, ask func(plan.Known) plan.Planned) plan.Planned {
	out := ask(plan.Known{Alias: r.Alias})
	rec := out.Unresolved
	if rec == nil {
		return out
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	entity, err := r.Store.EntityOf(ctx, rec.Entity, rec.System, rec.Record)
	if err != nil {
		r.Log.Warn("whose record it is was not found out; the event waits", "system", rec.System, "record", rec.Record, "error", err)
	}
	if entity == "" {
		return out
	}
	return ask(plan.Known{Entity: entity, Alias: r.Alias})
}

// Learned tells that links may be known that were not. It does not block.
func (r *Resolver) Learned() { poke(r.learned) }

// Merged tells that entities may be called otherwise. It does not block.
func (r *Resolver) Merged() { poke(r.merged) }

// Missing tells what an event still waits for whose delivery over a route was replayed
// after it had given up: the record whose entity is not known. nil if it may be sent.
func (r *Resolver) Missing(ev *seawall.Event, route string) *store.Record {
	copied := *ev // planning writes into it
	planned := r.Plan(&copied, r.Now(), plan.Known{Alias: r.Alias})
	if planned.Unresolved == nil {
		return nil
	}
	for _, d := range r.Plan(&copied, r.Now(), plan.Known{Over: true, Alias: r.Alias}).Deliveries {
		if d.Route == route && d.State != seawall.Pending { // or it goes on without an entity, as is said
			return planned.Unresolved
		}
	}
	return nil
}

// Again has an event wait for its link again, of which a delivery is held anew. It
// does not block.
func (r *Resolver) Again(id seawall.EventID) {
	r.mu.Lock()
	r.events[id] = true
	r.mu.Unlock()
	poke(r.learned)
}

// again writes what Again was told. What was not written is written next time.
func (r *Resolver) again(ctx context.Context) {
	r.mu.Lock()
	ids := slices.Collect(maps.Keys(r.events))
	r.mu.Unlock()
	for _, id := range ids {
		ev, err := r.Store.Event(ctx, id)
		if err == nil {
			if rec := r.Plan(ev, r.Now(), plan.Known{Alias: r.Alias}).Unresolved; rec != nil {
				err = r.Store.Await(ctx, id, *rec)
			}
		}
		if err != nil && !errors.Is(err, seawall.ErrNotFound) {
			if ctx.Err() == nil {
				r.Log.Warn("event does not wait for its link yet", "event", id.String(), "error", err)
			}
			continue
		}
		r.mu.Lock()
		delete(r.events, id)
		r.mu.Unlock()
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Learn reads what entities are called now, if that has changed.
func (r *Resolver) Learn(ctx context.Context) error {
	r.learning.Lock()
	defer r.learning.Unlock()
	had := r.aliases.Load()
	all, now, err := r.Store.Aliases(ctx, had.version)
	if err == nil && now != had.version {
		r.aliases.Store(&aliases{of: all, version: now})
	}
	return err
}

// Run resolves until ctx ends.
func (r *Resolver) Run(ctx context.Context) error {
	look, read := time.NewTicker(every), time.NewTicker(aliasesEvery)
	defer look.Stop()
	defer read.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.learned:
			r.resolve(ctx)
		case <-look.C:
			r.resolve(ctx)
		case <-r.merged:
			r.learn(ctx)
		case <-read.C:
			r.learn(ctx)
		}
	}
}

func (r *Resolver) learn(ctx context.Context) {
	if err := r.Learn(ctx); err != nil && ctx.Err() == nil {
		r.Log.Warn("merged entities not read", "error", err)
	}
}

// resolve ends the waits that can end, a batch after the other.
func (r *Resolver) resolve(ctx context.Context) {
	r.again(ctx)
	for ctx.Err() == nil {
		rs, err := r.Store.Resolvable(ctx, r.Now(), batch)
		if err != nil {
			if ctx.Err() == nil {
				r.Log.Warn("events that wait for a link not read", "error", err)
			}
			return
		}
		ended := 0
		for i := range rs {
			if err := r.one(ctx, &rs[i]); err != nil {
				if ctx.Err() == nil {
					r.Log.Warn("event not resolved", "event", rs[i].Event.String(), "error", err)
				}
				continue
			}
			ended++
		}
		if len(rs) < batch || ended == 0 {
			return
		}
	}
}

// one ends an event's wait.
func (r *Resolver) one(ctx context.Context, w *store.Resolvable) error {
	ev, err := r.Store.Event(ctx, w.Event)
	if err != nil {
		return err
	}
	ds, err := r.Store.DeliveriesOf(ctx, w.Event)
	if err != nil {
		return err
	}
	known := plan.Known{Entity: w.Entity, Over: w.Entity == "", Alias: r.Alias}
	now := r.Now()
	planned := r.Plan(ev, now, known)
	if planned.Unresolved != nil { // the configuration has another entity for it by now
		planned = r.Plan(ev, now, plan.Known{Over: true, Alias: r.Alias})
	}
	ev.Routing, ev.Decisions = planned.Routing, planned.Decisions
	ds = replace(ds, &planned, now)
	done, err := r.Store.Resolve(ctx, ev, ds)
	if err != nil || !done {
		return err // or another node was quicker
	}
	r.Resolved(ctx, ev, ds)
	return nil
}

// replace finds what becomes of those deliveries that wait for the entity: what
// the route would do now. One that does not want the event any more cancels its
// delivery; one that cannot say so any more leaves a dead letter.
func replace(ds []seawall.Delivery, planned *plan.Planned, now time.Time) (out []seawall.Delivery) {
	for _, was := range ds {
		if was.State != seawall.Held || was.Reason != seawall.ReasonUnresolved {
			continue
		}
		i := slices.IndexFunc(planned.Deliveries, func(d seawall.Delivery) bool { return d.Route == was.Route })
		if i >= 0 {
			d := planned.Deliveries[i]
			d.ID, d.Created, d.Attempts = was.ID, was.Created, was.Attempts
			if d.State == seawall.Held && d.Reason == seawall.ReasonUnresolved {
				d.Due = order.Never
			}
			out = append(out, d)
			continue
		}
		was.State, was.Reason, was.Finished = seawall.Canceled, "its route is not in the configuration", now
		for _, said := range planned.Decisions {
			if said.Route != was.Route {
				continue
			}
			if was.Reason = said.Why; said.Error {
				was.State = seawall.Dead
			}
		}
		out = append(out, was)
	}
	return out
}
