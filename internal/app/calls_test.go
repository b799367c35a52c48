package app

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
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

// teller is a system that charges, and counts.
type teller struct {
	*httptest.Server
	charges atomic.Int32
	keys    sync.Map // idempotency keys seen
	status  func(n int32) int
	gate    chan struct{} // not nil: an answer waits for it
}

func newTeller(t *testing.T) *teller {
	b := &teller{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := b.charges.Add(1)
		b.keys.Store(r.Header.Get("Idempotency-Key"), true)
		if r.Header.Get("Authorization") != "Bearer their-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if b.gate != nil {
			<-b.gate
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header()["X-Two"] = []string{"a", "b"}
		status := 201
		if b.status != nil {
			status = b.status(n)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "{\"charge\": %d,\n \"of\": %q}", n, body)
	}))
	t.Cleanup(b.Close)
	return b
}

// A call is made once, and whoever asks again under its key gets the same bytes.
func TestG6_CallIsMadeOnceAndAnsweredAgain(t *testing.T) {
	b := newTeller(t)
	r := run(t, withPayments(configuration(t, t.TempDir(), "http://127.0.0.1:1/"), b.URL+"/base"))
	secret := r.token("shop", "calls:payments")
	first := r.want(r.ask("POST", toPayments, secret, charge, "Idempotency-Key", "k1", "Prefer", "wait=20"), 200)
	var doc struct {
		State    string
		Response struct {
			Status  int
			Headers http.Header
			Body    struct{ Charge int }
		}
	}
	if err := json.Unmarshal([]byte(first.body), &doc); err != nil || doc.State != "delivered" || doc.Response.Status != 201 || doc.Response.Body.Charge != 1 {
		t.Fatalf("%s (%v)", first.body, err)
	}
	if len(doc.Response.Headers["X-Two"]) != 2 {
		t.Errorf("headers %v", doc.Response.Headers)
	}
	again := r.want(r.ask("POST", toPayments, secret, charge, "Idempotency-Key", "k1"), 200)
	if again.body != first.body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %v\n%s\n%s", again.Header, first.body, again.body)
	}

	// Through the proxy the same is the system's own answer.
	proxied := r.want(r.ask("POST", "/proxy/payments/v1/charges", secret, `{"amount":7}`, "Idempotency-Key", "k2"), 201)
	if proxied.body != "{\"charge\": 2,\n \"of\": \"{\\\"amount\\\":7}\"}" || len(proxied.Header["X-Two"]) != 2 ||
		proxied.Header.Get("Content-Type") != "application/json; charset=utf-8" || !strings.HasPrefix(proxied.Header.Get("Seawall-Call"), "call_") {
		t.Errorf("%v %s", proxied.Header, proxied.body)
	}
	again = r.want(r.ask("POST", "/proxy/payments/v1/charges", secret, `{"amount":7}`, "Idempotency-Key", "k2"), 201)
	if again.body != proxied.body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v %s", again.Header, again.body)
	}
	if n := b.charges.Load(); n != 2 {
		t.Errorf("%d charges, want 2", n)
	}
	api, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{Source: "calls"}, store.Page{})
	if err != nil || len(api.Items) != 2 {
		t.Errorf("%d calls, %v", len(api.Items), err)
	}
}

// What the system refuses is an answer too, and is not tried again on the quiet.
func TestRefusalOfACallIsItsAnswer(t *testing.T) {
	b := newTeller(t)
	b.status = func(int32) int { return http.StatusPaymentRequired }
	r := run(t, withPayments(configuration(t, t.TempDir(), "http://127.0.0.1:1/"), b.URL))
	secret := r.token("shop", "calls:payments")
	r.want(r.ask("POST", "/proxy/payments/v1/charges", secret, "{}", "Idempotency-Key", "k"), 402)
	r.want(r.ask("POST", "/proxy/payments/v1/charges", secret, "{}", "Idempotency-Key", "k"), 402)
	if n := b.charges.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// When the wait runs out, the answer asks to come again, and who does joins the
// same call.
func TestG6_RetryJoinsTheCallThatIsOnItsWay(t *testing.T) {
	b := newTeller(t)
	b.gate = make(chan struct{})
	r := run(t, withPayments(configuration(t, t.TempDir(), "http://127.0.0.1:1/"), b.URL))
	secret := r.token("shop", "calls:payments")
	late := r.want(r.ask("POST", "/proxy/payments/v1/charges", secret, "{}", "Idempotency-Key", "k", "Seawall-Wait", "0"), 503)
	if late.Header.Get("Retry-After") == "" || late.Header.Get("Stripe-Should-Retry") != "true" {
		t.Errorf("%v", late.Header)
	}
	done := make(chan reply, 2)
	for range cap(done) {
		go func() {
			done <- r.ask("POST", "/proxy/payments/v1/charges", secret, "{}", "Idempotency-Key", "k", "Seawall-Wait", "20")
		}()
	}
	close(b.gate)
	for range cap(done) {
		if got := <-done; got.StatusCode != 201 || got.Header.Get("Seawall-Call") != late.Header.Get("Seawall-Call") {
			t.Errorf("%d %v", got.StatusCode, got.Header)
		}
	}
	if n := b.charges.Load(); n != 1 {
		t.Errorf("%d charges", n)
	}
}

// A call that one node takes over and another makes is answered by both.
func TestG6_CallOverTwoNodes(t *testing.T) {
	db := pgcluster.Shared(t)
	b := newTeller(t)
	node := func() *running {
		return run(t, withPayments(onPostgres(t, db, "http://127.0.0.1:1/", "first"), b.URL), func(o *Options) {
			o.Parse = func(text []byte) (*config.Config, error) {
				return withPayments(onPostgres(t, db, "http://127.0.0.1:1/", string(text)), b.URL), nil
			}
		})
	}
	one, two := node(), node()
	eventually(t, "they share the lanes", func() bool { return one.lanes.Lanes() > 0 && two.lanes.Lanes() > 0 })
	secret := one.token("shop", "calls:payments")
	const calls = 20
	made := map[string]int{}
	for n := range calls {
		at, other := one, two
		if n%2 == 1 {
			at, other = two, one
		}
		key := fmt.Sprint("k", n)
		first := at.want(at.ask("POST", toPayments, secret, charge, "Idempotency-Key", key, "Prefer", "wait=20"), 200)
		again := other.want(other.ask("POST", toPayments, secret, charge, "Idempotency-Key", key), 200)
		if first.body != again.body {
			t.Errorf("%s\n%s", first.body, again.body)
		}
		id, err := seawall.ParseCallID(first.Header.Get("Seawall-Call"))
		if err != nil {
			t.Fatal(err)
		}
		tries, err := one.store.Attempts(t.Context(), id.Delivery(1))
		if err != nil || len(tries) != 1 {
			t.Fatalf("%d attempts, %v", len(tries), err)
		}
		if tries[0].Node == at.node {
			made["where it was posted"]++
		} else {
			made["elsewhere"]++
		}
	}
	if made["elsewhere"] == 0 || b.charges.Load() != calls {
		t.Errorf("made %v, %d charges", made, b.charges.Load())
	}
}
