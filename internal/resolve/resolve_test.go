package resolve

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// waiting is a store of events that wait for links.
type waiting struct {
	mu      sync.Mutex
	links   map[string]string // record to entity
	events  map[seawall.EventID]*seawall.Event
	records map[seawall.EventID]store.Record
	held    map[seawall.EventID][]seawall.Delivery
	merged  map[string]string
	version int64
	err     error
	asked   int
}

func (w *waiting) EntityOf(_ context.Context, _, _, record string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links[record], w.err
}

func (w *waiting) Aliases(_ context.Context, version int64) (map[string]string, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if version == w.version {
		return nil, version, w.err
	}
	return maps.Clone(w.merged), w.version, w.err
}

func (w *waiting) Resolvable(_ context.Context, now time.Time, limit int) (out []store.Resolvable, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	for id, rec := range w.records {
		if entity := w.links[rec.Record]; (entity != "" || !rec.Until.After(now)) && len(out) < limit {
			out = append(out, store.Resolvable{Event: id, Record: rec, Entity: entity})
		}
	}
	return out, w.err
}

func (w *waiting) Await(_ context.Context, id seawall.EventID, r store.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, waits := w.records[id]; !waits && w.err == nil {
		w.records[id] = r
	}
	return w.err
}

func (w *waiting) Resolve(_ context.Context, ev *seawall.Event, ds []seawall.Delivery) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, waits := w.records[ev.ID]; !waits {
		return false, nil
	}
	delete(w.records, ev.ID)
	w.events[ev.ID], w.held[ev.ID] = ev, ds
	return true, w.err
}

func (w *waiting) Event(_ context.Context, id seawall.EventID) (*seawall.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev := *w.events[id]
	return &ev, nil
}

func (w *waiting) DeliveriesOf(_ context.Context, id seawall.EventID) ([]seawall.Delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.held[id]), nil
}

// room is a Resolver for payments of orders, and what it has resolved.
type room struct {
	*Resolver
	store    *waiting
	planner  *plan.Planner
	mu       sync.Mutex
	resolved []seawall.Delivery
	n        uint16
}

func newRoom(t *testing.T, routes ...*config.Route) *room {
	code := func(s string) *expr.Code {
		c, err := expr.Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	r := &room{store: &waiting{
		links: map[string]string{}, events: map[seawall.EventID]*seawall.Event{}, records: map[seawall.EventID]store.Record{}, held: map[seawall.EventID][]seawall.Delivery{},
	}}
	r.planner = plan.New(&config.Config{
		Entities: []*config.Entity{{
			Name: "order", Unresolved: config.Unresolved{Wait: time.Hour, Then: seawall.WaitDead},
			Claims: []config.Claim{{Source: "stripe", Key: code(".order"), Record: code(".payment"), System: "stripe"}},
		}},
		Routes: append(routes, &config.Route{Name: "ordered", From: "stripe", To: "shop", Entity: "order"}),
	})
	r.Resolver = New(Options{
		Store: r.store, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Plan: func(ev *seawall.Event, now time.Time, k plan.Known) plan.Planned {
			return r.planner.Event(2, ev, now, k)
		},
		Resolved: func(_ context.Context, _ *seawall.Event, ds []seawall.Delivery) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.resolved = append(r.resolved, ds...)
		},
	})
	return r
}

// comes has a refund of a payment come.
func (r *room) comes(payment string) *seawall.Event {
	r.n++
	ev := &seawall.Event{ID: seawall.EventID{byte(r.n >> 8), byte(r.n)}, Source: "stripe", Version: "9", Body: []byte(`{"payment":"` + payment + `"}`)}
	out := r.Known(context.Background(), func(k plan.Known) plan.Planned { return r.planner.Event(1, ev, time.Now(), k) })
	ev.Routing, ev.Decisions = out.Routing, out.Decisions
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.events[ev.ID], r.store.held[ev.ID] = ev, out.Deliveries
	if out.Unresolved != nil {
		r.store.records[ev.ID] = *out.Unresolved
	}
	return ev
}

func (r *room) learns(payment, entity string) {
	r.store.mu.Lock()
	r.store.links[payment] = entity
	r.store.mu.Unlock()
	r.Learned()
}

// became are the resolved deliveries since last asked.
func (r *room) became() (out []seawall.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, r.resolved = r.resolved, nil
	return out
}

func (r *room) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func TestG9_ARecordThatIsKnownIsResolvedAtOnce(t *testing.T) {
	r := newRoom(t)
	r.learns("pi_3", "order/7")
	if ev := r.comes("pi_3"); ev.Entity != "order/7" || len(r.store.records) != 0 || r.store.held[ev.ID][0].State != seawall.Pending {
		t.Errorf("%q: %+v", ev.Entity, r.store.held[ev.ID])
	}
	r.store.err = errors.New("down")
	if ev := r.comes("pi_3"); len(r.store.records) != 0 {
		t.Errorf("%q waits, and yet was known", ev.Entity)
	}
	r.store.links = map[string]string{}
	if ev := r.comes("pi_3"); len(r.store.records) != 1 || r.store.held[ev.ID][0].State != seawall.Held {
		t.Errorf("does not wait: %+v", r.store.held[ev.ID])
	}
}

func TestG9_WhatWaitsGoesOnWhenTheLinkComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		ev := r.comes("pi_3")
		r.comes("pi_4")
		r.run(t)
		synctest.Wait()
		time.Sleep(time.Minute)
		if got := r.became(); got != nil {
			t.Fatalf("went on without a link: %+v", got)
		}
		start := time.Now()
		r.learns("pi_3", "order/7")
		synctest.Wait()
		got := r.became()
		if len(got) != 1 || got[0].ID != ev.ID.Delivery(1) || got[0].State != seawall.Pending || got[0].Entity != "order/7" || got[0].Revision != 2 || !time.Now().Equal(start) {
			t.Fatalf("became %+v", got)
		}
		if now := r.store.events[ev.ID]; now.Entity != "order/7" || now.Version != "9" || now.Decisions[0].Why != "entity order: record pi_3 of stripe is order/7" {
			t.Errorf("%+v", now)
		}
		// One that another node learned is found by looking.
		r.store.mu.Lock()
		r.store.links["pi_4"] = "order/8"
		r.store.mu.Unlock()
		time.Sleep(every)
		synctest.Wait()
		if got := r.became(); len(got) != 1 || got[0].Entity != "order/8" {
			t.Errorf("became %+v", got)
		}
	})
}

func TestG2_WhatIsNeverResolvedEndsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		for range 3*batch + 1 {
			r.comes("pi_3")
		}
		waits := len(r.store.records)
		r.run(t)
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if got := r.became(); got != nil {
			t.Fatalf("gave up early: %+v", got[0])
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := r.became()
		for _, d := range got {
			if d.State != seawall.Dead || d.Reason != seawall.ReasonUnresolved || d.Finished.IsZero() || d.Entity != "" {
				t.Fatalf("became %+v", d)
			}
		}
		if len(got) != waits || len(r.store.records) != 0 {
			t.Errorf("%d of %d ended, %d wait", len(got), waits, len(r.store.records))
		}
	})
}

func TestResolverLivesWithAFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.comes("pi_3")
		r.run(t)
		r.store.mu.Lock()
		r.store.err = errors.New("down")
		r.store.mu.Unlock()
		r.learns("pi_3", "order/7")
		time.Sleep(10*time.Second + time.Millisecond)
		if r.store.mu.Lock(); r.store.asked > 12 {
			t.Errorf("asked %d times in 10 s", r.store.asked)
		}
		r.store.err = nil
		r.store.mu.Unlock()
		time.Sleep(every)
		synctest.Wait()
		if got := r.became(); len(got) != 1 || got[0].Entity != "order/7" {
			t.Errorf("became %+v", got)
		}
	})
}

// A delivery becomes what its route would do now, under its own id.
func TestG2_ReplaceFollowsTheConfiguration(t *testing.T) {
	id := func(n int) seawall.DeliveryID { return seawall.EventID{1}.Delivery(n) }
	now := time.Now()
	held := func(n int, route string) seawall.Delivery {
		return seawall.Delivery{ID: id(n), Route: route, State: seawall.Held, Reason: seawall.ReasonUnresolved, Created: now.Add(-time.Hour)}
	}
	got := replace([]seawall.Delivery{
		held(1, "gone"), {ID: id(2), Route: "free", State: seawall.Delivered}, held(3, "ordered"), held(4, "no"), held(5, "fails"), held(6, "waits"),
	}, &plan.Planned{
		Deliveries: []seawall.Delivery{
			{ID: id(1), Route: "ordered", Entity: "order/7", Created: now}, {ID: id(2), Route: "free"}, {ID: id(3), Route: "new"},
			{ID: id(4), Route: "waits", State: seawall.Held, Reason: seawall.ReasonUnresolved, Due: now},
		},
		Decisions: []seawall.Decision{{Why: "entity order: …"}, {Route: "no", Why: "when: false"}, {Route: "fails", Why: "when: error", Error: true}},
	}, now)
	want := []struct {
		id     seawall.DeliveryID
		state  seawall.State
		reason string
	}{
		{id(1), seawall.Canceled, "its route is not in the configuration"}, {id(3), seawall.Pending, ""},
		{id(4), seawall.Canceled, "when: false"}, {id(5), seawall.Dead, "when: error"}, {id(6), seawall.Held, seawall.ReasonUnresolved},
	}
	if len(got) != len(want) {
		t.Fatalf("became %+v", got)
	}
	for i, w := range want {
		if d := got[i]; d.ID != w.id || d.State != w.state || d.Reason != w.reason || d.State.Final() != d.Finished.Equal(now) {
			t.Errorf("%d became %+v", i, d)
		}
	}
	if d := got[1]; d.Entity != "order/7" || !d.Created.Equal(now.Add(-time.Hour)) {
		t.Errorf("ordered: %+v", d)
	}
	if !got[4].Due.Equal(order.Never) {
		t.Errorf("held until %v", got[4].Due)
	}
}

func TestG9_AliasesAreLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.learns("pi_3", "order/8")
		r.run(t)
		merge := func(version int64, all map[string]string) {
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			r.store.version, r.store.merged = version, all
		}
		merge(1, map[string]string{"order/8": "order/7"})
		r.Merged()
		synctest.Wait()
		if ev := r.comes("pi_3"); ev.Entity != "order/7" || r.Alias("order/9") != "order/9" {
			t.Errorf("is %q", ev.Entity)
		}
		merge(2, map[string]string{"order/8": "order/9"})
		time.Sleep(aliasesEvery)
		synctest.Wait()
		if got := r.Alias("order/8"); got != "order/9" {
			t.Errorf("is %q", got)
		}
	})
}

// What gave up and is replayed waits again where a route wants the entity; elsewhere,
// and once the link is known, by the resolver.
func TestG2_WhatGaveUpWaitsAgainWhenItIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, &config.Route{Name: "free", From: "stripe", To: "log"})
		ev := r.comes("pi_3")
		if rec := r.Missing(ev, "ordered"); rec == nil || rec.Record != "pi_3" || !rec.Until.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("waits for %+v", rec)
		}
		if rec := r.Missing(ev, "free"); rec != nil {
			t.Errorf("waits for %+v where nobody wants it", rec)
		}
		known := &seawall.Event{ID: ev.ID, Source: "stripe", Body: []byte(`{"order":"7","payment":"pi_3"}`)}
		if rec := r.Missing(known, "ordered"); rec != nil || known.Entity != "" {
			t.Errorf("waits for %+v, entity %q", rec, known.Entity)
		}
		delete(r.store.records, ev.ID)
		r.run(t)
		r.Again(ev.ID)
		synctest.Wait()
		r.learns("pi_3", "order/7")
		synctest.Wait()
		if got := r.became(); len(got) != 1 || got[0].Entity != "order/7" || len(r.events) != 0 {
			t.Errorf("became %+v, %v to wait", got, r.events)
		}
	})
}
