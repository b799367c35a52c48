package inner

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
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

func declined(c *call.Call) {
	c.Delivery.State = seawall.Dead
	c.Answer = &seawall.Answer{Status: 402, Headers: http.Header{"Content-Type": {"application/json"}, "Seawall-Test": {"theirs"}, "X-Two": {"a", "b"}}, Body: []byte("{\"error\": \"declined\" }")}
}

func TestCallIsTakenOver(t *testing.T) {
	d := newDesk(t, nil)
	a := d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k1"), 202, `"state":"pending"`, `"key":"k1"`)
	var doc call.Document
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.ID == "" {
		t.Fatal(err, a.body)
	}
	if got := a.Header.Get("Location"); got != "/api/v1/calls/"+doc.ID || a.Header.Get("Seawall-Call") != doc.ID {
		t.Errorf("location %q", got)
	}
	p := d.posts[0]
	if p.System != "payments" || p.By != "shop" || p.Proof != "token shop" || string(p.Body) != `{"charge":"ch_1"}` {
		t.Errorf("%+v", p)
	}

	again := d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k1"), 409, doc.ID)
	if again.Header.Get("Retry-After") == "" || again.Header.Get("Location") == "" {
		t.Errorf("409 with %v", again.Header)
	}
	d.want(d.do("POST", path, "shop", strings.Replace(refund, "ch_1", "ch_2", 1), "Idempotency-Key", "k1"), 422)
	d.want(d.do("POST", path, "shop", refund), 400, "Idempotency-Key")
	d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", `"a`), 400)
	d.want(d.do("POST", path, "shop", "{", "Idempotency-Key", "k3"), 400)
	d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k3", "Content-Type", "text/plain"), 415)
	d.want(d.do("POST", path, "shop", `{"body":"`+strings.Repeat("x", 2<<20)+`"}`, "Idempotency-Key", "k3"), 413)

	d.want(d.do("GET", "/api/v1/calls/"+doc.ID, "shop", ""), 200, `"state":"pending"`)
	d.want(d.do("GET", "/api/v1/calls/"+doc.ID, "ops", ""), 200)
	d.want(d.do("GET", "/api/v1/calls/"+doc.ID, "other", ""), 404)
	d.want(d.do("POST", "/api/v1/calls/"+doc.ID+"/cancel", "other", ""), 404)
	d.want(d.do("POST", "/api/v1/calls/"+doc.ID+"/cancel", "shop", ""), 200, `"state":"canceled"`)
	d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k1"), 410)
	if len(d.posts) != 1 {
		t.Errorf("%d calls", len(d.posts))
	}
}

func TestG6_AnswerIsGivenAgainByteForByte(t *testing.T) {
	d := newDesk(t, nil)
	d.after = declined
	first := d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k", "Prefer", "respond-async, wait=20"), 200, `"status":402`, `"body":{"error":"declined"}`)
	if got := first.Header.Get("Preference-Applied"); got != "wait=20" {
		t.Errorf("preference applied: %q", got)
	}
	again := d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k"), 200)
	if again.body != first.body || again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("again: %v %s\nfirst: %s", again.Header, again.body, first.body)
	}
	d.want(d.do("GET", "/api/v1/calls/"+first.Header.Get("Seawall-Call"), "shop", ""), 200, `"status":402`)
}

// What a body takes is counted until the call is stored, and not a moment longer
// than that, however the call ends.
func TestG8_BodiesAreCountedWhileTheyAreHeld(t *testing.T) {
	d := newDesk(t, nil)
	d.do("POST", path, "shop", refund, "Idempotency-Key", "k1")
	d.do("POST", "/proxy/payments/x", "shop", "{}", "Idempotency-Key", "k2")
	d.want(d.do("POST", "/proxy/payments/panic", "shop", "{}", "Idempotency-Key", "k3"), 500)
	d.want(d.do("POST", path, "shop", `{"method":"POST","path":"/panic"}`, "Idempotency-Key", "k4"), 500)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.held) != 4 || d.held[0] == 0 || d.held[1] != 2 || d.held[2] != 2 || d.held[3] == 0 || d.h.bytes.Load() != 0 {
		t.Errorf("held %v, at the end %d", d.held, d.h.bytes.Load())
	}
}

func TestCallThatEndsWithoutAnAnswer(t *testing.T) {
	for state, want := range map[seawall.State]int{seawall.Dead: 502, seawall.Held: 202, seawall.Canceled: 410} {
		d := newDesk(t, nil)
		d.after = func(c *call.Call) { c.Delivery.State, c.Delivery.Reason = state, "the reason" }
		d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k", "Prefer", "wait=1"), want, "the reason", "call_")
	}
	d := newDesk(t, nil)
	d.after = func(c *call.Call) { c.Delivery.State = seawall.Held }
	d.do("POST", path, "shop", refund, "Idempotency-Key", "k", "Prefer", "wait=1")
	d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k"), 409, "held for a person")
}

func TestScopes(t *testing.T) {
	d := newDesk(t, nil)
	for by, want := range map[string]int{"shop": 202, "ops": 202, "crm": 403, "app": 403, "eyes": 403, "old": 401, "": 401} {
		d.want(d.do("POST", path, by, refund, "Idempotency-Key", "k-"+by), want)
		want = map[bool]int{true: 503, false: want}[want == 202]
		d.want(d.do("POST", "/proxy/payments/v1/x", by, "{}", "Idempotency-Key", "p-"+by), want)
	}
	for _, c := range []struct {
		source, by, want string
		status           int
	}{
		{"app", "app", "token app", 200}, {"app", "ops", "token ops", 200}, {"app", "shop", "", 403},
		{"app", "old", "", 401}, {"app", "", "to verify", 200}, {"lab", "", "", 401}, {"lab", "ops", "token ops", 200},
		{"none", "ops", "", 404}, {"none", "", "", 401},
	} {
		d.took = ""
		if a := d.do("POST", "/in/"+c.source, c.by, "{}"); a.StatusCode != c.status || d.took != c.want {
			t.Errorf("event of %s by %q: %d, taken in as %q", c.source, c.by, a.StatusCode, d.took)
		}
	}
	d.want(d.do("GET", "/healthz", "", ""), 200)
	d.want(d.do("GET", "/elsewhere", "", ""), 404)
}

// Who guesses is throttled; who has a token never is.
func TestGuessesAreThrottled(t *testing.T) {
	d := newDesk(t, nil)
	last := 0
	for range 12 {
		last = d.do("POST", path, "", refund, "Authorization", "Bearer swt_guess").StatusCode
	}
	if last != 429 {
		t.Errorf("%d", last)
	}
	d.want(d.do("POST", path, "shop", refund, "Idempotency-Key", "k"), 202)
}

// Whatever form a client sends its key in, it is found, and nothing of it goes on.
func TestProxyTakesTheTokenInEveryForm(t *testing.T) {
	token := secrets["shop"]
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]struct {
		auth  config.Auth
		query string
		head  []string
	}{
		"bearer":         {config.Bearer{Token: "s"}, "", []string{"Authorization", "Bearer " + token}},
		"other scheme":   {nil, "", []string{"Authorization", "Token " + token}},
		"bare":           {nil, "", []string{"Authorization", token}},
		"user":           {nil, "", []string{"Authorization", basic(token + ":")}},
		"password":       {config.Basic{User: "u", Password: "p"}, "", []string{"Authorization", basic("u:" + token)}},
		"x-api-key":      {nil, "", []string{"X-Api-Key", token}},
		"seawall-token":  {nil, "", []string{"Seawall-Token", token}},
		"own header":     {config.HeaderKey{Name: "pay-secret", Value: "s"}, "", []string{"Pay-Secret", token}},
		"own query":      {config.QueryKey{Name: "api key", Value: "s"}, "&api+key=" + token + "&b=%20", nil},
		"twice the same": {nil, "", []string{"X-Api-Key", token, "Authorization", "Bearer " + token}},
	} {
		d := newDesk(t, c.auth)
		d.after = declined
		head := append([]string{"Pay-Key", "k", "X-Forwarded-For", "192.0.2.1", "Pay-Version", "7", "Cookie", "c=1", "Prefer", "return=minimal", "Connection", "X-Hop", "X-Hop", "1"}, c.head...)
		d.want(d.do("POST", "/proxy/payments/v1/x%2Fy?a=b"+c.query, "", "{}", head...), 402)
		if len(d.posts) != 1 {
			t.Errorf("%s: %d calls", name, len(d.posts))
			continue
		}
		p := d.posts[0]
		sent := fmt.Sprint(p.Path, p.Headers)
		if strings.Contains(sent, token) || strings.Contains(sent, "Basic") || p.Headers.Get("Pay-Version") != "7" || p.Headers.Get("Prefer") != "return=minimal" || p.Key != "k" {
			t.Errorf("%s: sent on: %s, key %q", name, sent, p.Key)
		}
		want := "/v1/x%2Fy?a=b"
		if c.query != "" {
			want += "&b=%20"
		}
		if p.Path != want {
			t.Errorf("%s: path %q", name, p.Path)
		}
		for _, h := range []string{"Cookie", "X-Forwarded-For", "X-Hop", "Pay-Key", "Connection", "Authorization", "X-Api-Key", "Seawall-Token"} {
			if p.Headers.Get(h) != "" {
				t.Errorf("%s: %s goes on", name, h)
			}
		}
	}
	d := newDesk(t, nil)
	d.want(d.do("POST", "/proxy/payments/x", "shop", "{}", "X-Api-Key", secrets["ops"]), 400, "more than one token")
}

func TestProxyGivesTheAnswerAsItIs(t *testing.T) {
	d := newDesk(t, nil)
	d.after = declined
	first := d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{}", "Idempotency-Key", "k"), 402)
	if first.body != "{\"error\": \"declined\" }" || len(first.Header["X-Two"]) != 2 || first.Header.Get("Seawall-Call") == "" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%v %s", first.Header, first.body)
	}
	again := d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{}", "Idempotency-Key", "k"), 402)
	if again.body != first.body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v %s", again.Header, again.body)
	}
	d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{1}", "Idempotency-Key", "k"), 422)
	d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{}"), 400, "Idempotency-Key")
	d.want(d.do("POST", "/proxy/payments", "shop", "{}", "Idempotency-Key", "root"), 402)
	if p := d.posts[len(d.posts)-1]; p.Path != "/" {
		t.Errorf("path %q", p.Path)
	}
}

// What a client should do next it reads from the status: try again under its key,
// or not at all.
func TestG6_ProxySaysWhetherToTryAgain(t *testing.T) {
	held := func(c *call.Call) { c.Delivery.State = seawall.Held }
	dead := func(c *call.Call) { c.Delivery.State = seawall.Dead }
	for name, c := range map[string]struct {
		after  func(*call.Call)
		path   string
		status int
		retry  string
	}{
		"on its way":              {nil, "/v1/x", 503, "true"},
		"on its way, no key":      {nil, "/free", 504, "false"},
		"held":                    {held, "/v1/x", 504, "false"},
		"given up":                {dead, "/v1/x", 502, "false"},
		"given up, without a key": {dead, "/free", 502, "false"},
	} {
		d := newDesk(t, nil)
		d.after = c.after
		head := []string{"Idempotency-Key", "k"}
		if c.path == "/free" {
			head = nil
		}
		a := d.want(d.do("POST", "/proxy/payments"+c.path, "shop", "{}", head...), c.status, "call_")
		if got := a.Header.Get("Stripe-Should-Retry"); got != c.retry || a.Header.Get("X-Should-Retry") != c.retry {
			t.Errorf("%s: should retry %q", name, got)
		}
		if (a.Header.Get("Retry-After") != "") != (c.retry == "true") {
			t.Errorf("%s: retry after %q", name, a.Header.Get("Retry-After"))
		}
		if c.retry == "true" {
			d.after = declined
			d.want(d.do("POST", "/proxy/payments"+c.path, "shop", "{}", head...), 402)
			if len(d.posts) != 1 {
				t.Errorf("%s: the second try is a second call", name)
			}
		}
	}
}

func TestSystemByHost(t *testing.T) {
	d := newDesk(t, nil)
	d.after = declined
	for i, host := range []string{"payments.seawall.internal", "payments.seawall.internal:8082", "my-crm.x", "MY-CRM.x"} {
		d.want(d.do("POST", "/api/v1/systems/payments/calls?a=b", "ops", "{}", "Host", host, "Idempotency-Key", fmt.Sprint(i)), 402)
		if p := d.posts[i]; p.Path != "/api/v1/systems/payments/calls?a=b" || p.System != map[bool]string{true: "payments", false: "my_crm"}[i < 2] {
			t.Errorf("%s: %s %s", host, p.System, p.Path)
		}
	}
	d.want(d.do("GET", "/healthz", "", "", "Host", "nobody.internal"), 200)
	d.want(d.do("GET", "/healthz", "", "", "Host", "payments"), 200)
}

// slowly is a body that a test writes piece by piece.
func slowly(status int, length int64) (*http.Response, *io.PipeWriter) {
	r, w := io.Pipe()
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/event-stream"}, "Seawall-Test": {"theirs"}, "Connection": {"x"}}, Body: r, ContentLength: length}, w
}

func TestReadsPassThroughAsTheyCome(t *testing.T) {
	d := newDesk(t, config.QueryKey{Name: "key", Value: "s"})
	resp, w := slowly(200, -1)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) { return resp, send.Reply{}, nil }
	r, _ := http.NewRequest("GET", d.url+"/proxy/payments/v1/events?a=b&key="+secrets["shop"], nil)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	buf := make([]byte, 5)
	for range 3 { // each piece arrives before the next is there
		if _, err := w.Write([]byte("piece")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(got.Body, buf); err != nil || string(buf) != "piece" {
			t.Fatalf("%q, %v", buf, err)
		}
	}
	w.Close()
	if rest, err := io.ReadAll(got.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if to := d.reads[0].URL.String(); to != "https://api.example/base/v1/events?a=b" {
		t.Errorf("sent to %s", to)
	}
	if len(d.posts) != 0 {
		t.Error("a read was stored")
	}
}

func TestCutOffReadIsSeenToBe(t *testing.T) {
	d := newDesk(t, nil)
	resp, w := slowly(200, -1)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) { return resp, send.Reply{}, nil }
	go func() { _, _ = w.Write([]byte("half")); w.CloseWithError(io.ErrUnexpectedEOF) }()
	r, _ := http.NewRequest("GET", d.url+"/proxy/payments/x", nil)
	r.Header.Set("Authorization", "Bearer "+secrets["shop"])
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if b, err := io.ReadAll(got.Body); err == nil || string(b) != "half" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestReadThatGetsNoAnswer(t *testing.T) {
	d := newDesk(t, nil)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) {
		return nil, send.Reply{Err: io.ErrUnexpectedEOF, Sent: true}, nil
	}
	d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 502)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{"Upgrade": {"x"}}, Body: http.NoBody}, send.Reply{Sent: true}, nil
	}
	d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 502, "101")
	d.read = func(*send.Request) (*http.Response, send.Reply, error) { return nil, send.Reply{}, context.Canceled }
	d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 503)
	d.until = time.Now().Add(30 * time.Second)
	a := d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 503, "left alone")
	if after := a.Header.Get("Retry-After"); after != "30" && after != "29" {
		t.Errorf("retry after %q", after)
	}
	d.want(d.do("GET", "/proxy/payments/../x", "shop", ""), 400)
	d.want(d.do("GET", "/proxy/other/x", "shop", ""), 404)
	d.want(d.do("GET", "/proxy/other/x", "", ""), 401)
	if len(d.reads) != 4 {
		t.Errorf("%d reads", len(d.reads))
	}
}

func TestPrefer(t *testing.T) {
	for in, want := range map[string]int{
		"wait=10": 10, "WAIT = 3": 3, "respond-async, wait=7": 7, "wait=100": 60, "wait=0": 0, `wait="5"`: 5, "wait=8; x=y": 8,
		"": -1, "wait": -1, "wait=x": -1, "wait=-1": -1, `foo="wait=3, wait=4"`: -1, "wait=1, wait=2": 1,
	} {
		got, asked := prefer([]string{in})
		if asked != (want >= 0) || asked && got != time.Duration(want)*time.Second {
			t.Errorf("%q: %s, %t", in, got, asked)
		}
	}
}

func FuzzPrefer(f *testing.F) {
	f.Add(`respond-async, wait=10; x="a,\"b", handling=lenient`)
	f.Fuzz(func(t *testing.T, in string) {
		if d, _ := prefer([]string{in}); d < 0 || d > maxWait {
			t.Errorf("%q: %s", in, d)
		}
		if d, err := patience(in); err == nil && (d < 0 || d > maxWait) {
			t.Errorf("patience %q: %s", in, d)
		}
	})
}

func FuzzCarried(f *testing.F) {
	f.Add("Bearer swt_a", "k=swt_b&c=d")
	f.Add("Basic c3d0X2E6", "k=%73wt_b")
	s := &config.System{Auth: config.QueryKey{Name: "k"}}
	f.Fuzz(func(t *testing.T, authorization, query string) {
		h := http.Header{"Authorization": {authorization}, "X-A": {"b"}}
		token, ok := carried(h, query, s)
		if ok && token != "" && !strings.HasPrefix(token, access.Prefix) {
			t.Errorf("%q is no token", token)
		}
		out, rest := strip(h, query, s)
		if out.Get("Authorization") != "" || out.Get("X-A") != "b" {
			t.Errorf("sent on: %v", out)
		}
		if left, _ := carried(out, rest, s); left != "" {
			t.Errorf("%q is left in %q", left, rest)
		}
		if !bytes.Contains([]byte(query), []byte("k")) && !strings.Contains(query, "%") && rest != query {
			t.Errorf("%q became %q", query, rest)
		}
	})
}
