package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/shape"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A delivery that keeps a record for its entity goes by steps, each of which is
// durable before the next: a link that is known is updated; else the record is looked
// for, adopted where there is one, and then updated; else it is created. Creating is
// preceded by an intent, and what may have been created is looked for before it is
// created again.

// staleFind is from when on what a find did not show may be there after all.
const staleFind = time.Minute

// stale tells whether the record is to be looked for once more before it is created:
// the delivery has waited since, for a paused destination or for its system. Where
// that takes so long each time, once more is enough.
func (t *try) stale() bool {
	n := len(t.past)
	twice := n >= 2 && t.past[n-2].Step == seawall.Check && t.past[n-2].Outcome == seawall.OK
	return t.at.Sub(t.Delivery.Due) >= staleFind && !twice
}

func (t *try) keeping() settle.Keeping {
	p := t.policy
	p.Keeps, p.OnUnknown = true, t.to.OnUnknown
	return settle.Keeping{Policy: p, Lag: t.to.Upsert.Lag, Finds: len(t.to.Upsert.Find) > 0}
}

// upsert makes one step of such a delivery.
func (p *path) upsert(ctx context.Context, t *try) store.Settlement {
	u, d := t.to.Upsert, &t.Delivery
	known := t.links[u.Link]
	switch {
	case d.Entity == "" || d.Order == seawall.Unordered: // then they would not come one at a time
		return p.conclude(t, nil, send.Reply{At: t.at, Err: errNoEntity})
	case d.Step == seawall.Doubt && known != "" && t.policy.Unsafe:
		return p.conclude(t, nil, send.Reply{At: t.at, Sent: true, Err: errDoubt})
	case d.Step == seawall.Doubt && known != "":
		return p.interrupted(t)
	case d.Step == seawall.Doubt:
		return p.created(t, nil, send.Reply{At: t.at, Sent: true, Err: errDoubt}, "")
	case known != "":
		return p.update(ctx, t, known)
	case d.Step == seawall.Create && (len(u.Find) == 0 || !t.stale()):
		return p.create(ctx, t)
	case len(u.Find) == 0:
		s := t.wait(p.app.Now(), d.Reason)
		s.Step = seawall.Create
		return s
	}
	return p.seek(ctx, t)
}

// update sends what the record is to be.
func (p *path) update(ctx context.Context, t *try, known string) store.Settlement {
	t.Delivery.Step = seawall.Send
	g, stop := p.given(ctx, t)
	if stop == nil {
		stop = p.enterAgain(ctx, t)
	}
	if stop != nil {
		return *stop
	}
	u := t.to.Upsert
	// An update is repeatable, and what the system remembers of an earlier one is of no
	// use: it has no key. One that is said not to be has its own: another than the
	// creation's.
	g.Request, g.NoKey = &u.Update, !t.policy.Unsafe
	g.Key = t.Delivery.ID.String() + "-update"
	record, reply := p.attempt(ctx, t, g)
	v, gone := settle.JudgeUpdate(t.keeping(), &t.Delivery, t.past, reply, known, p.app.Now(), p.app.Jitter)
	s := p.settlement(t, seawall.Send, v, record, reply)
	if gone {
		s.Unlink = []seawall.Link{{Entity: t.Delivery.Entity, System: u.Link, Record: known}}
	}
	return p.concluded(t, s)
}

// create creates the record, under an intent.
func (p *path) create(ctx context.Context, t *try) store.Settlement {
	if v, must := settle.MustNotCreate(t.keeping(), &t.Delivery, t.past, t.at); must {
		return store.Settlement{State: v.State, Reason: v.Reason, Due: v.Due, Step: v.Step, At: t.at}
	}
	g, stop := p.given(ctx, t)
	if stop == nil {
		stop = p.enterAgain(ctx, t)
	}
	if stop != nil {
		return *stop
	}
	g.Request, g.Key = &t.to.Upsert.Create, t.createKey()
	record, reply := p.attempt(ctx, t, g)
	return p.created(t, record, reply, p.idOf(ctx, t, g, reply))
}

// createKey is the key of a creation: the delivery's id. After an update of the round
// found the record gone it is another, or the system would tell of that one.
func (t *try) createKey() string {
	key := t.Delivery.ID.String()
	for i := range t.past {
		a := &t.past[i]
		if r := a.Response; a.Step == seawall.Send && r != nil && (r.Status == http.StatusNotFound || r.Status == http.StatusGone) {
			key = t.Delivery.ID.String() + "-" + strconv.Itoa(a.N)
		}
	}
	return key
}

// idOf is what the answer to a creation says of the record's id; "" if nothing.
func (p *path) idOf(ctx context.Context, t *try, g shape.Given, r send.Reply) string {
	if r.Response == nil || r.Response.Status < 200 || r.Response.Status > 299 {
		return ""
	}
	in, _, err := shape.ReadAnswer(t.live.shape.About(t.Event, g), r)
	if err != nil {
		return ""
	}
	id, _, err := t.to.Upsert.ID.String(ctx, in)
	if err != nil {
		return ""
	}
	return id
}

// created settles what came of a creation.
func (p *path) created(t *try, record *seawall.Request, reply send.Reply, id string) store.Settlement {
	v := settle.JudgeCreate(t.keeping(), &t.Delivery, t.past, reply, id, p.app.Now(), p.app.Jitter)
	step := seawall.Create
	if t.Delivery.Step == seawall.Doubt {
		step = seawall.Doubt
	}
	s := p.settlement(t, step, v, record, reply)
	if v.State == seawall.Delivered {
		if other := p.otherOf(t, id); other != "" {
			s.State, s.Reason = seawall.Held, seawall.ReasonRecord+other
			s.Attempt.Next = "held for a person: " + other
		} else {
			s.Links = []seawall.Link{t.link(id, p.app.Now())}
		}
	}
	return p.concluded(t, s)
}

// concluded passes on an attempt with what follows.
func (p *path) concluded(t *try, s store.Settlement) store.Settlement {
	if s.State == seawall.Dead {
		p.fallBack(t, &s)
	}
	p.observe(t.Claimed, &s)
	return s
}

// link is what the delivery teaches of its entity.
func (t *try) link(record string, now time.Time) seawall.Link {
	return seawall.Link{Entity: t.Delivery.Entity, System: t.to.Upsert.Link, Record: record, At: now, By: t.Delivery.ID.String()}
}

// otherOf says whose record it is, if it is another entity's.
func (p *path) otherOf(t *try, record string) string {
	name, _ := seawall.EntityName(t.Delivery.Entity)
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	other, err := p.app.store.EntityOf(ctx, name, t.to.Upsert.Link, record)
	switch {
	case err != nil:
		return fmt.Sprintf("whose record %s is, is not known: %v", record, err)
	case other == "" || other == p.app.resolver.Alias(t.Delivery.Entity):
		return ""
	}
	return fmt.Sprintf("record %s of %s is that of %s", record, t.to.Upsert.Link, other)
}

// storeTime bounds a look into the store.
const storeTime = 5 * time.Second

// seek looks for the record, and says what follows.
func (p *path) seek(ctx context.Context, t *try) store.Settlement {
	doubt, doubted := t.keeping().Doubt(t.past)
	if !doubted {
		var err error
		if doubt, doubted, err = p.doubtOf(ctx, t); err != nil {
			return t.wait(t.at.Add(unreadFor), "whether it may have been created is not known: "+err.Error())
		}
	}
	g, stop := p.given(ctx, t)
	if stop != nil {
		return *stop
	}
	f, stop := p.lookUp(ctx, t, g)
	if stop != nil {
		return *stop
	}
	v := settle.JudgeFind(t.keeping(), &t.Delivery, t.past, f, doubt, doubted, p.app.Now(), p.app.Jitter)
	s := p.settlement(t, seawall.Check, v, nil, send.Reply{At: t.at, Took: p.app.Now().Sub(t.at)})
	if f.Record != "" && v.Outcome == seawall.OK {
		s.Links = []seawall.Link{t.link(f.Record, p.app.Now())}
	}
	return p.concluded(t, s)
}

// lookUp asks by each find in turn, until one shows a record. One that has nothing to
// ask by is left out.
func (p *path) lookUp(ctx context.Context, t *try, g shape.Given) (f settle.Sought, stop *store.Settlement) {
	f.Began = p.app.Now()
	for i := range t.to.Upsert.Find {
		found, stop := p.findBy(ctx, t, &t.to.Upsert.Find[i], g)
		if stop != nil || found.Record != "" || found.Held != "" || found.Err != "" {
			found.Began = f.Began
			return found, stop
		}
	}
	return f, nil
}

func (p *path) findBy(ctx context.Context, t *try, q *config.Request, g shape.Given) (f settle.Sought, stop *store.Settlement) {
	x := seawall.Exchange{What: seawall.Finds, At: p.app.Now()}
	defer func() {
		p.caughtFind(recover(), t, &f)
	}()
	out, shown, in, err := t.live.shape.Find(ctx, q, &t.Delivery, t.Event, t.at, g)
	switch {
	case errors.Is(err, shape.ErrMissing):
		x.Request, x.Error = seawall.Request{Method: q.Method, URL: q.URL.Source()}, "not asked: "+err.Error()
		t.asked = append(t.asked, x)
		return f, nil
	case err != nil:
		f.Err = err.Error()
		return f, nil
	}
	if stop = p.enterAgain(ctx, t); stop != nil {
		return f, stop
	}
	out.Keep = maxProof
	x.At = p.app.Now()
	f.Reply = p.send(ctx, t.pass, t.name, shown, out, t.limits)
	t.leave()
	x.Request, x.Response = *shown, send.Kept(f.Reply.Response)
	defer func() {
		x.Error = f.Err
		t.asked = append(t.asked, x)
	}()
	r := f.Reply.Response
	switch {
	case r == nil:
		f.Err = "the find was not answered: " + f.Reply.Err.Error()
		return f, nil
	case r.Status == http.StatusNotFound, r.Status == http.StatusGone, r.Status == http.StatusNoContent:
		return f, nil
	case r.Status < 200 || r.Status > 299:
		f.Err = fmt.Sprintf("the find was answered HTTP %d", r.Status)
		return f, nil
	}
	in, _, err = shape.ReadAnswer(in, f.Reply)
	if err != nil {
		f.Err = "the find's answer: " + err.Error()
		return f, nil
	}
	got, err := t.to.Upsert.Found.Run(ctx, in)
	if err != nil {
		f.Err = "found: " + err.Error()
		return f, nil
	}
	if got == nil || got == false {
		return f, nil
	}
	in = in.With(got)
	id, ok, err := t.to.Upsert.ID.String(ctx, in)
	if err != nil || !ok || id == "" {
		f.Err = "a record was found, and its id is not known"
		if err != nil {
			f.Err += ": id: " + err.Error()
		}
		return f, nil
	}
	if f.Held = p.otherOf(t, id); f.Held != "" {
		return f, nil
	}
	if a := t.to.Upsert.Adopt; a != nil {
		switch may, err := a.Bool(ctx, in); {
		case err != nil:
			f.Err = "adopt: " + err.Error()
			return f, nil
		case !may:
			f.Held = fmt.Sprintf("record %s of %s may not be adopted: adopt does not hold", id, t.to.Upsert.Link)
			return f, nil
		}
	}
	f.Record = id
	return f, nil
}

// caughtFind makes a panic a find that tells nothing.
func (p *path) caughtFind(caught any, t *try, f *settle.Sought) {
	if caught != nil {
		p.app.Log.Error("find panicked", "delivery", t.Delivery.ID.String(), "panic", caught, "stack", string(debug.Stack()))
		*f = settle.Sought{Err: fmt.Sprintf("the gateway's own code panicked on the find's answer: %v", caught)}
	}
}

// looksBack is how many earlier deliveries of an entity are looked at.
const looksBack = 20

// doubtOf tells whether another delivery of the entity may have created the record,
// and ended or is held: or an earlier round of this one.
func (p *path) doubtOf(ctx context.Context, t *try) (settle.Doubt, bool, error) {
	k, d := t.keeping(), &t.Delivery
	l, err := p.app.store.ListDeliveries(ctx, store.DeliveryFilter{Entity: d.Entity, Destination: d.Destination}, store.Page{Limit: looksBack})
	if err != nil {
		return settle.Doubt{}, false, err
	}
	for i := range l.Items {
		o := &l.Items[i]
		if o.Attempts == 0 || o.State == seawall.Delivered || o.ID == d.ID && o.Attempts == d.Round {
			continue
		}
		all, err := p.app.store.Attempts(ctx, o.ID)
		if err != nil {
			return settle.Doubt{}, false, err
		}
		if doubt, is := k.Doubt(all); is && (doubt.Sure != "" || t.at.Before(doubt.Since.Add(k.Lag))) {
			return doubt, true, nil
		}
	}
	return settle.Doubt{}, false, nil
}
