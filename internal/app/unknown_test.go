package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// bank is a system that charges: it counts the effects for each order. The first
// request for an order takes effect and is not answered.
type bank struct {
	*httptest.Server
	mu      sync.Mutex
	asked   map[string]int    // requests, by order
	effects map[string]int    // by order
	keys    map[string]string // answers, by key; nil: it takes none
	silent  func(order string, n int) bool
	checks  int
}

func newBank(t *testing.T, keys bool) *bank {
	b := &bank{asked: map[string]int{}, effects: map[string]int{}}
	b.silent = func(_ string, n int) bool { return n == 1 }
	if keys {
		b.keys = map[string]string{}
	}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *bank) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodGet {
		b.checks++
		var list []string
		if order := r.URL.Query().Get("order"); b.effects[order] > 0 {
			list = append(list, fmt.Sprintf(`{"order":%q,"charge":1}`, order))
		}
		fmt.Fprintf(w, `{"data":[%s]}`, strings.Join(list, ","))
		return
	}
	var body struct{ Order string }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.asked[body.Order]++
	key, answer := r.Header.Get("X-Request-Key"), ""
	if b.keys != nil {
		answer = b.keys[key]
	}
	if answer == "" {
		b.effects[body.Order]++
		answer = fmt.Sprintf(`{"order":%q,"charge":%d}`, body.Order, b.effects[body.Order])
		if b.keys != nil {
			b.keys[key] = answer
		}
	}
	if b.silent(body.Order, b.asked[body.Order]) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Bank", "own")
	fmt.Fprint(w, answer)
}

// calling is a configuration with one system, bank.
func calling(t *testing.T, b *bank, change func(*config.System)) *config.Config {
	c := configuration(t, t.TempDir(), b.URL+"/hooks")
	base, err := url.Parse(b.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	y := &config.System{
		Name: "bank", URL: base, Breaker: config.Breaker{Off: true}, Limit: config.Limit{Concurrency: 16},
		Timeout: config.Timeouts{Connect: time.Second, TLS: time.Second, Header: 5 * time.Second, Whole: 5 * time.Second},
		Retry:   config.Retry{For: time.Hour, Max: 5, First: 10 * time.Millisecond, Cap: time.Second},
	}
	if b.keys != nil {
		y.Idempotency = config.Idempotency{Header: "X-Request-Key", Valid: 24 * time.Hour}
	}
	if change != nil {
		change(y)
	}
	c.Systems = append(c.Systems, y)
	return c
}

// charge accepts a call, as the room of calls does, and returns its delivery.
func (r *running) charge(order string) seawall.DeliveryID {
	r.t.Helper()
	now := time.Now()
	id := seawall.NewEventID(now, r.Random)
	ev := &seawall.Event{
		ID: id, Source: seawall.SourceCalls, SourceID: "bank/test/" + order, Type: "POST /charges", ReceivedAt: now,
		Method: "POST", URL: "/charges", Headers: http.Header{"Content-Type": {"application/json"}},
		Body: []byte(`{"order":"` + order + `"}`), Routing: seawall.Routed, Revision: 1,
	}
	d := seawall.Delivery{
		ID: id.Delivery(1), Route: seawall.SourceCalls, Destination: seawall.CallsTo("bank"), System: "bank",
		Source: ev.Source, Type: ev.Type, State: seawall.Pending, Due: now, Since: now, Created: now, Revision: 1,
	}
	if _, err := r.store.Accept(r.t.Context(), []store.Acceptance{{Event: ev, Expires: now.Add(time.Hour), Deliveries: []seawall.Delivery{d}}}); err != nil {
		r.t.Fatal(err)
	}
	(*gateway)(r.App).Wake(d.Destination)
	return d.ID
}

// until waits until a delivery is in a state, and returns it.
func (r *running) until(id seawall.DeliveryID, state seawall.State) (d *seawall.Delivery) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%s is %s", id, state), func() bool {
		var err error
		if d, err = r.store.Delivery(r.t.Context(), id); err != nil {
			r.t.Fatal(err)
		}
		return d.State == state
	})
	return d
}

func (r *running) answer(id seawall.DeliveryID) *seawall.Answer {
	r.t.Helper()
	as, err := r.store.Answers(r.t.Context(), []seawall.DeliveryID{id})
	if err != nil {
		r.t.Fatal(err)
	}
	return as[id]
}

func (b *bank) each(t *testing.T, n, asked int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.effects) != n {
		t.Errorf("%d orders have effects, want %d", len(b.effects), n)
	}
	for order := range b.effects {
		if b.effects[order] != 1 || b.asked[order] != asked {
			t.Errorf("%s: %d effects of %d requests, want 1 of %d", order, b.effects[order], b.asked[order], asked)
		}
	}
}

const many = 50

func TestG6_WithoutKeyAndCheckAllAreHeld(t *testing.T) {
	b := newBank(t, false)
	r := run(t, calling(t, b, nil))
	var ids []seawall.DeliveryID
	for i := range many {
		ids = append(ids, r.charge(fmt.Sprint("o", i)))
	}
	for _, id := range ids {
		if d := r.until(id, seawall.Held); d.Reason != seawall.ReasonUnknown || d.Attempts != 1 || r.answer(id) != nil {
			t.Errorf("%+v", d)
		}
	}
	b.each(t, many, 1)
}

// onBoth tells a story on either store.
func onBoth(t *testing.T, story func(t *testing.T, on func(*config.Config) *config.Config)) {
	t.Run("sqlite", func(t *testing.T) {
		story(t, func(c *config.Config) *config.Config { return c })
	})
	t.Run("postgres", func(t *testing.T) {
		db := pgcluster.Shared(t)
		story(t, func(c *config.Config) *config.Config {
			c.Node.Store = config.Store(db)
			return c
		})
	})
}

func TestG6_WithACheckNothingHappensTwice(t *testing.T) { onBoth(t, withACheck) }

func withACheck(t *testing.T, on func(*config.Config) *config.Config) {
	b := newBank(t, false)
	compile := func(s string) *expr.Code {
		c, err := expr.Compile(s, expr.CallVar)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	at, err := expr.CompileTemplate(b.URL+"/v1/charges?order={$call.body.order}", expr.CallVar)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, on(calling(t, b, func(y *config.System) {
		y.Calls = []config.CallRule{{
			Method: "POST", Path: []string{"charges"}, OnUnknown: []config.OnUnknown{config.UnknownCheck, config.UnknownHold},
			Check: &config.Check{URL: at, After: 10 * time.Millisecond, Tries: 3,
				Found: compile(`first(.data[] | select(.order == $call.body.order))`), Absent: compile(`.data == []`)},
		}}
	})))
	var ids []seawall.DeliveryID
	for i := range many {
		ids = append(ids, r.charge(fmt.Sprint("o", i)))
	}
	for i, id := range ids {
		d := r.until(id, seawall.Delivered)
		a := r.answer(id)
		if d.Attempts != 2 || a == nil || a.Headers.Get(answeredBy) != "check" || string(a.Body) != fmt.Sprintf(`{"charge":1,"order":"o%d"}`, i) {
			t.Errorf("%+v, %+v", d, a)
		}
	}
	b.each(t, many, 1)

	// What did not take effect is sent again.
	b.mu.Lock()
	b.silent = func(order string, n int) bool {
		if n == 1 {
			b.effects[order] = 0
		}
		return n == 1
	}
	b.mu.Unlock()
	id := r.charge("later")
	if d := r.until(id, seawall.Delivered); d.Attempts != 3 || r.answer(id) == nil {
		t.Errorf("%+v", d)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.effects["later"] != 1 || b.asked["later"] != 2 {
		t.Errorf("%d effects of %d requests", b.effects["later"], b.asked["later"])
	}
}

func TestG6_UnderAKeyItIsTriedAgain(t *testing.T) {
	b := newBank(t, true)
	r := run(t, calling(t, b, nil))
	var ids []seawall.DeliveryID
	for i := range many {
		ids = append(ids, r.charge(fmt.Sprint("o", i)))
	}
	for i, id := range ids {
		d := r.until(id, seawall.Delivered)
		a := r.answer(id)
		if d.Attempts != 2 || a == nil || a.Status != 200 || a.Headers.Get("X-Bank") != "own" || string(a.Body) != fmt.Sprintf(`{"order":"o%d","charge":1}`, i) {
			t.Errorf("%+v, %+v", d, a)
		}
	}
	b.each(t, many, 2)
}

// What an owner that went away was sending goes on by the same list.
func TestG6_DoubtGoesByTheList(t *testing.T) {
	onBoth(t, func(t *testing.T, on func(*config.Config) *config.Config) {
		t.Run("without a key", func(t *testing.T) { doubt(t, on, false) })
	})
	onBoth(t, func(t *testing.T, on func(*config.Config) *config.Config) {
		t.Run("with a key", func(t *testing.T) { doubt(t, on, true) })
	})
}

func doubt(t *testing.T, on func(*config.Config) *config.Config, keys bool) {
	b := newBank(t, keys)
	b.silent = func(string, int) bool { return false }
	c := on(calling(t, b, nil))
	r := run(t, c)
	if err := r.store.SetGate(t.Context(), gateState(seawall.CallsTo("bank")), action("pause")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake(seawall.CallsTo("bank"))
	id := r.charge("o")
	r.stop()
	orphan(t, c, id)

	r = run(t, c)
	g := gateState(seawall.CallsTo("bank"))
	g.Gate = seawall.Open
	if err := r.store.SetGate(t.Context(), g, action("resume")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake(g.Destination)
	want, attempts, asked := seawall.Held, 1, 0
	if keys {
		want, attempts, asked = seawall.Delivered, 2, 1
	}
	if d := r.until(id, want); d.Attempts != attempts {
		t.Errorf("keys %v: %+v", keys, d)
	}
	as, err := r.store.Attempts(t.Context(), id)
	if err != nil || as[0].Step != seawall.Doubt || as[0].Outcome != seawall.Unknown {
		t.Errorf("attempts %+v, %v", as, err)
	}
	b.mu.Lock()
	if b.asked["o"] != asked {
		t.Errorf("keys %v: asked %d times", keys, b.asked["o"])
	}
	b.mu.Unlock()
}

// orphan leaves a delivery as a node does that dies between intent and outcome.
func orphan(t *testing.T, c *config.Config, id seawall.DeliveryID) {
	t.Helper()
	s, err := engine.Open(t.Context(), c.Node.Store, engine.Options{Serve: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	leases, err := s.Acquire(t.Context(), "gone", []store.Lane{{System: "bank"}}, time.Millisecond)
	if err != nil || len(leases) != 1 {
		t.Fatalf("%d leases, %v", len(leases), err)
	}
	if begun, err := s.Begin(t.Context(), leases[0], []seawall.DeliveryID{id}); err != nil || len(begun) != 1 {
		t.Fatalf("%d begun, %v", len(begun), err)
	}
}

// A retry under a key that came too late, since the queue stood still, is not made.
func TestG6_PastTheWindowNothingIsRepeated(t *testing.T) {
	b := newBank(t, true)
	var later atomic.Int64
	r := run(t, calling(t, b, func(y *config.System) { y.Retry.First = time.Second }), func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	id := r.charge("o")
	eventually(t, "the first attempt is settled", func() bool {
		d, err := r.store.Delivery(t.Context(), id)
		return err == nil && d.State == seawall.Pending && d.Attempts == 1
	})
	later.Store(int64(25 * time.Hour))
	if d := r.until(id, seawall.Held); d.Reason != seawall.ReasonUnknown || d.Attempts != 1 {
		t.Errorf("%+v", d)
	}
	b.each(t, 1, 1)

	// A person may.
	if _, err := r.store.Replay(t.Context(), []seawall.DeliveryID{id}, store.ReplayOptions{At: r.Now()}, action("replay")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake(seawall.CallsTo("bank"))
	r.until(id, seawall.Delivered)
	b.each(t, 1, 2)
}
