package app

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// reloader is a gateway whose next configuration the test writes.
func reloader(t *testing.T, shop *consumer) (r *running, next **config.Config) {
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	next = new(*config.Config)
	*next = c
	r = run(t, c)
	r.App.Load = func() (*config.Config, error) { return *next, nil }
	return r, next
}

// changed is a configuration of its own revision, in the store of the first.
func changed(t *testing.T, c *config.Config, text, url string) *config.Config {
	n := configuration(t, t.TempDir(), url)
	n.Node, n.Text = c.Node, []byte(text)
	return n
}

func TestG10_DestinationWithPendingDeliveriesIsNotDropped(t *testing.T) {
	shop := newConsumer(t)
	shop.status = func(*http.Request) int { return 503 }
	r, next := reloader(t, shop)
	for n := range 3 {
		r.send(n)
	}
	other := changed(t, *next, "second", shop.URL+"/other")
	other.Destinations[0].Name, other.Routes[0].To, other.Routes[0].Name = "other", "other", "hub-other"
	*next = other

	_, _, err := r.Reload(t.Context(), "test", false)
	if !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) == "" {
		t.Fatalf("reload: %v, hint %q", err, seawall.Hint(err))
	}
	if _, n := (*gateway)(r.App).Config(); n != 1 {
		t.Errorf("revision %d is running after a refusal", n)
	}

	rev, _, err := r.Reload(t.Context(), "test", true)
	if err != nil || rev.Number != 2 {
		t.Fatalf("reload with drop: revision %d, %v", rev.Number, err)
	}
	state := seawall.Canceled
	l, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{State: &state}, store.Page{})
	if err != nil || len(l.Items) != 3 {
		t.Errorf("%d canceled, want 3: %v", len(l.Items), err)
	}
	acts, err := r.store.ListActions(t.Context(), "", store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, a := range acts.Items {
		found = found || a.What == "config.reload" && a.By == "test" && a.Detail["drop"] == "yes" && a.Detail["revision"] == "2"
	}
	if !found {
		t.Errorf("the reload is not among the actions: %+v", acts.Items)
	}
}

func TestG10_RenamedDestinationTakesWhatWaits(t *testing.T) {
	shop := newConsumer(t)
	shop.status = func(r *http.Request) int {
		if r.URL.Path == "/renamed" {
			return 200
		}
		return 503
	}
	r, next := reloader(t, shop)
	for n := range 3 {
		r.send(n)
	}
	renamed := changed(t, *next, "second", shop.URL+"/renamed")
	d := renamed.Destinations[0]
	d.Name, d.RenamedFrom, renamed.Routes[0].To = "store", "shop", "store"
	*next = renamed
	if _, _, err := r.Reload(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	for len(taken) < 3 {
		if got := shop.next(t); got.URL.Path == "/renamed" {
			taken[got.Header.Get("Webhook-Id")] = true
		}
	}
}

// A system with calls that wait cannot just go; another may take them over.
func TestG10_SystemWithPendingCallsIsNotDropped(t *testing.T) {
	shop := newConsumer(t)
	api := newConsumer(t)
	first := withPayments(configuration(t, t.TempDir(), shop.URL), "http://127.0.0.1:1")
	r := run(t, first)
	next := first
	r.App.Load = func() (*config.Config, error) { return next, nil }
	if err := r.store.SetGate(t.Context(), gateState(seawall.CallsTo("payments")), action("pause")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake(seawall.CallsTo("payments"))
	r.want(r.ask("POST", toPayments, r.token("shop", "calls:payments"), charge, "Idempotency-Key", "k1"), 202)

	next = changed(t, first, "second", shop.URL)
	_, _, err := r.Reload(t.Context(), "test", false)
	if !errors.Is(err, seawall.ErrConflict) || !strings.Contains(err.Error(), `the system "payments" (1 calls)`) || !strings.Contains(seawall.Hint(err), "renamed_from: payments") {
		t.Fatalf("reload: %v, hint %q", err, seawall.Hint(err))
	}

	next = withPayments(changed(t, first, "third", shop.URL), api.URL)
	next.Systems[len(next.Systems)-1].Name, next.Systems[len(next.Systems)-1].RenamedFrom = "money", "payments"
	if _, _, err := r.Reload(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	g := gateState(seawall.CallsTo("payments"))
	g.Gate = seawall.Open
	if err := r.store.SetGate(t.Context(), g, action("resume")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake(seawall.CallsTo("payments"))
	if got := api.next(t); got.URL.Path != "/v1/charges" {
		t.Errorf("%s", got.URL)
	}
}

// What a reload cannot do is said, rather than left to be found out.
func TestG10_AListenerThatAReloadDoesNotOpenIsSaid(t *testing.T) {
	shop := newConsumer(t)
	first := withPayments(configuration(t, t.TempDir(), shop.URL), "http://127.0.0.1:1")
	r := run(t, first)
	next := withPayments(changed(t, first, "second", shop.URL), "http://127.0.0.1:1")
	next.Systems[len(next.Systems)-1].Proxy = "127.0.0.1:0"
	r.App.Load = func() (*config.Config, error) { return next, nil }
	_, warnings, err := r.Reload(t.Context(), "test", false)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "systems.payments.proxy") {
		t.Errorf("%v, %v", warnings, err)
	}
}

func TestG10_InvalidConfigurationChangesNothing(t *testing.T) {
	shop := newConsumer(t)
	r, _ := reloader(t, shop)
	r.App.Load = func() (*config.Config, error) {
		return nil, seawall.Errorf(seawall.ErrInvalid, "seawall.yaml:3:1: no such key")
	}
	if _, _, err := r.Reload(t.Context(), "test", false); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("reload: %v", err)
	}
	if r.send(1) != 200 {
		t.Error("the running configuration stopped working")
	}
	shop.next(t)
}

// TestG10_ReloadUnderLoad reloads all the while events come in: none is refused,
// none is lost, none arrives twice.
func TestG10_ReloadUnderLoad(t *testing.T) {
	shop := newConsumer(t)
	r, next := reloader(t, shop)
	first := *next
	const events = 300
	sent := make(chan int)
	go func() {
		failed := 0
		for n := range events {
			if r.send(n) != 200 {
				failed++
			}
		}
		sent <- failed
	}()
	reloads := 0
	var failed int
	for done := false; !done; {
		select {
		case failed = <-sent:
			done = true
		default:
			*next = changed(t, first, time.Now().String(), shop.URL+"/hooks")
			if _, _, err := r.Reload(t.Context(), "test", false); err != nil {
				t.Fatal(err)
			}
			reloads++
		}
	}
	ids := map[string]int{}
	for range events {
		ids[shop.next(t).Header.Get("Webhook-Id")]++
	}
	r.stop()
	if failed != 0 || len(ids) != events || len(shop.got) != 0 {
		t.Errorf("%d refused, %d of %d delivered, %d more than once, over %d reloads", failed, len(ids), events, len(shop.got), reloads)
	}
	if reloads < 5 {
		t.Errorf("only %d reloads", reloads)
	}
}

// A delivery may reach its attempt just as a reload takes its destination away,
// while its route goes on to another one.
func TestG10_AttemptAtADestinationJustDropped(t *testing.T) {
	shop := newConsumer(t)
	r, next := reloader(t, shop)
	other := changed(t, *next, "second", shop.URL+"/other")
	other.Destinations[0].Name, other.Routes[0].To = "other", "other"
	*next = other
	if _, _, err := r.Reload(t.Context(), "test", true); err != nil {
		t.Fatal(err)
	}
	ev := &seawall.Event{ID: seawall.NewEventID(time.Now(), rand.Reader), Source: "hub", Body: []byte("{}"), ReceivedAt: time.Now()}
	d := seawall.Delivery{ID: ev.ID.Delivery(1), Route: "hub-shop", Destination: "shop", System: "shop", Revision: 1, Since: time.Now()}
	if s := r.path.deliver(t.Context(), &store.Claimed{Delivery: d, Event: ev}, noPass{}); s.Attempt == nil && s.State != seawall.Pending {
		t.Errorf("state %s without an attempt", s.State)
	}
	d.Revision, d.Pinned, d.Destination = 2, false, "never"
	if s := r.path.deliver(t.Context(), &store.Claimed{Delivery: d, Event: ev}, noPass{}); s.Attempt != nil || s.State != seawall.Pending || !s.Due.After(time.Now()) {
		t.Errorf("to an unknown destination: %+v", s)
	}
}

// noPass is the leave to ask a system that nothing limits.
type noPass struct{}

func (noPass) Leave() {}
