package inner

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

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
