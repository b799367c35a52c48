package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// beside adds a destination that is like shop, but for its name and its URL.
func beside(t *testing.T, c *config.Config, name, url string) *config.Destination {
	t.Helper()
	d := *c.Destinations[0]
	d.Name, d.Fallback = name, nil
	var err error
	if d.URL, err = expr.CompileTemplate(url); err != nil {
		t.Fatal(err)
	}
	c.Destinations = append(c.Destinations, &d)
	return &d
}

// the only delivery of a source.
func (r *running) only(source string, state seawall.State) (d *seawall.Delivery) {
	r.t.Helper()
	eventually(r.t, source+"'s delivery is "+state.String(), func() bool {
		l, err := r.store.ListDeliveries(r.t.Context(), store.DeliveryFilter{Source: source}, store.Page{})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(l.Items) != 1 {
			return false
		}
		d = &l.Items[0]
		return d.State == state
	})
	return d
}

func refuses(*http.Request) int { return http.StatusUnprocessableEntity }

func TestG2_WhatIsDeadGoesToItsFallback(t *testing.T) {
	shop, ops, last := newConsumer(t), newConsumer(t), newConsumer(t)
	shop.status, ops.status = refuses, refuses
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	c.Destinations[0].Retry.Max = 1
	beside(t, c, "ops", ops.URL).Fallback = &config.Fallback{To: "last", OnDead: true}
	beside(t, c, "last", last.URL)
	c.Destinations[0].Fallback = &config.Fallback{To: "ops", OnDead: true}
	r := run(t, c)
	r.send(1)
	a, b, o, l := shop.next(t), shop.next(t), ops.next(t), last.next(t)
	for _, other := range []*http.Request{b, o, l} {
		if other.Header.Get("Webhook-Id") != a.Header.Get("Webhook-Id") {
			t.Error("the fallback was told under another id")
		}
	}
	d := r.only("hub", seawall.Delivered)
	if d.Destination != "last" || !d.Diverted || d.Attempts != 5 {
		t.Errorf("%+v", d)
	}
	as, err := r.store.Attempts(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"shop", "shop", "ops", "ops", ""} {
		if len(as) != 5 || as[i].Destination != want || as[i].Next == "" {
			t.Fatalf("attempt %d: %+v", i+1, as[i])
		}
	}
}

func TestG6_WhatIsInDoubtNeverGoesToTheFallback(t *testing.T) {
	shop, ops := newConsumer(t), newConsumer(t)
	shop.status = func(*http.Request) int { panic(http.ErrAbortHandler) }
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	c.Destinations[0].Unsafe, c.Destinations[0].Retry.Max = true, 0
	c.Destinations[0].Fallback = &config.Fallback{To: "ops", OnDead: true, OnOpen: true}
	beside(t, c, "ops", ops.URL)
	r := run(t, c)
	r.send(1)
	if d := r.only("hub", seawall.Held); d.Diverted || d.Destination != "shop" {
		t.Errorf("%+v", d)
	}
	r.stop()
	if len(ops.got) != 0 {
		t.Error("the fallback was told")
	}
}

// While the breaker is open what has another way takes it, without an attempt; and
// routes hear of the breaker.
func TestG7_AnOpenBreakerLeadsToTheFallback(t *testing.T) {
	shop, ops, alerts := newConsumer(t), newConsumer(t), newConsumer(t)
	shop.status = func(*http.Request) int { return http.StatusInternalServerError }
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	to := c.Destinations[0]
	to.Concurrency, to.Retry.First = 1, time.Hour
	to.Fallback = &config.Fallback{To: "ops", OnOpen: true}
	c.Systems = []*config.System{{Name: "shop", Breaker: config.Breaker{Failures: 0.5, Least: 2, Window: 30 * time.Second, Open: time.Hour}}}
	beside(t, c, "ops", ops.URL)
	beside(t, c, "alerts", alerts.URL)
	c.Routes = append(c.Routes, &config.Route{
		Name: "alerts", From: seawall.SourceOutcomes, To: "alerts", Types: []string{seawall.TypeOpened, seawall.TypeDiverted},
	})
	r := run(t, c)
	r.send(1)
	r.send(2)
	shop.next(t)
	shop.next(t)
	opened := alerts.next(t)
	if opened.Header.Get("Seawall-Type") != seawall.TypeOpened {
		t.Fatalf("told of %q", opened.Header.Get("Seawall-Type"))
	}
	r.send(3)
	got := ops.next(t)
	diverted := alerts.next(t)
	var body struct{ Delivery, Destination, Fallback string }
	raw, _ := alerts.bodies.Load(diverted.Header.Get("Webhook-Id"))
	if err := json.Unmarshal(raw.([]byte), &body); err != nil || body.Delivery != got.Header.Get("Webhook-Id") || body.Destination != "shop" || body.Fallback != "ops" {
		t.Errorf("%s, %v", raw, err)
	}
	id, err := seawall.ParseDeliveryID(got.Header.Get("Webhook-Id"))
	if err != nil {
		t.Fatal(err)
	}
	if d := r.until(id, seawall.Delivered); d.Attempts != 1 || !d.Diverted {
		t.Errorf("%+v", d)
	}
	r.stop()
	if len(shop.got) != 0 {
		t.Error("the system was asked though its breaker is open")
	}
}

func fixedAnswer(dead, open bool) []config.CallRule {
	return []config.CallRule{{
		Method: "POST", Path: []string{"**"},
		Fallback: &config.Fallback{OnDead: dead, OnOpen: open, Answer: &seawall.Answer{Status: 200, Body: []byte(`{"later":true}`)}},
	}}
}

// The fixed answer is given only for what certainly did not take effect.
func TestG6_FixedAnswers(t *testing.T) {
	b := newBank(t, false)
	c := calling(t, b, func(y *config.System) {
		y.Calls, y.Retry.Max = fixedAnswer(true, true), 0
	})
	r := run(t, c)
	unknown := r.charge("unknown") // taken, not answered
	r.until(unknown, seawall.Held)
	if r.answer(unknown) != nil {
		t.Error("an answer to what may have taken effect")
	}
	b.Close() // from here on it certainly does not
	id := r.charge("dead")
	d := r.until(id, seawall.Dead)
	a := r.answer(id)
	if a == nil || !a.Fallback || a.Status != 200 || string(a.Body) != `{"later":true}` || a.Headers.Get(answeredBy) != "fallback" || d.Attempts != 1 {
		t.Errorf("%+v, %+v", d, a)
	}
}

// A call that the system said no to has its answer, and is not tried again.
func TestACallEndsByItsAnswer(t *testing.T) {
	b := newBank(t, false)
	b.silent = func(string, int) bool { return false }
	shop := newConsumer(t)
	c := calling(t, b, nil)
	beside(t, c, "told", shop.URL)
	c.Routes = append(c.Routes, &config.Route{Name: "told", From: seawall.SourceOutcomes, To: "told", Types: []string{"call.*"}})
	r := run(t, c)
	ids := map[string]string{}
	for order, want := range map[string]seawall.State{"good": seawall.Delivered, `"`: seawall.Dead} {
		id := r.charge(order)
		ids[id.Event().Call()] = want.String()
		if order == `"` {
			continue
		}
		r.until(id, want)
	}
	for range 2 {
		raw, _ := shop.bodies.Load(shop.next(t).Header.Get("Webhook-Id"))
		var body struct {
			State  string
			Status int
			Call   struct{ ID, Key string }
		}
		if err := json.Unmarshal(raw.([]byte), &body); err != nil || body.State != ids[body.Call.ID] || body.State == "" || body.Status == 0 || body.Call.Key == "" {
			t.Errorf("%s, %v, want %v", raw, err, ids)
		}
	}
}

// A route that reacts to dead letters, its own among them, comes to an end.
func TestOutcomesOfOutcomesEnd(t *testing.T) {
	shop := newConsumer(t)
	shop.status = refuses
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	c.Destinations[0].Retry.Max = 0
	c.Routes = append(c.Routes, &config.Route{Name: "loop", From: seawall.SourceOutcomes, To: "shop", Types: []string{seawall.TypeDead}})
	r := run(t, c)
	r.send(1)
	for range 1 + seawall.MaxDepth {
		shop.next(t)
	}
	dead := func() int {
		l, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{}, store.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, d := range l.Items {
			if d.State == seawall.Dead {
				n++
			}
		}
		return n
	}
	eventually(t, "all are dead", func() bool { return dead() == 1+seawall.MaxDepth })
	r.stop()
	if n := len(shop.got); n != 0 {
		t.Errorf("%d more after the last", n)
	}
}

// What may have taken effect waits for its own system, however long its breaker is
// open.
func TestG6_AnOpenBreakerDivertsNothingInDoubt(t *testing.T) {
	shop, ops := newConsumer(t), newConsumer(t)
	shop.status = func(*http.Request) int { panic(http.ErrAbortHandler) }
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	to := c.Destinations[0]
	to.Unsafe, to.OnUnknown, to.Concurrency = true, []config.OnUnknown{config.UnknownRetry, config.UnknownHold}, 1
	to.Fallback = &config.Fallback{To: "ops", OnDead: true, OnOpen: true}
	c.Systems = []*config.System{{
		Name: "shop", Breaker: config.Breaker{Failures: 0.5, Least: 1, Window: 30 * time.Second, Open: time.Hour},
		Idempotency: config.Idempotency{Header: "Idempotency-Key", Valid: 24 * time.Hour},
	}}
	beside(t, c, "ops", ops.URL)
	r := run(t, c)
	r.send(1)
	eventually(t, "it waits for the breaker", func() bool {
		d := r.only("hub", seawall.Pending)
		return d.Attempts == 1 && strings.Contains(d.Reason, "the breaker is open") && !d.Diverted
	})
	r.stop()
	if len(ops.got) != 0 {
		t.Error("the fallback was told")
	}
}

// A breaker that opens and closes again and again under load leads deliveries now
// here and now there: each is taken once, by one of the two.
func TestG7_NothingIsToldTwiceWhileABreakerOpensAndCloses(t *testing.T) { onBoth(t, opensAndCloses) }

// taker counts what it took, by id; while it is down it takes nothing.
type taker struct {
	*httptest.Server
	down  atomic.Bool
	mu    sync.Mutex
	taken map[string]int
}

func newTaker(t *testing.T) *taker {
	k := &taker{taken: map[string]int{}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.taken[r.Header.Get("Webhook-Id")]++
	}))
	t.Cleanup(k.Close)
	return k
}

func opensAndCloses(t *testing.T, on func(*config.Config) *config.Config) {
	shop, ops, alerts := newTaker(t), newTaker(t), newConsumer(t)
	shop.down.Store(true)
	c := on(configuration(t, t.TempDir(), shop.URL+"/hooks"))
	to := c.Destinations[0]
	to.Concurrency, to.Retry.Max = 4, 100
	to.Fallback = &config.Fallback{To: "ops", OnOpen: true}
	c.Systems = []*config.System{{Name: "shop", Breaker: config.Breaker{Failures: 0.5, Least: 4, Window: time.Second, Open: 100 * time.Millisecond}}}
	beside(t, c, "ops", ops.URL)
	beside(t, c, "alerts", alerts.URL)
	c.Routes = append(c.Routes, &config.Route{
		Name: "alerts", From: seawall.SourceOutcomes, To: "alerts", Types: []string{seawall.TypeOpened, seawall.TypeClosed},
	})
	r := run(t, c)

	stop, sent := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { sent <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n++; r.send(n) != http.StatusOK {
				t.Error("an event was refused")
				return
			}
		}
	}()
	// It is mended when it is known to be down, and breaks when it is known to be up.
	const breaks = 3
	for n := range breaks {
		for _, want := range []string{seawall.TypeOpened, seawall.TypeClosed} {
			if got := alerts.next(t).Header.Get("Seawall-Type"); got != want {
				t.Errorf("told of %q, want %q", got, want)
			}
			shop.down.Store(want == seawall.TypeClosed && n < breaks-1)
		}
	}
	close(stop)
	events := <-sent
	r.all(events, seawall.Delivered)
	r.stop()
	total := 0
	for _, k := range []*taker{shop, ops} {
		if len(k.taken) == 0 {
			t.Error("one of the two took nothing")
		}
		for id, n := range k.taken {
			if other := shop.taken[id] + ops.taken[id]; other != 1 || n != 1 {
				t.Errorf("%s was taken %d times", id, other)
			}
			total++
		}
	}
	if total != events {
		t.Errorf("%d of %d events taken", total, events)
	}
	t.Logf("%d taken by the destination, %d by its fallback", len(shop.taken), len(ops.taken))
}

// The fixed answer says that the call was never made. After a replay that is not so,
// whatever the person who replayed it knows.
func TestG6_AnOpenBreakerAnswersNothingThatWasEverSent(t *testing.T) {
	at := time.Unix(1764000000, 0)
	for attempts, want := range []seawall.State{seawall.Dead, seawall.Pending} {
		s := (&path{}).aside(&try{
			Claimed: &store.Claimed{Delivery: seawall.Delivery{Attempts: attempts}, Event: &seawall.Event{}},
			way: &way{
				policy:   settle.Policy{Unsafe: true, Call: true},
				fallback: &config.Fallback{OnOpen: true, Answer: &seawall.Answer{Status: 200}},
			},
			pass: aside{at.Add(time.Minute)}, at: at,
		})
		if s.State != want || (s.Answer != nil) != (want == seawall.Dead) || s.Attempt != nil {
			t.Errorf("after %d attempts: %+v", attempts, s)
		}
	}
}
