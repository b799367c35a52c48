package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// consumer is a destination that keeps what it gets.
type consumer struct {
	*httptest.Server
	got    chan *http.Request
	bodies sync.Map // webhook-id → body
	status func(r *http.Request) int
}

func newConsumer(t *testing.T) *consumer {
	c := &consumer{got: make(chan *http.Request, 1000)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		c.bodies.Store(r.Header.Get("Webhook-Id"), b)
		status := http.StatusOK
		if c.status != nil {
			status = c.status(r)
		}
		w.WriteHeader(status)
		c.got <- r
	}))
	t.Cleanup(c.Close)
	return c
}

var githubSettings = provider.Settings{
	Provider: "github", Secrets: []provider.Secret{{Value: "a secret of decent length"}},
}

// configuration is one source, hub, routed to one destination, shop.
func configuration(t testing.TB, dir, url string) *config.Config {
	t.Helper()
	src, err := provider.Open(githubSettings)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := func(s string) *expr.Template {
		tm, err := expr.CompileTemplate(s)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	return &config.Config{
		Node:      config.Node{Store: config.Store("sqlite:" + filepath.Join(dir, "seawall.db")), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"},
		Egress:    []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Retention: config.Retention{Events: 720 * time.Hour, Dead: 2160 * time.Hour, Dedupe: 720 * time.Hour},
		Limits:    config.Limits{Body: 5 << 20, Memory: 512 << 20, Requests: 1024},
		Sources:   []*config.Source{{Name: "hub", Kind: "github", Provider: src, MaxBody: 25 << 20, Dedupe: 720 * time.Hour}},
		Destinations: []*config.Destination{{
			Name: "shop", URL: tmpl(url), Method: tmpl("POST"), IdempotencyHeader: "Idempotency-Key",
			Timeout:     config.Timeouts{Connect: time.Second, TLS: time.Second, Header: 5 * time.Second, Whole: 5 * time.Second},
			Retry:       config.Retry{For: 75 * time.Hour, Max: 10, First: 10 * time.Millisecond, Cap: 24 * time.Hour},
			Concurrency: 16,
		}},
		Routes: []*config.Route{{Name: "hub-shop", From: "hub", To: "shop"}},
		Text:   []byte("first"),
	}
}

type running struct {
	*App
	t    testing.TB
	stop func()
}

func run(t testing.TB, c *config.Config, with ...func(*Options)) *running {
	t.Helper()
	o := Options{
		Config: c, Load: func() (*config.Config, error) { return c, nil },
		Parse:   func([]byte) (*config.Config, error) { return c, nil },
		Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range with {
		f(&o)
	}
	a, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return &running{a, t, stop}
}

// sample makes a signed GitHub event; equal n is the same event.
func (r *running) sample(n string) *provider.Request {
	r.t.Helper()
	req, err := provider.Sample("github", n, "http://"+r.PublicAddr()+"/in/hub", time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := provider.SignRequest(githubSettings, req); err != nil {
		r.t.Fatal(err)
	}
	return req
}

// send posts a signed GitHub event and returns the status.
func (r *running) send(n int) int {
	r.t.Helper()
	req := r.sample(fmt.Sprint(n))
	hr, err := http.NewRequest(req.Method, req.URL, bytes.NewReader(req.Body))
	if err != nil {
		r.t.Fatal(err)
	}
	hr.Header = req.Header
	resp, err := http.DefaultClient.Do(hr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func (c *consumer) next(t *testing.T) *http.Request {
	t.Helper()
	select {
	case r := <-c.got:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("nothing arrived at the destination within 20 s")
		return nil
	}
}

func TestEventGoesThrough(t *testing.T) {
	shop := newConsumer(t)
	r := run(t, configuration(t, t.TempDir(), shop.URL+"/hooks"))
	if status := r.send(1); status != 200 {
		t.Fatalf("answered %d", status)
	}
	got := shop.next(t)
	for _, h := range []string{"Webhook-Id", "Webhook-Timestamp", "Idempotency-Key", "Traceparent", "Seawall-Event", "Seawall-Attempt", "Seawall-Type"} {
		if got.Header.Get(h) == "" {
			t.Errorf("no header %s", h)
		}
	}
	if r.send(1) != 200 { // a duplicate
		t.Error("the duplicate was not acknowledged")
	}
	r.stop()
	if n := len(shop.got); n != 0 {
		t.Errorf("%d more deliveries after the first", n)
	}
}

func TestG2_FailedDeliveryIsTriedAgainUnderItsID(t *testing.T) {
	shop := newConsumer(t)
	var mu sync.Mutex
	var ids []string
	shop.status = func(r *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, r.Header.Get("Webhook-Id")+" "+r.Header.Get("Seawall-Attempt"))
		if len(ids) < 3 {
			return 500
		}
		return 200
	}
	r := run(t, configuration(t, t.TempDir(), shop.URL+"/hooks"))
	r.send(1)
	for range 3 {
		shop.next(t)
	}
	id := ids[0][:len(ids[0])-2]
	for i, got := range ids {
		if want := fmt.Sprintf("%s %d", id, i+1); got != want {
			t.Errorf("attempt %d came as %q, want %q", i+1, got, want)
		}
	}
}

func TestG10_RestartTakesUpWhatWasPending(t *testing.T) {
	dir := t.TempDir()
	shop := newConsumer(t)
	c := configuration(t, dir, shop.URL+"/hooks")
	r := run(t, c)
	if err := r.store.SetGate(t.Context(), gateState("shop"), action("pause")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake("shop")
	for n := range 20 {
		r.send(n)
	}
	r.stop()
	r = run(t, c)
	g := gateState("shop")
	g.Gate = seawall.Open
	if err := r.store.SetGate(t.Context(), g, action("resume")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake("shop")
	for range 20 {
		shop.next(t)
	}
	if n := len(shop.got); n != 0 {
		t.Errorf("%d deliveries too many", n)
	}
}

func gateState(name string) store.GateState {
	return store.GateState{Destination: name, Gate: seawall.Paused, By: "test", At: time.Now()}
}

func action(what string) seawall.Action {
	return seawall.Action{At: time.Now(), By: "test", What: what, On: "shop"}
}
