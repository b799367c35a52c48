package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

var epoch = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// gateway stands in for the running one.
type gateway struct {
	mu      sync.Mutex
	config  config.Config
	woken   map[string]int
	trouble error
	aliases map[string]string
	merged  int
	learned int

	standing []api.SystemStanding
	reload   func(by string, drop bool) (seawall.Revision, []string, error)
	replan   func(id seawall.EventID, a seawall.Action) ([]seawall.Delivery, error)
	preview  func(route string, ev *seawall.Event, revision int64) (*seawall.Request, error)
}

func (g *gateway) Config() (*config.Config, int64) { return &g.config, 1 }
func (g *gateway) Systems() []api.SystemStanding   { return g.standing }
func (g *gateway) ResetSystem(_ context.Context, name string) error {
	if name != "payments" {
		return seawall.Errorf(seawall.ErrNotFound, "no system is named %q", name)
	}
	g.standing = nil
	return nil
}
func (g *gateway) Alias(entity string) string {
	if now, merged := g.aliases[entity]; merged {
		return now
	}
	return entity
}
func (g *gateway) AliasesOf(entity string) (out []string) {
	for was, now := range g.aliases {
		if now == entity {
			out = append(out, was)
		}
	}
	slices.Sort(out)
	return out
}
func (g *gateway) Merged()      { g.merged++ }
func (g *gateway) Learned()     { g.learned++ }
func (g *gateway) Ready() error { return g.trouble }
func (g *gateway) Wake(d string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.woken[d]++
}
func (g *gateway) Reload(_ context.Context, by string, drop bool) (seawall.Revision, []string, error) {
	return g.reload(by, drop)
}
func (g *gateway) Replan(_ context.Context, id seawall.EventID, a seawall.Action) ([]seawall.Delivery, error) {
	return g.replan(id, a)
}
func (g *gateway) Preview(_ context.Context, route string, ev *seawall.Event, revision int64) (*seawall.Request, error) {
	return g.preview(route, ev, revision)
}

// bench is an API on a real store, whose every answer is checked against the
// OpenAPI document.
type bench struct {
	*testing.T
	store   *sqlite.Store
	gateway *gateway
	handler http.Handler
	url     string
	log     *bytes.Buffer

	mu     sync.Mutex
	now    time.Time
	random io.Reader

	answers map[seawall.DeliveryID]*seawall.Answer
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func newBench(t *testing.T, change ...func(*api.Options)) *bench {
	t.Helper()
	b := &bench{T: t, now: epoch, random: rand.New(rand.NewSource(1)), log: new(bytes.Buffer)}
	var err error
	b.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlite.Options{Now: b.clock})
	b.must(err)
	t.Cleanup(func() { _ = b.store.Close() })
	_, err = b.store.AddRevision(t.Context(), epoch, "start", []byte("sources: {}\n"))
	b.must(err)

	b.gateway = &gateway{woken: map[string]int{}, config: config.Config{
		PublicURL:    &url.URL{Scheme: "https", Host: "hooks.example.com"},
		Sources:      []*config.Source{{Name: "stripe", Kind: "stripe", MaxBody: 5 << 20, Dedupe: 720 * time.Hour}},
		Destinations: []*config.Destination{{Name: "orders", Concurrency: 16}, {Name: "mail", Concurrency: 4}},
		Routes:       []*config.Route{{Name: "stripe-orders", From: "stripe", To: "orders"}, {Name: "stripe-mail", From: "stripe", Types: []string{"invoice.*"}, To: "mail"}},
	}}
	o := api.Options{
		Store: b.store, Gateway: b.gateway, Calls: b.calls(), Listen: "127.0.0.1:8081", Version: "test", Node: "n1",
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: b.log}, nil)), Now: b.clock,
	}
	for _, f := range change {
		f(&o)
	}
	b.handler = checked(t, api.New(o))
	server := httptest.NewServer(b.handler)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) client(token string) *client.Client {
	b.Helper()
	c, err := client.New(b.url, token, nil)
	b.must(err)
	return c
}

// accept stores an event of stripe with a delivery to each destination.
func (b *bench) accept(sourceID, body string, to ...string) *seawall.Event {
	b.Helper()
	ev := &seawall.Event{
		ID: seawall.NewEventID(b.clock(), b.random), Source: "stripe", SourceID: sourceID, Type: "invoice.paid",
		Entity: "in_1", Version: "7", OccurredAt: b.clock().Add(-2 * time.Second), ReceivedAt: b.clock(),
		Method: "POST", URL: "https://hooks.example.com/in/stripe", Headers: http.Header{"Content-Type": {"application/json"}},
		Body: []byte(body), Remote: "203.0.113.9", Proof: "stripe v1, secret 1 of 1", Revision: 1,
		Decisions: []seawall.Decision{{Route: "stripe-orders", Matched: true}, {Route: "stripe-mail", Why: "when was false"}},
	}
	if len(to) == 0 {
		ev.Routing = seawall.Unmatched
	}
	hash := sha256.Sum256(ev.Body)
	acc := store.Acceptance{Event: ev, BodyHash: [16]byte(hash[:16]), Expires: b.clock().Add(720 * time.Hour)}
	for i, d := range to {
		acc.Deliveries = append(acc.Deliveries, seawall.Delivery{
			ID: ev.ID.Delivery(i + 1), Route: "stripe-" + d, Destination: d, System: d,
			Source: ev.Source, Type: ev.Type, Entity: ev.Entity,
			Due: b.clock(), Since: b.clock(), Created: b.clock(), Revision: 1,
		})
	}
	_, err := b.store.Accept(b.Context(), []store.Acceptance{acc})
	b.must(err)
	return ev
}

// settle ends an attempt of each of the deliveries to orders.
func (b *bench) settle(state seawall.State, status int, ids ...seawall.DeliveryID) {
	b.Helper()
	leases, err := b.store.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Minute)
	b.must(err)
	if len(leases) != 1 {
		b.Fatalf("leases: %v", leases)
	}
	var ss []store.Settlement
	for _, id := range ids {
		d, err := b.store.Delivery(b.Context(), id)
		b.must(err)
		outcome := seawall.Refused
		if state == seawall.Delivered {
			outcome = seawall.OK
		}
		ss = append(ss, store.Settlement{Lease: leases[0], Delivery: id, State: state, Reason: "HTTP " + fmt.Sprint(status), At: b.clock(),
			Due: b.clock().Add(time.Minute),
			Attempt: &seawall.Attempt{N: d.Attempts + 1, At: b.clock(), Took: 12 * time.Millisecond, Outcome: outcome, Error: "the server said no",
				Next: "gave up", Revision: 1, Node: "n1",
				Request:  seawall.Request{Method: "POST", URL: "https://orders.internal/hooks", Headers: http.Header{"Webhook-Id": {id.String()}}, Body: []byte("{}"), BodySize: 2},
				Response: &seawall.Response{Status: status, Proto: "HTTP/1.1", Body: []byte("oops")}}})
	}
	done, err := b.store.Settle(b.Context(), ss)
	b.must(err)
	for _, d := range done {
		if d != store.Done {
			b.Fatalf("settled: %v", d)
		}
	}
}

// dead stores n events whose delivery to orders is dead.
func (b *bench) dead(n int) (ids []seawall.DeliveryID) {
	b.Helper()
	for i := range n {
		ids = append(ids, b.accept(fmt.Sprintf("dead_%d_%d", b.clock().UnixNano(), i), "{}", "orders").ID.Delivery(1))
		b.advance(time.Millisecond)
	}
	b.settle(seawall.Dead, 500, ids...)
	return ids
}

// do makes a request straight at the handler.
func (b *bench) do(method, path, body string, change ...func(*http.Request)) (int, []byte) {
	b.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8081"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// get decodes a 200.
func get[T any](b *bench, path string, change ...func(*http.Request)) T {
	b.Helper()
	var out T
	code, body := b.do("GET", path, "", change...)
	if code != 200 {
		b.Fatalf("GET %s: %d %s", path, code, body)
	}
	b.must(json.Unmarshal(body, &out))
	return out
}

// post decodes a 2xx.
func post[T any](b *bench, path string, in any, change ...func(*http.Request)) T {
	b.Helper()
	raw, err := json.Marshal(in)
	b.must(err)
	var out T
	code, body := b.do("POST", path, string(raw), change...)
	if code/100 != 2 {
		b.Fatalf("POST %s: %d %s", path, code, body)
	}
	b.must(json.Unmarshal(body, &out))
	return out
}

// refused expects a problem.
func (b *bench) refused(status int, method, path, body string, change ...func(*http.Request)) api.Problem {
	b.Helper()
	code, raw := b.do(method, path, body, change...)
	if code != status {
		b.Fatalf("%s %s: %d %s, want %d", method, path, code, raw, status)
	}
	var p api.Problem
	b.must(json.Unmarshal(raw, &p))
	if p.Status != status || p.Type == "" || p.Title == "" {
		b.Errorf("%s %s: not a whole problem: %s", method, path, raw)
	}
	return p
}
