package app

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// withPayments adds a system to a configuration, and the listener for calls.
func withPayments(c *config.Config, base string) *config.Config {
	u, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	to := c.Destinations[0]
	c.Node.Inner = "127.0.0.1:0"
	c.Systems = append(c.Systems, &config.System{
		Name: "payments", URL: u, Auth: config.Bearer{Token: "their-secret"}, Answers: 1 << 20,
		Breaker: config.Breaker{Off: true}, Idempotency: config.Idempotency{Header: "Idempotency-Key", Valid: 24 * time.Hour},
		Timeout: to.Timeout, Retry: to.Retry,
	})
	return c
}

// token makes one for calls to payments.
func (r *running) token(name string, scopes ...string) string {
	r.t.Helper()
	secret, tok, err := access.New(rand.Reader, name, scopes, time.Now(), time.Time{})
	if err == nil {
		err = r.store.AddToken(r.t.Context(), tok, action("token.create"))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

type reply struct {
	*http.Response
	body string
}

// ask makes a request to the internal listener.
func (r *running) ask(method, path, token, body string, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.InnerAddr()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp, string(b)}
}

func (r *running) want(got reply, status int) reply {
	r.t.Helper()
	if got.StatusCode != status {
		r.t.Fatalf("%d %s, want %d", got.StatusCode, got.body, status)
	}
	return got
}

const toPayments = "/api/v1/systems/payments/calls"

var charge = `{"method":"POST","path":"/v1/charges","body":{"amount":5}}`

// What is handed over is there, once, and can be taken back while it waits.
func TestG6_CallWaitsAndIsCanceled(t *testing.T) {
	r := run(t, withPayments(configuration(t, t.TempDir(), "http://127.0.0.1:1/"), "http://127.0.0.1:1"))
	secret, other, all := r.token("shop", "calls:payments"), r.token("else", "calls:payments"), r.token("all", "admin")
	if err := r.store.SetGate(t.Context(), gateState(seawall.CallsTo("payments")), action("pause")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake(seawall.CallsTo("payments"))

	got := r.want(r.ask("POST", toPayments, secret, charge, "Idempotency-Key", "k1"), 202)
	at := got.Header.Get("Location")
	var doc struct{ ID, State string }
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || at != "/api/v1/calls/"+doc.ID || doc.State != "pending" {
		t.Fatalf("%s: %s", at, got.body)
	}
	r.want(r.ask("POST", toPayments, secret, charge, "Idempotency-Key", "k1"), 409)
	r.want(r.ask("POST", toPayments, secret, strings.Replace(charge, "5", "6", 1), "Idempotency-Key", "k1"), 422)
	r.want(r.ask("POST", toPayments, secret, charge), 400)
	r.want(r.ask("GET", at, secret, ""), 200)
	r.want(r.ask("GET", at, other, ""), 404)
	r.want(r.ask("POST", at+"/cancel", secret, ""), 200)
	r.want(r.ask("POST", toPayments, secret, charge, "Idempotency-Key", "k1"), 410)
	r.want(r.ask("POST", "/api/v1/systems/other/calls", all, charge, "Idempotency-Key", "k"), 404)
	r.want(r.ask("POST", toPayments, "swt_guess", charge, "Idempotency-Key", "k"), 401)
}

// The product's own events come in by a token alone, whatever their source asks of
// strangers.
func TestEventsComeInByToken(t *testing.T) {
	shop := newConsumer(t)
	r := run(t, withPayments(configuration(t, t.TempDir(), shop.URL), "http://127.0.0.1:1"))
	secret, calls := r.token("app", "events:hub"), r.token("shop", "calls:payments")
	r.want(r.ask("POST", "/in/hub", secret, `{"a":1}`, "X-GitHub-Delivery", "1", "X-GitHub-Event", "push"), 200)
	if got := shop.next(t); got.Header.Get("Seawall-Type") != "push" {
		t.Errorf("delivered: %v", got.Header)
	}
	r.want(r.ask("POST", "/in/hub", calls, `{"a":1}`), 403)
	r.want(r.ask("POST", "/in/hub", "not one of ours", `{"a":1}`), 401)
}

// A read passes through with the system's own credential, and leaves nothing
// behind.
func TestReadPassesThrough(t *testing.T) {
	seen := make(chan *http.Request, 1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("X-Theirs", "1")
		w.WriteHeader(203)
		io.WriteString(w, "[1,2]")
	}))
	defer api.Close()
	r := run(t, withPayments(configuration(t, t.TempDir(), "http://127.0.0.1:1/"), api.URL+"/base"))
	secret := r.token("shop", "calls:payments")
	got := r.want(r.ask("GET", "/proxy/payments/v1/charges?limit=3", secret, ""), 203)
	if got.body != "[1,2]" || got.Header.Get("X-Theirs") != "1" {
		t.Errorf("%v %s", got.Header, got.body)
	}
	asked := <-seen
	if asked.Header.Get("Authorization") != "Bearer their-secret" || asked.RequestURI != "/base/v1/charges?limit=3" {
		t.Errorf("%s %v", asked.RequestURI, asked.Header)
	}
	if l, err := r.store.ListEvents(t.Context(), store.EventFilter{}, store.Page{}); err != nil || len(l.Items) != 0 {
		t.Errorf("%d events, %v", len(l.Items), err)
	}
}
