package system

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// one is a node with one system, over real sockets.
func one(t *testing.T, log io.Writer, y config.System) *System {
	t.Helper()
	y.Name = "crm"
	s := New(Options{Store: NewMemory(time.Now), Node: "n", Alone: true, Now: time.Now, Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.Use(&config.Config{Systems: []*config.System{&y}, Egress: loopback})
	return s.Of("crm")
}

func try(t *testing.T, y *System, url string, body string) (send.Reply, *seawall.Request) {
	t.Helper()
	p, err := y.Enter(t.Context(), "q")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Leave()
	shown := &seawall.Request{Method: "POST", URL: url}
	y.Veil(shown)
	return p.Do(t.Context(), &send.Request{Method: "POST", URL: mustURL(t, url), Header: http.Header{}, Body: []byte(body)},
		send.Timeouts{Whole: 10 * time.Second}), shown
}

const canary = "canary-d41d8cd98f00b204"

// Every kind of credentials is sent, and seen nowhere: not in what is kept of the
// request, nor of an answer that echoes it, nor in a log.
func TestCredentialsAreSentAndNeverShown(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "/?was="+r.URL.RawQuery+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s\n%v\n%s\n", r.URL, r.Header, body)
	}))
	defer echo.Close()
	base := mustURL(t, echo.URL)
	content, err := verify.ParseTemplate("{timestamp}.{method}.{path}.{body}")
	if err != nil {
		t.Fatal(err)
	}
	var got http.Header
	var query string
	probe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, query = r.Header, r.URL.RawQuery
	}))
	defer probe.Close()

	for what, c := range map[string]struct {
		auth config.Auth
		want func() bool
		hint string // in what is shown
	}{
		"bearer": {config.Bearer{Token: canary}, func() bool { return got.Get("Authorization") == "Bearer "+canary }, `Authorization:[[redacted]]`},
		"basic": {config.Basic{User: "me", Password: canary}, func() bool {
			u, p, _ := (&http.Request{Header: got}).BasicAuth()
			return u == "me" && p == canary
		}, `Authorization:[[redacted]]`},
		"header": {config.HeaderKey{Name: "x-key", Value: canary}, func() bool { return got.Get("X-Key") == canary }, `X-Key:[[redacted]]`},
		"query":  {config.QueryKey{Name: "api_key", Value: canary + " &"}, func() bool { return query == "a=1&api_key="+canary+"+%26" }, `/p?a=1&api_key=[redacted]`},
		"hmac": {config.HMAC{Secret: canary, Hash: "sha256", Encode: "hex", Header: "x-sig", Prefix: "v1=", Stamp: "x-time", Content: content}, func() bool {
			mac := hmac.New(sha256.New, []byte(canary))
			fmt.Fprintf(mac, "%s.POST./p.the body", got.Get("X-Time"))
			at, err := strconv.ParseInt(got.Get("X-Time"), 10, 64)
			return err == nil && time.Since(time.Unix(at, 0)).Abs() < time.Minute && got.Get("X-Sig") == "v1="+hex.EncodeToString(mac.Sum(nil))
		}, `X-Sig:[[redacted]]`},
	} {
		var log bytes.Buffer
		y := one(t, &log, config.System{URL: mustURL(t, probe.URL), Auth: c.auth})
		if r, _ := try(t, y, probe.URL+"/p?a=1", "the body"); r.Err != nil || !c.want() {
			t.Errorf("%s: sent %v ?%s: %v", what, got, query, r.Err)
		}
		y = one(t, &log, config.System{URL: base, Auth: c.auth})
		r, shown := try(t, y, echo.URL+"/p?a=1", "the body")
		if r.Response == nil || r.Response.Status != http.StatusTeapot {
			t.Fatalf("%s: %+v", what, r)
		}
		text := fmt.Sprintf("%+v %s %+v %+v", *r.Response, r.Response.Body, *shown, y.status())
		if strings.Contains(text+log.String(), canary) {
			t.Errorf("%s: shown: %s %s", what, text, log.String())
		}
		if !strings.Contains(text, c.hint) {
			t.Errorf("%s: %s is not shown: %+v", what, c.hint, *shown)
		}
	}
}

// A read passes through as it comes, and so would credentials that the system
// echoes: in a header, or anywhere in a body that comes in pieces.
func TestCredentialsAreNotShownInWhatPassesThrough(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("asked for packed: %v", r.Header)
		}
		auth := r.Header.Get("Authorization")
		w.Header().Set("X-Was", auth)
		for i := range len(auth) + 1 {
			fmt.Fprintf(w, "[%s", auth[:i])
			w.(http.Flusher).Flush()
			fmt.Fprintf(w, "%s]", auth[i:])
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, "canary-d41d") // a beginning that nothing follows
	}))
	defer echo.Close()
	y := one(t, io.Discard, config.System{URL: mustURL(t, echo.URL), Auth: config.Bearer{Token: canary}})
	p, err := y.Enter(t.Context(), "reads")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Leave()
	resp, reply := p.Stream(t.Context(), &send.Request{Method: "GET", URL: mustURL(t, echo.URL), Header: http.Header{"Accept-Encoding": {"gzip"}}}, send.Timeouts{})
	if resp == nil {
		t.Fatal(reply.Err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	auth := "Bearer " + canary
	want := strings.Repeat("[Bearer "+strings.Repeat("*", len(canary))+"]", len(auth)+1) + "canary-d41d"
	if string(body) != want || err != nil || resp.Header.Get("X-Was") != "Bearer [redacted]" {
		t.Errorf("%s %v %v", body, resp.Header, err)
	}
}

// Who reads through a system is a little less patient than its timeout is long: a
// system that hangs has its breaker opened all the same, and by nobody who is in a
// hurry.
func TestG7_ReadsOpenTheBreakerOfASystemThatHangs(t *testing.T) {
	hang := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer silent.Close()
	defer close(hang)
	y := one(t, io.Discard, config.System{URL: mustURL(t, silent.URL), Breaker: config.Breaker{Least: 2}})
	read := func(patience time.Duration) {
		p, err := y.Enter(t.Context(), "reads")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Leave()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p.Stream(ctx, &send.Request{Method: "GET", URL: mustURL(t, silent.URL), Header: http.Header{}}, send.Timeouts{Whole: 300 * time.Millisecond})
	}
	for range 3 {
		read(20 * time.Millisecond)
	}
	if _, open := y.Open(); open {
		t.Fatal("opened by those in a hurry")
	}
	read(250 * time.Millisecond)
	read(250 * time.Millisecond)
	if _, open := y.Open(); !open {
		t.Error("not opened")
	}
}

// A path that an expression made leads the credentials nowhere else.
func TestCredentialsGoToTheirSystemOnly(t *testing.T) {
	hit := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer other.Close()
	y := one(t, io.Discard, config.System{URL: mustURL(t, "https://crm.example"), Auth: config.Bearer{Token: canary}})
	r, _ := try(t, y, other.URL+"/p", "")
	if r.Err == nil || r.Sent || hit || strings.Contains(r.Err.Error(), canary) {
		t.Errorf("sent %v, err %v", r.Sent, r.Err)
	}
}

// Of a request whose token is refused nothing took effect: it is made again, once,
// with a new one.
func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	var tokens, requests atomic.Int32
	good := "access-" + canary + "-2"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprintf("access-%s-%d", canary, tokens.Add(1)), "token_type": "Bearer", "expires_in": 3600})
			return
		}
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer "+good {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprintf(w, "%s %s %s", r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), body)
	}))
	defer srv.Close()
	var log bytes.Buffer
	y := one(t, &log, config.System{URL: mustURL(t, srv.URL), Auth: config.OAuth2{TokenURL: mustURL(t, srv.URL+"/token"), ID: "me", Secret: "secret-" + canary}})
	r, shown := try(t, y, srv.URL+"/p", "the body")
	if r.Err != nil || r.Response.Status != 200 || requests.Load() != 2 || tokens.Load() != 2 {
		t.Fatalf("%+v after %d requests, %d tokens", r, requests.Load(), tokens.Load())
	}
	if got := string(r.Response.Body); got != "Bearer [redacted]  the body" {
		t.Errorf("the second request: %q", got)
	}
	if r, _ = try(t, y, srv.URL+"/p", "x"); r.Response.Status != 200 || requests.Load() != 3 || tokens.Load() != 2 {
		t.Errorf("then: %d requests, %d tokens", requests.Load(), tokens.Load())
	}
	good = "none ever"
	if r, _ = try(t, y, srv.URL+"/p", "x"); r.Response.Status != 401 || requests.Load() != 5 {
		t.Errorf("never good: HTTP %d after %d requests", r.Response.Status, requests.Load())
	}
	// A system that refuses all of them has us fetch no more for each request.
	for range 5 {
		try(t, y, srv.URL+"/p", "x")
	}
	if requests.Load() != 10 || tokens.Load() != 3 {
		t.Errorf("never good: %d requests, %d tokens", requests.Load(), tokens.Load())
	}
	if strings.Contains(log.String()+fmt.Sprint(shown), canary) {
		t.Error("a token is shown")
	}
}

func TestClientCertificateAndOwnAuthority(t *testing.T) {
	var seen atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.Add(int32(len(r.TLS.PeerCertificates))) }))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	pair := srv.TLS.Certificates[0]
	for what, c := range map[string]struct {
		conf *tls.Config
		ok   bool
	}{
		"neither":       {nil, false},
		"authority":     {&tls.Config{RootCAs: roots}, false},
		"certificate":   {&tls.Config{Certificates: []tls.Certificate{pair}}, false},
		"both":          {&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, true},
		"another's too": {&tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}, false},
	} {
		seen.Store(0)
		y := one(t, io.Discard, config.System{URL: mustURL(t, srv.URL), TLS: c.conf})
		r, _ := try(t, y, srv.URL, "")
		if ok := r.Err == nil && seen.Load() == 1; ok != c.ok {
			t.Errorf("%s: %v, %d certificates", what, r.Err, seen.Load())
		}
	}
}
