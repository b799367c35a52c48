package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/shape"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// goneFor keeps the queue of a destination that is gone from spinning until
	// it is halted.
	goneFor = 5 * time.Second
	// unreadFor is how long a delivery waits whose attempts the store did not tell.
	unreadFor = time.Second
)

// try is a delivery in hand, with how it is dealt with.
type try struct {
	*store.Claimed
	*way
	live *live
	pass lane.Pass
	past []seawall.Attempt // of this round; read only if it is not safe to repeat, keeps a record, or is in doubt
	at   time.Time

	links map[string]string  // records of its entity, by system; read only where something uses them
	asked []seawall.Exchange // in this attempt
}

// deliver makes one step of a delivery and says what comes next.
func (p *path) deliver(ctx context.Context, c *store.Claimed, pass lane.Pass) store.Settlement {
	t := &try{Claimed: c, live: p.liveFor(ctx, &c.Delivery), pass: pass, at: p.app.Now()}
	defer func() { t.pass.Leave() }()
	if t.way = t.live.way(&c.Delivery, c.Event); t.way == nil {
		// A reload has just taken it away: its queue is about to be halted.
		return t.wait(t.at.Add(goneFor), "the destination is not in the configuration")
	}
	if rec := p.missing(t); rec != nil {
		// Written before and after, so that no crash leaves it held for nothing.
		if err := p.app.store.Await(ctx, c.Event.ID, *rec); err != nil {
			return t.wait(t.at.Add(unreadFor), "its wait for a link is not written: "+err.Error())
		}
		return store.Settlement{State: seawall.Held, Reason: seawall.ReasonUnresolved, Due: rec.Until, At: t.at}
	}
	if err := p.recall(ctx, t); err != nil {
		return t.wait(t.at.Add(unreadFor), "what was tried before is not known: "+err.Error())
	}
	if err := p.learn(ctx, t); err != nil {
		return t.wait(t.at.Add(unreadFor), "which records its entity is, is not known: "+err.Error())
	}
	s := p.step(ctx, t)
	p.inLine(t, &s)
	s.Outcomes = p.app.outcomes.Of(c, &s)
	return s
}

// missing is the record whose entity a delivery still waits for that gave up and was
// replayed; nil for any other.
func (p *path) missing(t *try) *store.Record {
	d := &t.Delivery
	if r := t.live.routes[d.Route]; r == nil || r.Entity == "" || d.Entity != "" || d.Step != seawall.Send || d.Since.Equal(d.Created) {
		return nil
	}
	return p.app.resolver.Missing(t.Event, d.Route)
}

// step does what the delivery's next attempt is.
func (p *path) step(ctx context.Context, t *try) store.Settlement {
	if _, left := t.pass.(aside); left {
		return p.aside(t)
	}
	if t.to != nil && t.to.Upsert != nil {
		return p.upsert(ctx, t)
	}
	switch t.Delivery.Step {
	case seawall.Doubt:
		if !t.policy.Unsafe {
			return p.interrupted(t)
		}
		return p.conclude(t, nil, send.Reply{At: t.at, Sent: true, Err: errDoubt})
	case seawall.Check:
		return p.check(ctx, t)
	}
	if v, late := settle.Expired(t.policy, &t.Delivery, t.past, t.at); late {
		return store.Settlement{State: v.State, Reason: v.Reason, Due: v.Due, Step: v.Step, At: t.at}
	}
	g, stop := p.given(ctx, t)
	if stop == nil {
		stop = p.enterAgain(ctx, t)
	}
	if stop != nil {
		return *stop
	}
	record, reply := p.attempt(ctx, t, g)
	return p.conclude(t, record, reply)
}

var errDoubt = errors.New("the node that was sending it went away: whether it took effect is not known")

// conclude settles an attempt that was made.
func (p *path) conclude(t *try, record *seawall.Request, reply send.Reply) store.Settlement {
	v := settle.Judge(t.policy, &t.Delivery, t.past, reply, p.app.Now(), p.app.Jitter)
	s := p.settlement(t, t.Delivery.Step, v, record, reply)
	if t.policy.Call {
		s.Answer = answerOf(v, reply, p.app.Now())
	}
	if s.State == seawall.Dead && s.Answer == nil {
		p.fallBack(t, &s)
	}
	p.observe(t.Claimed, &s)
	return s
}

// settlement records an attempt with what follows from it.
func (p *path) settlement(t *try, step seawall.Step, v settle.Verdict, record *seawall.Request, reply send.Reply) store.Settlement {
	a := &seawall.Attempt{
		N: t.Delivery.Attempts + 1, At: t.at, Took: reply.Took, Outcome: v.Outcome, Error: v.Error, Next: v.Next,
		Revision: t.live.revision, Node: p.app.node, Step: step, Response: send.Kept(reply.Response),
		Asked: t.asked,
	}
	if record != nil {
		a.Request = *record
	}
	return store.Settlement{
		Attempt: a, State: v.State, Reason: v.Reason, Due: v.Due, Step: v.Step, Disable: v.Disable, At: p.app.Now(),
	}
}

// wait leaves a delivery as it is until later.
func (t *try) wait(due time.Time, why string) store.Settlement {
	return store.Settlement{State: seawall.Pending, Due: due, Reason: why, Step: t.Delivery.Step, At: t.at}
}

// recall reads what was tried before, where what follows depends on it.
func (p *path) recall(ctx context.Context, t *try) error {
	d := &t.Delivery
	keeps := t.to != nil && t.to.Upsert != nil
	if !t.policy.Unsafe && !keeps && d.Step != seawall.Doubt || d.Round == 0 {
		return nil
	}
	all, err := p.app.store.Attempts(ctx, d.ID)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].N > d.Attempts-d.Round {
			t.past = all[i:]
			break
		}
	}
	return nil
}

// attempt shapes and sends. A payload that makes our own code panic harms only
// its own delivery.
func (p *path) attempt(ctx context.Context, t *try, g shape.Given) (record *seawall.Request, reply send.Reply) {
	defer p.caught(t, &reply)
	var out *send.Request
	var err error
	if t.to != nil {
		if out, record, err = t.live.shape.Shape(ctx, &t.Delivery, t.Event, t.at, g); err == nil && g.Request != nil {
			out.Keep = maxProof // the record's id is in it
		}
	} else {
		if out, record, err = t.live.shape.Call(t.system, &t.Delivery, t.Event); err == nil {
			out.Keep = keep(t.system)
		}
	}
	if err != nil {
		return record, send.Reply{At: t.at, Err: err}
	}
	return record, p.send(ctx, t.pass, t.name, record, out, t.limits)
}

// caught makes a panic an attempt that failed. What was being sent may have been
// sent.
func (p *path) caught(t *try, reply *send.Reply) {
	if caught := recover(); caught != nil {
		p.app.Log.Error("attempt panicked", "delivery", t.Delivery.ID.String(), "panic", caught, "stack", string(debug.Stack()))
		*reply = send.Reply{At: t.at, Sent: t.policy.Unsafe || t.Delivery.Step == seawall.Create, Err: fmt.Errorf("the gateway's own code panicked on this payload: %v", caught)}
	}
}
