package receive

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/front"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

// scheme is a provider whose every answer the test gives.
type scheme struct {
	traits    provider.Traits
	verifyErr error
	handshake *provider.Answer
	items     func(r *provider.Request) ([]provider.Item, string)
	answer    *provider.Answer
	saw       *provider.Request
}

func (s *scheme) Handshake(context.Context, *provider.Request) (*provider.Answer, bool, error) {
	return s.handshake, s.handshake != nil, nil
}

func (s *scheme) Verify(_ context.Context, r *provider.Request) (string, error) {
	s.saw = r
	return "test, secret 1 of 1", s.verifyErr
}

func (s *scheme) Identify(r *provider.Request) ([]provider.Item, string) {
	if s.items != nil {
		return s.items(r)
	}
	return []provider.Item{{ID: r.Header.Get("Id"), Type: "t"}}, ""
}

func (s *scheme) Accepted(*provider.Request) *provider.Answer { return s.answer }
func (s *scheme) Redact() (headers, query []string)           { return []string{"X-Key"}, []string{"key"} }
func (s *scheme) Traits() provider.Traits                     { return s.traits }

// ledger records what reached the store.
type ledger struct {
	mu       sync.Mutex
	accepted []store.Acceptance
	refused  chan seawall.Arrival
	err      error
}

func (l *ledger) Accept(_ context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	out := make([]store.Accepted, len(batch))
	for i, b := range batch {
		out[i] = store.Accepted{Event: b.Event.ID}
		for _, was := range l.accepted {
			if was.Event.SourceID == b.Event.SourceID {
				out[i] = store.Accepted{Event: was.Event.ID, Verdict: seawall.Duplicate}
			}
		}
	}
	l.accepted = append(l.accepted, batch...)
	return out, nil
}

func (l *ledger) Refuse(_ context.Context, a seawall.Arrival) error {
	l.refused <- a
	return nil
}

type uncounted struct{}

func (uncounted) Arrival(string, string, time.Duration) {}

// room is a Receiver with one source, "s".
func room(t *testing.T, s *scheme) (*Receiver, *ledger, *config.Config) {
	t.Helper()
	l := &ledger{refused: make(chan seawall.Arrival, 100)}
	c := &config.Config{Limits: config.Limits{Memory: 1 << 20, Requests: 4}}
	src := &config.Source{Name: "s", Provider: s, MaxBody: 1000, Dedupe: time.Hour}
	rc := New(Options{
		Store: l, Metrics: uncounted{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.Reader,
		Known:   func(_ context.Context, ask func(plan.Known) plan.Planned) plan.Planned { return ask(plan.Known{}) },
		Reserve: func([]store.Acceptance) func([]store.Accepted) { return func([]store.Accepted) {} },
		Current: func() *Current {
			return &Current{
				Config: c, Revision: 3,
				Source: func(name string) *config.Source {
					if name == "s" {
						return src
					}
					return nil
				},
				Plan: func(*seawall.Event, time.Time, plan.Known) plan.Planned {
					return plan.Planned{Routing: seawall.Unmatched}
				},
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = rc.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return rc, l, c
}

func post(rc *Receiver, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	rc.ServeHTTP(w, r)
	return w
}

// served serves rc as the gateway does, and returns where.
func served(t *testing.T, rc *Receiver) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, ended := front.New(rc, slog.New(slog.DiscardHandler)), make(chan error, 1)
	go func() { ended <- s.Serve(front.NewDoor(l, 1<<30)) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return l.Addr().String()
}

// dial connects to a server of a test's.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) // before the server is stopped
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// problem checks that an answer is a problem document and returns its reason.
func problem(t *testing.T, w *httptest.ResponseRecorder, status int) string {
	t.Helper()
	if w.Code != status {
		t.Errorf("answered %d, want %d: %s", w.Code, status, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	var p struct {
		Status         int
		Detail, Reason string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != status || p.Detail == "" {
		t.Errorf("problem %s: %v", w.Body, err)
	}
	return p.Reason
}

func TestAcceptedEventIsAnsweredWithItsID(t *testing.T) {
	rc, l, _ := room(t, &scheme{})
	body := "{ \"a\":1}\n"
	w := post(rc, "/in/s", body, "Id", "1", "X-Key", "hush", "Authorization", "hush")
	if w.Code != 200 || len(l.accepted) != 1 {
		t.Fatalf("answered %d %s, accepted %d", w.Code, w.Body, len(l.accepted))
	}
	ev := l.accepted[0].Event
	if want := `{"events":["` + ev.ID.String() + "\"]}\n"; w.Body.String() != want {
		t.Errorf("answer %q, want %q", w.Body, want)
	}
	if string(ev.Body) != body || ev.SourceID != "1" || ev.Proof == "" || ev.Revision != 3 || ev.Source != "s" {
		t.Errorf("event %+v", ev)
	}
	if got := ev.Headers.Get("X-Key") + ev.Headers.Get("Authorization"); strings.Contains(got, "hush") {
		t.Errorf("credentials kept: %q", got)
	}
	again := post(rc, "/in/s", body, "Id", "1")
	if again.Body.String() != w.Body.String() || again.Code != w.Code {
		t.Errorf("a duplicate is answered %d %q, the first was %d %q", again.Code, again.Body, w.Code, w.Body)
	}
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for _, c := range []struct {
		name, path, body string
		scheme           scheme
		header           []string
		status           int
		reason           string
	}{
		{name: "unknown source", path: "/in/ghost", status: 404, reason: "unknown_source"},
		{name: "other path", path: "/", status: 404, reason: "unknown_source"},
		{name: "method", path: "/in/s", scheme: scheme{traits: provider.Traits{Methods: []string{"PUT"}}}, status: 405, reason: "method_not_allowed"},
		{name: "encoded", path: "/in/s", header: []string{"Content-Encoding", "gzip"}, status: 415, reason: "content_encoding"},
		{name: "media type", path: "/in/s", header: []string{"Content-Type", "text/html"},
			scheme: scheme{traits: provider.Traits{ContentType: []string{"application/json"}}}, status: 415, reason: "content_type"},
		{name: "too large", path: "/in/s", body: long, status: 413, reason: "body_too_large"},
		{name: "forged", path: "/in/s", scheme: scheme{verifyErr: verify.Errorf(verify.SignatureMismatch, "none of 2")}, status: 401, reason: "signature_mismatch"},
		{name: "forged, 403", path: "/in/s", scheme: scheme{traits: provider.Traits{RejectWith: 403},
			verifyErr: verify.Errorf(verify.SignatureMismatch, "none of 2")}, status: 403, reason: "signature_mismatch"},
		{name: "no key", path: "/in/s", scheme: scheme{verifyErr: verify.Errorf(verify.Unavailable, "certificate: timeout")}, status: 503, reason: "key_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rc, l, _ := room(t, &c.scheme)
			w := post(rc, c.path, c.body, c.header...)
			if reason := problem(t, w, c.status); reason != c.reason {
				t.Errorf("reason %q, want %q", reason, c.reason)
			}
			if strings.Contains(w.Body.String(), "none of 2") {
				t.Error("the sender was told what is for our own people")
			}
			if c.status == 503 && w.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			a := <-l.refused
			if a.Verdict != seawall.Rejected || a.Reason != c.reason || a.Status != c.status {
				t.Errorf("arrival %+v", a)
			}
			if len(l.accepted) != 0 {
				t.Error("it was accepted")
			}
		})
	}
}

func TestSmuggledRequestIsNotAnswered(t *testing.T) {
	rc, _, _ := room(t, &scheme{})
	addr := served(t, rc)
	for _, path := range []string{"/in/s", "/in/unknown"} {
		conn := dial(t, addr)
		const smuggled = "POST /in/s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
		if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 66\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"+smuggled); err != nil {
			t.Fatal(err)
		}
		answers, err := io.ReadAll(conn)
		if n := bytes.Count(answers, []byte("HTTP/1.1 ")); err != nil || n != 1 {
			t.Errorf("%s: %d answers, %v: %s", path, n, err, answers)
		}
	}
}

func TestG1_NothingIsAcknowledgedThatIsNotStored(t *testing.T) {
	rc, l, _ := room(t, &scheme{})
	l.err = seawall.Errorf(seawall.ErrUnavailable, "disk full")
	w := post(rc, "/in/s", "{}", "Id", "1")
	if problem(t, w, 503); w.Header().Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

// Senders that announce a body and do not send it take nothing from others.
// A sender that is still sending reads the 413 rather than a reset connection.
func TestForgerIsNotToldThatASecretWasRightOnce(t *testing.T) {
	rc, l, _ := room(t, &scheme{verifyErr: verify.Errorf(verify.SecretExpired, "secret 2 expired")})
	if reason := problem(t, post(rc, "/in/s", "{}"), 401); reason != "signature_mismatch" {
		t.Errorf("reason %q", reason)
	}
	if a := <-l.refused; a.Reason != "secret_expired" {
		t.Errorf("our own people are told %q", a.Reason)
	}
}

func TestHandshakeIsAnswered(t *testing.T) {
	rc, l, _ := room(t, &scheme{handshake: &provider.Answer{Status: 200, Body: []byte("challenge")}})
	if w := post(rc, "/in/s", ""); w.Code != 200 || w.Body.String() != "challenge" {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
	if a := <-l.refused; a.Verdict != seawall.Handshake {
		t.Errorf("arrival %+v", a)
	}
}

func TestBatchIsAcceptedWhole(t *testing.T) {
	rc, l, _ := room(t, &scheme{items: func(*provider.Request) ([]provider.Item, string) {
		return []provider.Item{{ID: "1", Body: []byte("{1}")}, {ID: "2", Body: []byte("{2}")}}, ""
	}})
	w := post(rc, "/in/s", "[{1},{2}]")
	if w.Code != 200 || len(l.accepted) != 2 || string(l.accepted[1].Event.Body) != "{2}" {
		t.Errorf("answered %d, accepted %+v", w.Code, l.accepted)
	}
}

func TestEmptyBatchIsAcknowledged(t *testing.T) {
	rc, l, _ := room(t, &scheme{items: func(*provider.Request) ([]provider.Item, string) { return nil, "" }})
	if w := post(rc, "/in/s", "[]"); w.Code != 200 {
		t.Errorf("answered %d", w.Code)
	}
	if a := <-l.refused; a.Verdict != seawall.Handshake || a.Reason != "no_events" {
		t.Errorf("arrival %+v", a)
	}
}

func TestPayloadThatBreaksTheReaderIsKept(t *testing.T) {
	rc, l, _ := room(t, &scheme{items: func(*provider.Request) ([]provider.Item, string) { panic("boom") }})
	w := post(rc, "/in/s", "poison")
	if w.Code != 200 || len(l.accepted) != 1 {
		t.Fatalf("answered %d, accepted %d", w.Code, len(l.accepted))
	}
	ev := l.accepted[0].Event
	if !ev.Derived || ev.SourceID == "" || len(ev.Decisions) != 1 || !ev.Decisions[0].Error {
		t.Errorf("event %+v", ev)
	}
}

func TestConfiguredAnswerWins(t *testing.T) {
	rc, _, _ := room(t, &scheme{answer: &provider.Answer{Status: 200, Body: []byte("[accepted]"), Header: http.Header{"Content-Type": {"text/plain"}}}})
	if w := post(rc, "/in/s", "{}", "Id", "1"); w.Body.String() != "[accepted]" || w.Header().Get("Content-Type") != "text/plain" {
		t.Errorf("answered %q %v", w.Body, w.Header())
	}
}

func TestPublicURL(t *testing.T) {
	configured, _ := url.Parse("https://hooks.example.com/base/")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name, peer, want string
		config           config.Config
		header           http.Header
	}{
		{name: "configured", peer: "1.2.3.4:5", config: config.Config{PublicURL: configured},
			want: "https://hooks.example.com/base/in/s?b=%2f&a"},
		{name: "as asked", peer: "1.2.3.4:5", want: "http://example.com/in/s?b=%2f&a"},
		{name: "trusted proxy", peer: "10.1.1.1:5", config: config.Config{TrustedProxies: proxies},
			header: http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example, hooks.example.com"}},
			want:   "https://hooks.example.com/in/s?b=%2f&a"},
		{name: "stranger", peer: "1.2.3.4:5", config: config.Config{TrustedProxies: proxies},
			header: http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"hooks.example.com"}},
			want:   "http://example.com/in/s?b=%2f&a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/in/s?b=%2f&a", nil)
			r.RemoteAddr = c.peer
			for k, v := range c.header {
				r.Header[k] = v
			}
			if got := publicURL(r, &c.config); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRemoteIsTheNearestStranger(t *testing.T) {
	c := &config.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	r := httptest.NewRequest(http.MethodPost, "/in/s", nil)
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 9.9.9.9, 10.2.2.2")
	r.RemoteAddr = "10.1.1.1:5"
	if got := remote(r, c); got != "9.9.9.9" {
		t.Errorf("behind proxies: %s, want 9.9.9.9", got)
	}
	r.RemoteAddr = "8.8.8.8:5"
	if got := remote(r, c); got != "8.8.8.8" {
		t.Errorf("a stranger's X-Forwarded-For was believed: %s", got)
	}
}

func TestQueryCredentialsAreRedacted(t *testing.T) {
	rc, l, _ := room(t, &scheme{})
	if w := post(rc, "/in/s?x=1&key=hush&y=%2F", "{}", "Id", "1"); w.Code != 200 {
		t.Fatal(w.Code)
	}
	if got := l.accepted[0].Event.URL; !strings.HasSuffix(got, "/in/s?x=1&key=[redacted]&y=%2F") {
		t.Errorf("kept %s", got)
	}
}

// A body that does not come in time is given up, by the request's own deadline.
