package inner

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// desk is a listener whose calls a test settles.
type desk struct {
	*testing.T
	url string
	now func() time.Time

	mu    sync.Mutex
	posts []call.Post
	calls map[string]*call.Call // by key
	reads []*send.Request
	after func(c *call.Call) // what a wait brings about
	read  func(r *send.Request) (*http.Response, send.Reply, error)
	until time.Time // the breaker is open
	took  string    // what the events' room was asked
	h     *Handler
	held  []int64 // bytes of bodies, as each call was posted
}

func (d *desk) Post(_ context.Context, p call.Post) (*call.Posted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = append(d.held, d.h.bytes.Load())
	if p.Path == "/panic" {
		panic("of a filter")
	}
	if p.Key == "" && !strings.HasPrefix(p.Path, "/free") {
		return nil, call.ErrKeyMissing
	}
	if c := d.calls[p.Key]; c != nil && p.Key != "" {
		if string(c.Event.Body) != string(p.Body) {
			return nil, call.ErrOther
		}
		return &call.Posted{Call: c, Again: true}, nil
	}
	id := seawall.NewEventID(time.Unix(1764000000, 0), rand.Reader)
	c := &call.Call{
		Event:    &seawall.Event{ID: id, Source: "calls", Method: p.Method, URL: p.Path, Headers: p.Headers, Body: p.Body},
		Delivery: &seawall.Delivery{ID: id.Delivery(1)}, System: p.System, By: p.By, Key: p.Key,
	}
	d.calls[p.Key], d.posts = c, append(d.posts, p)
	return &call.Posted{Call: c, Assigned: p.Key == ""}, nil
}

func (d *desk) Get(_ context.Context, id seawall.EventID) (*call.Call, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.Event.ID == id {
			return c, nil
		}
	}
	return nil, seawall.Errorf(seawall.ErrNotFound, "no such call")
}

func (d *desk) Wait(_ context.Context, c *call.Call) (*call.Call, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after != nil {
		d.after(c)
	}
	return c, nil
}

func (d *desk) Cancel(_ context.Context, c *call.Call, _ string, _ seawall.Action) (*call.Call, error) {
	c.Delivery.State = seawall.Canceled
	return c, nil
}

func (d *desk) Open() (time.Time, bool) { return d.until, !d.until.IsZero() }

func (d *desk) Read(_ context.Context, r *send.Request) (*http.Response, send.Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads = append(d.reads, r)
	return d.read(r)
}

func (d *desk) ListTokens(context.Context) ([]seawall.Token, error) { return tokens, nil }

type events struct{ *desk }

func (e events) ServeHTTP(http.ResponseWriter, *http.Request) { e.took = "to verify" }
func (e events) Vouched(_ http.ResponseWriter, _ *http.Request, proof string) {
	e.took = proof
}

var (
	tokens  []seawall.Token
	secrets = map[string]string{}
)

func init() {
	for name, scopes := range map[string][]string{
		"shop": {"calls:payments"}, "other": {"calls:payments"}, "crm": {"calls:crm"}, "app": {"events:app"}, "ops": {"admin"}, "eyes": {"read"},
	} {
		secret, t, err := access.New(rand.Reader, name, scopes, time.Now(), time.Time{})
		if err != nil {
			panic(err)
		}
		tokens, secrets[name] = append(tokens, t), secret
	}
	secret, t, _ := access.New(rand.Reader, "old", []string{"admin"}, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	tokens, secrets["old"] = append(tokens, t), secret
}

func newDesk(t *testing.T, auth config.Auth) *desk {
	d := &desk{T: t, calls: map[string]*call.Call{}, now: time.Now}
	base, _ := url.Parse("https://api.example/base")
	systems := []*config.System{{Name: "payments", URL: base, Auth: auth, Idempotency: config.Idempotency{Header: "Pay-Key"}}, {Name: "my_crm", URL: base}}
	cur := &call.Current{
		Config: &config.Config{
			Limits: config.Limits{Body: 1 << 20, Memory: 64 << 20, Requests: 64}, Systems: systems,
			Sources: []*config.Source{{Name: "app", Kind: "token"}, {Name: "lab", Kind: "none"}},
		},
		System: func(name string) *config.System {
			for _, s := range systems {
				if s.Name == name {
					return s
				}
			}
			return nil
		},
	}
	h := New(Options{
		Current: func() *call.Current { return cur }, Calls: d, System: func(string) System { return d }, Events: events{d},
		Tokens: d, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Random: rand.Reader,
	})
	d.h = h
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	d.url = s.URL
	return d
}

type answer struct {
	*http.Response
	body string
}

// do makes a request; by is the name of a token, "" for none.
func (d *desk) do(method, path, by, body string, headers ...string) answer {
	d.Helper()
	r, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if by != "" {
		r.Header.Set("Authorization", "Bearer "+secrets[by])
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 && resp.Header.Get("Seawall-Test") == "" && resp.Header.Get("Content-Type") != "application/problem+json" {
		d.Errorf("%s %s: %d is no problem: %s", method, path, resp.StatusCode, b)
	}
	return answer{resp, string(b)}
}

func (d *desk) want(a answer, status int, parts ...string) answer {
	d.Helper()
	if a.StatusCode != status {
		d.Errorf("%d %s, want %d", a.StatusCode, a.body, status)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			d.Errorf("answer lacks %q: %s", p, a.body)
		}
	}
	return a
}

const path = "/api/v1/systems/payments/calls"

var refund = `{"method":"POST","path":"/v1/refunds","body":{"charge":"ch_1"}}`
