package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/record"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/shape"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// maxRecord is the longest record that is fetched: what an expression may give.
	maxRecord = 1 << 20
	// apart is how far the clocks of nodes that share a store may be apart without
	// their noticing.
	apart = 3 * time.Second
)

// since is from when on the record has to be asked for that a delivery may have: its
// event had come by then, whichever node's clock says when that was.
func (p *path) since(t *try) time.Time {
	if !p.app.shared {
		return t.Event.ReceivedAt
	}
	if by := t.Event.ReceivedAt.Add(apart); by.Before(t.at) {
		return by
	}
	return t.at
}

// wantsRecord tells whether what is delivered is the entity's current record: the
// route says so, or it is not known which of two events is newer.
func (t *try) wantsRecord() (wants bool, f *config.Fetch) {
	if t.to == nil || t.to.Forward {
		return false, nil
	}
	r := t.live.routes[t.Delivery.Route]
	name, _ := seawall.EntityName(t.Delivery.Entity)
	if e := t.live.entities[name]; e != nil && e.Fetch != nil {
		f = e.Fetch
	}
	// What the route takes beside its entity's events goes as it comes.
	return r != nil && r.Fetch && (r.Entity == "" || r.Entity == name) || t.Delivery.Tied && f != nil, f
}

// learn reads which records the delivery's entity is, where something asks that.
func (p *path) learn(ctx context.Context, t *try) error {
	if t.to == nil || t.Delivery.Entity == "" {
		return nil
	}
	wants, f := t.wantsRecord()
	r := t.live.routes[t.Delivery.Route]
	if !t.to.UsesLinks() && (r == nil || !r.UsesLinks()) && !(wants && f != nil && f.URL.Uses(expr.LinkVar)) {
		return nil
	}
	ls, err := p.app.store.LinksOf(ctx, t.Delivery.Entity)
	if err != nil {
		return err
	}
	t.links = make(map[string]string, len(ls))
	for _, l := range ls {
		t.links[l.System] = l.Record
	}
	return nil
}

var (
	errNoEntity = errors.New("the event belongs to no entity whose record is kept here")
	errNoFetch  = errors.New("the event belongs to no entity whose record can be fetched")
)

// given is what an attempt is made of beside its event. stop, if not nil, is what
// becomes of the delivery in its place.
func (p *path) given(ctx context.Context, t *try) (g shape.Given, stop *store.Settlement) {
	g.Links = t.links
	wants, f := t.wantsRecord()
	switch {
	case !wants:
		return g, nil
	case f == nil:
		s := p.unfetched(t, errNoFetch, send.Reply{At: t.at})
		return g, &s
	}
	of, shared, err := p.fetch(ctx, t, f)
	if err != nil {
		s := t.wait(p.app.Now(), t.Delivery.Reason)
		return g, &s
	}
	if left, is := errors.AsType[leftAlone](of.Err); is {
		s := t.wait(left.until, "its record is not fetched yet: "+left.Error())
		return g, &s
	}
	x := seawall.Exchange{What: seawall.Fetches, At: of.Began, Shared: shared, Response: send.Kept(of.Reply.Response)}
	if of.Request != nil {
		x.Request = *of.Request
	}
	if of.Err != nil {
		x.Error = of.Err.Error()
	}
	if !of.Began.IsZero() {
		t.asked = append(t.asked, x)
	}
	switch {
	case of.Err != nil:
		s := p.unfetched(t, of.Err, of.Reply)
		return g, &s
	case of.Gone && f.Gone == config.GoneDeliver:
		g.Fetched = shape.Gone
	case of.Gone:
		s := p.gone(t, f)
		return g, &s
	default:
		g.Fetched, g.Record = shape.Fetched, of.JSON
	}
	return g, nil
}

// unfetched is an attempt that failed, since there was no record to deliver.
func (p *path) unfetched(t *try, err error, r send.Reply) store.Settlement {
	why := "the record was not fetched: " + err.Error()
	var v settle.Verdict
	if t.to.Upsert != nil {
		doubt, is := t.keeping().Doubt(t.past)
		v = settle.JudgeFind(t.keeping(), &t.Delivery, t.past, settle.Sought{Err: why, Reply: r}, doubt, is, p.app.Now(), p.app.Jitter)
	} else {
		v = settle.JudgeFetch(t.policy, &t.Delivery, t.past, r, why, p.app.Now(), p.app.Jitter)
	}
	s := p.settlement(t, t.Delivery.Step, v, nil, send.Reply{At: t.at, Took: p.app.Now().Sub(t.at)})
	if s.State == seawall.Dead {
		p.fallBack(t, &s)
	}
	p.observe(t.Claimed, &s)
	return s
}

// gone ends or holds a delivery whose entity has no record any more.
func (p *path) gone(t *try, f *config.Fetch) store.Settlement {
	const why = "the record is gone"
	v := settle.Verdict{Outcome: seawall.Failed, Error: why, State: seawall.Canceled, Reason: why, Next: "canceled: " + why}
	if f.Gone == config.GoneHold {
		v.State, v.Reason, v.Next = seawall.Held, seawall.ReasonRecord+"it is gone", "held for a person: "+why
	}
	s := p.settlement(t, t.Delivery.Step, v, nil, send.Reply{At: t.at, Took: p.app.Now().Sub(t.at)})
	p.observe(t.Claimed, &s)
	return s
}

// leftAlone is that a system may not be asked now.
type leftAlone struct {
	system string
	until  time.Time
}

func (l leftAlone) Error() string { return "system " + l.system + " is left alone for now" }

// fetch returns the current record of the delivery's entity, as it was at some time
// after the event came. The error is ctx's. What it waits for holds up nobody at the
// delivery's own system.
func (p *path) fetch(ctx context.Context, t *try, f *config.Fetch) (of *record.Record, shared bool, err error) {
	out, shown, in, err := t.live.shape.Fetch(ctx, f, t.Event, t.links)
	if err != nil {
		return &record.Record{Err: err}, false, nil
	}
	what := ""
	if f.Record != nil {
		what = f.Record.Source()
	}
	key := t.Delivery.Entity + "\x00" + f.System + "\x00" + out.URL.String() + "\x00" + what
	if of := p.app.records.Kept(key, p.since(t)); of != nil {
		return of, true, nil
	}
	t.leave()
	return p.app.records.Get(ctx, key, p.since(t), func(ctx context.Context) *record.Record {
		return p.read(ctx, t, f, out, shown, in)
	})
}

// read makes the request of a fetch, and reads the answer.
func (p *path) read(ctx context.Context, t *try, f *config.Fetch, out *send.Request, shown *seawall.Request, in *expr.Input) (of *record.Record) {
	of = &record.Record{Request: shown}
	defer func() {
		if caught := recover(); caught != nil {
			p.app.Log.Error("fetch panicked", "entity", t.Delivery.Entity, "panic", caught, "stack", string(debug.Stack()))
			of.Err = fmt.Errorf("the gateway's own code panicked on the record: %v", caught)
		}
	}()
	y := t.live.systems[f.System]
	pass, err := p.leaveOf(ctx, f.System, t.Delivery.Destination)
	if err != nil || y == nil {
		of.Err, of.Reply.Canceled = cmp.Or(err, errNoFetch), ctx.Err() != nil
		if _, left := errors.AsType[leftAlone](err); left {
			of.Began = p.app.Now() // it is so for all who wait
		}
		return of
	}
	defer pass.Leave()
	out.Keep = maxRecord
	pass.System().Veil(shown)
	of.Began = p.app.Now()
	of.Reply = pass.Do(ctx, out, send.Timeouts(y.Timeout))
	r := of.Reply.Response
	switch {
	case r == nil:
		of.Err = of.Reply.Err
		return of
	case r.Status == http.StatusNotFound || r.Status == http.StatusGone:
		of.Gone = true
		return of
	case r.Status < 200 || r.Status > 299:
		of.Err = fmt.Errorf("HTTP %d %s", r.Status, http.StatusText(r.Status))
		return of
	}
	in, v, err := shape.ReadAnswer(in, of.Reply)
	switch {
	case err != nil:
		of.Err = err
		return of
	case f.Record != nil:
		if of.JSON, err = f.Record.JSON(ctx, in); err != nil {
			of.Err = fmt.Errorf("record: %w", err)
		}
	default:
		of.JSON = r.Body
	}
	of.Gone = of.Err == nil && (v == nil || string(of.JSON) == "null")
	return of
}

// leaveOf waits for the leave to ask a system once more, for a destination. It waits
// for none that is left alone: the error is then a [leftAlone].
func (p *path) leaveOf(ctx context.Context, name, destination string) (*system.Pass, error) {
	y := p.app.systems.Of(name)
	if y == nil {
		return nil, seawall.Errorf(seawall.ErrNotFound, "system %q is not in the configuration", name)
	}
	if until, left := y.Left(); left {
		return nil, leftAlone{name, until}
	}
	pass, err := y.EnterClosed(ctx, destination)
	if errors.Is(err, system.ErrOpen) {
		until, _ := y.Left()
		if least := p.app.Now().Add(leastAside); until.Before(least) {
			until = least
		}
		return nil, leftAlone{name, until}
	}
	return pass, err
}

// leave gives back the leave to ask the delivery's system, for something else that
// takes its time, or because it was used.
func (t *try) leave() {
	t.pass.Leave()
	t.pass = none{}
}

// enter has the delivery ask its system once more, where it has no leave to. stop, if
// not nil, is what becomes of it in place of that.
func (p *path) enterAgain(ctx context.Context, t *try) (stop *store.Settlement) {
	if _, out := t.pass.(none); !out || p.app.systems.Of(t.name) == nil {
		return nil
	}
	pass, err := p.leaveOf(ctx, t.name, t.Delivery.Destination)
	if err == nil {
		t.pass = pass
		return nil
	}
	s := t.wait(p.app.Now(), t.Delivery.Reason)
	if left, is := errors.AsType[leftAlone](err); is {
		s = t.wait(left.until, left.Error())
	}
	return &s
}
