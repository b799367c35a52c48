package app

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/receive"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// path is an event's way through the gateway, by the running configuration:
//
//	receive → verify → identify → plan → accept:  COMMIT event, key, deliveries → 2xx
//	enter → claim → shape → send → settle:        COMMIT attempt, state
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
			if done != nil {
				p.app.accepted.tell()
			}
		}
	}
}

// goneFor keeps the queue of a destination that is gone from spinning until it
// is halted.
const goneFor = 5 * time.Second

// deliver makes one attempt of a delivery and says what comes next.
func (p *path) deliver(ctx context.Context, c *store.Claimed, pass lane.Pass) store.Settlement {
	defer pass.Leave()
	l := p.liveFor(ctx, &c.Delivery)
	at := p.app.Now()
	to := l.destinations[c.Delivery.Destination]
	if to == nil {
		// A reload has just taken it away: its queue is about to be halted.
		return store.Settlement{State: seawall.Pending, Due: at.Add(goneFor), Reason: "the destination is not in the configuration",
			Step: c.Delivery.Step, At: at}
	}
	if c.Delivery.Step == seawall.Doubt {
		return p.doubt(c, l, at)
	}
	record, reply := p.attempt(ctx, l, c, at, pass)
	v := settle.Judge(to.Retry, &c.Delivery, reply, p.app.Now(), p.app.Jitter)
	if to.Unsafe {
		v = v.HoldUnknown()
	}

	a := &seawall.Attempt{
		N: c.Delivery.Attempts + 1, At: at, Took: reply.Took, Outcome: v.Outcome, Error: v.Error, Next: v.Next,
		Revision: l.revision, Node: p.app.node, Response: reply.Response,
	}
	if record != nil {
		a.Request = *record
	}
	p.observe(c, a, v.State)
	return store.Settlement{
		Attempt: a, State: v.State, Reason: v.Reason, Due: v.Due, Disable: v.Disable, At: p.app.Now(),
	}
}

// doubt records the attempt that a node was in when it went away, and sends nothing:
// what it did, a person finds out.
func (p *path) doubt(c *store.Claimed, l *live, at time.Time) store.Settlement {
	a := &seawall.Attempt{N: c.Delivery.Attempts + 1, At: at, Step: seawall.Doubt, Outcome: seawall.Unknown,
		Error:    "the node that was sending it went away: whether it took effect is not known",
		Next:     "held for a person",
		Revision: l.revision, Node: p.app.node}
	p.observe(c, a, seawall.Held)
	return store.Settlement{Attempt: a, State: seawall.Held, Reason: seawall.ReasonUnknown, At: at}
}

// attempt shapes and sends. A payload that makes our own code panic harms only
// its own delivery.
func (p *path) attempt(ctx context.Context, l *live, c *store.Claimed, now time.Time, pass lane.Pass) (record *seawall.Request, reply send.Reply) {
	defer func() {
		if caught := recover(); caught != nil {
			p.app.Log.Error("attempt panicked", "delivery", c.Delivery.ID.String(), "panic", caught, "stack", string(debug.Stack()))
			reply = send.Reply{At: now, Err: fmt.Errorf("the gateway's own code panicked on this payload: %v", caught)}
		}
	}()
	out, record, err := l.shape.Shape(ctx, &c.Delivery, c.Event, now)
	if err != nil {
		return record, send.Reply{At: now, Err: err}
	}
	to := l.destinations[c.Delivery.Destination]
	return record, p.send(ctx, pass, system.Name(to), record, out, send.Timeouts(to.Timeout))
}

// observe counts an attempt and logs what an operator would want to know of it.
func (p *path) observe(c *store.Claimed, a *seawall.Attempt, next seawall.State) {
	d := &c.Delivery
	status := 0
	if a.Response != nil {
		status = a.Response.Status
	}
	p.app.metrics.Attempt(d.Destination, a.Outcome, status, a.Took)
	switch p.troubles.note(d.Destination, a.Error, a.At) {
	case began:
		p.app.Log.Warn("destination fails", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "outcome", a.Outcome.String(), "error", a.Error, "next", a.Next)
	case ended:
		p.app.Log.Info("destination answers again", "delivery", d.ID.String(), "destination", d.Destination)
	}
	switch next {
	case seawall.Delivered:
		p.app.metrics.Delivered(d.Destination, p.app.Now().Sub(c.Event.ReceivedAt))
	case seawall.Held:
		p.app.Log.Warn("outcome unknown: held for a person", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "error", a.Error)
	case seawall.Dead:
		p.app.Log.Warn("dead letter", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempts", a.N, "error", a.Error)
	default:
		p.app.Log.Debug("attempt did not succeed", "event", d.ID.Event().String(), "delivery", d.ID.String(),
			"destination", d.Destination, "attempt", a.N, "outcome", a.Outcome.String(), "error", a.Error, "next", a.Next)
	}
}

// liveFor is the configuration that shapes a delivery: the running one, unless
// the delivery is pinned to the one it was planned under, or its route or its
// destination is gone. If that is not to be had, the running one may not know
// the destination.
func (p *path) liveFor(ctx context.Context, d *seawall.Delivery) *live {
	l := p.now()
	known := l.routes[d.Route] != nil && l.destinations[d.Destination] != nil
	if d.Revision == l.revision || !d.Pinned && known {
		return l
	}
	old, err := p.old.get(ctx, d.Revision)
	if err != nil {
		p.app.Log.Warn("configuration of a delivery is not to be had; the running one is used",
			"delivery", d.ID.String(), "revision", d.Revision, "error", err)
		return l
	}
	if old.destinations[d.Destination] == nil {
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
