package call

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Post is a call that somebody hands over.
type Post struct {
	Request
	System string
	By     string // who: keys are theirs alone
	Key    string // "": none was sent
	Remote string
	Proof  string
}

// Posted is what came of a Post.
type Posted struct {
	*Call
	Again    bool // the call was there before, under the same key
	Assigned bool // it was posted without a key and got one: whoever posts it again makes another call
}

// acceptTimeout bounds the wait for a commit.
const acceptTimeout = 10 * time.Second

// ErrKeyMissing is that a call needs an idempotency key and has none; ErrOther
// that another call was posted under its key.
var (
	ErrKeyMissing = seawall.Errorf(seawall.ErrInvalid, "this call needs an Idempotency-Key: without one nobody could tell a second try from a second call").
			WithHint("send the header Idempotency-Key, the same for each try; or allow such calls without one by assign_key: true in the system's calls:")
	ErrOther = seawall.Errorf(seawall.ErrInvalid, "the Idempotency-Key was used before for another request").
			WithHint("a key stands for one request: take a new one for a new request, and change nothing when you try again")
)

// Post makes a call durable, unless it is there already. It is, when Post
// returns: then it is going to be made, whatever happens to this process.
func (c *Calls) Post(ctx context.Context, p Post) (*Posted, error) {
	cur, now := c.Current(), c.Now()
	system := cur.System(p.System)
	if system == nil {
		return nil, NoSystem(p.System)
	}
	if err := p.check(system); err != nil {
		return nil, err
	}
	out := &Posted{}
	a, err := c.acceptance(cur, system, &p, now, &out.Assigned)
	if err != nil {
		return nil, err
	}
	// What is handed over is taken even if the caller hangs up meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acceptTimeout)
	defer cancel()
	batch := []store.Acceptance{a}
	accepted := c.Reserve(batch)
	done, err := c.Store.Accept(ctx, batch)
	accepted(done)
	if err != nil {
		return nil, seawall.Errorf(seawall.ErrUnavailable, "the call cannot be stored at this moment: %w", err)
	}
	switch done[0].Verdict {
	case seawall.Conflict:
		return nil, ErrOther
	case seawall.Duplicate:
		out.Again = true
		if out.Call, err = c.Get(ctx, done[0].Event); err != nil {
			return nil, err
		}
	default:
		d := a.Deliveries[0]
		out.Call = &Call{Event: a.Event, Delivery: &d}
		out.System, out.By, out.Key = splitID(a.Event.SourceID)
	}
	return out, nil
}

// NoSystem is that no system has that name.
func NoSystem(name string) error {
	return seawall.Errorf(seawall.ErrNotFound, "no system is named %q", clip(name)).
		WithHint("calls go to what is declared under systems: in the configuration")
}

func (c *Calls) acceptance(cur *Current, system *config.System, p *Post, now time.Time, assigned *bool) (a store.Acceptance, err error) {
	id := seawall.NewEventID(now, c.Random)
	key := p.Key
	if key == "" {
		if !Safe(p.Method) && !system.Rule(p.Method, PlainPath(p.Path)).AssignKey {
			return a, ErrKeyMissing
		}
		key, *assigned = id.Call(), true
	}
	ev := &seawall.Event{
		ID: id, Source: seawall.SourceCalls, SourceID: SourceID(system.Name, p.By, key),
		Type: p.kind(), ReceivedAt: now, Method: p.Method, URL: p.Path, Headers: p.Headers, Body: p.Body,
		Remote: p.Remote, Proof: p.Proof, Revision: cur.Revision, Routing: seawall.Routed,
	}
	ds := []seawall.Delivery{{
		ID: id.Delivery(1), Route: seawall.SourceCalls, Destination: seawall.CallsTo(system.Name), System: system.Name, Shard: plan.Shard(ev, system.Shards),
		Source: ev.Source, Type: ev.Type,
		State: seawall.Pending, Due: now, Since: now, Created: now, Revision: cur.Revision,
	}}
	if cur.Plan != nil {
		routing, decisions, more := cur.Plan(ev, now)
		for i := range more {
			more[i].ID = id.Delivery(i + 2)
		}
		ds = append(ds, more...)
		if ev.Decisions = decisions; routing == seawall.PlanError {
			ev.Routing = routing
		}
	}
	horizon := Horizon
	if keep := cur.Config.Retention.Events; keep > 0 {
		horizon = min(horizon, keep)
	}
	return store.Acceptance{Event: ev, BodyHash: p.hash(), Expires: now.Add(horizon), Deliveries: ds}, nil
}
