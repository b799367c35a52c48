package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/client"
)

// gateway answers requests one by one, and keeps them.
type gateway struct {
	answers []any // an error; or a status, a header and a body: see say
	asked   []*http.Request
	bodies  []string
	at      []time.Time
	takes   time.Duration // for each answer
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	g.asked, g.bodies, g.at = append(g.asked, r), append(g.bodies, string(body)), append(g.at, time.Now())
	select {
	case <-time.After(g.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	next := g.answers[min(len(g.asked), len(g.answers))-1]
	if err, ok := next.(error); ok {
		return nil, err
	}
	a := next.(answer)
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func (g *gateway) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New("http://gateway:8082/", "swt_secret", client.WithHTTPClient(&http.Client{Transport: g}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const delivered = `{"id":"call_1","system":"payments","method":"POST","path":"/v1/charges","key":"k","state":"delivered","attempts":1,
	"created":"2026-11-24T10:00:00Z","finished":"2026-11-24T10:00:01Z",
	"response":{"status":402,"headers":{"X-Request":["7"]},"body":{"error":"no funds"},"at":"2026-11-24T10:00:01Z"}}`

func TestG6_ACallIsTriedUnderOneKeyUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{answers: []any{
			errors.New("connection refused"),
			answer{http.StatusServiceUnavailable, http.Header{"Retry-After": {"3"}}, `{"detail":"too much is waiting"}`},
			answer{http.StatusOK, nil, delivered},
		}}
		r, err := g.client(t).Call(t.Context(), "payments", client.Call{Path: "/v1/charges", JSON: map[string]int{"amount": 1}, Key: `a "key"`, Wait: 2500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.asked) != 3 || g.at[2].Sub(g.at[1]) < 1500*time.Millisecond {
			t.Errorf("%d tries, the last %s after the one before", len(g.asked), g.at[2].Sub(g.at[1]))
		}
		for i, q := range g.asked {
			if q.URL.String() != "http://gateway:8082/api/v1/systems/payments/calls" || q.Header.Get("Idempotency-Key") != `"a \"key\""` ||
				q.Header.Get("Prefer") != "wait=3" || q.Header.Get("Authorization") != "Bearer swt_secret" ||
				g.bodies[i] != `{"body":{"amount":1},"method":"POST","path":"/v1/charges"}` {
				t.Errorf("try %d: %s %v %s", i+1, q.URL, q.Header, g.bodies[i])
			}
		}
		var said struct{ Error string }
		if err := r.Response.JSON(&said); err != nil || said.Error != "no funds" || r.Response.Status != 402 || !r.Ended() || r.Unknown() {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestWhatIsRefusedIsNotTriedAgain(t *testing.T) {
	for status, want := range map[int]error{
		http.StatusUnprocessableEntity: client.ErrInvalid,
		http.StatusUnauthorized:        client.ErrDenied,
		http.StatusNotFound:            client.ErrNotFound,
	} {
		g := &gateway{answers: []any{answer{status, nil, `{"detail":"what happened","hint":"what to do"}`}}}
		_, err := g.client(t).Call(t.Context(), "crm", client.Call{Path: "/x", Key: "k"})
		var e *client.Error
		if !errors.Is(err, want) || !errors.As(err, &e) || e.Hint != "what to do" || !strings.Contains(err.Error(), "what happened") || len(g.asked) != 1 {
			t.Errorf("%d: %v after %d tries", status, err, len(g.asked))
		}
	}
}

func TestG6_AReusedKeyIsAnErrorOfItsOwn(t *testing.T) {
	g := &gateway{answers: []any{answer{http.StatusUnprocessableEntity, nil, `{"type":"urn:seawall:problem:key-reused"}`}}}
	_, err := g.client(t).Call(t.Context(), "crm", client.Call{Path: "/x", Key: "k"})
	if !errors.Is(err, client.ErrKeyReused) || errors.Is(err, client.ErrInFlight) {
		t.Errorf("%v", err)
	}
}

// The same call is in flight: whoever posts it again waits for the same answer.
func TestG6_ACallInFlightIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{answers: []any{
			answer{http.StatusConflict, nil, `{"call":"call_1"}`},
			answer{http.StatusOK, nil, delivered},
		}}
		r, err := g.client(t).Call(t.Context(), "payments", client.Call{Path: "/v1/charges", Key: "k", Wait: 5 * time.Second})
		if err != nil || r.State != "delivered" || !r.Replayed || g.asked[1].URL.Path != "/api/v1/calls/call_1" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestAnErrorSaysWhatTheLastTrySaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{answers: []any{answer{http.StatusServiceUnavailable, nil, `{"detail":"the store is away"}`}}}
		began := time.Now()
		_, err := g.client(t).Call(t.Context(), "crm", client.Call{Path: "/x", Key: "k"})
		if !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the store is away") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != 30*time.Second || len(g.asked) > 20 {
			t.Errorf("gave up after %s and %d tries", took, len(g.asked))
		}
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{answers: []any{answer{http.StatusOK, nil, `{"id":"call_1","state":"pending"}`}}, takes: 10 * time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		r, err := g.client(t).Wait(ctx, "call_1")
		if !errors.Is(err, context.DeadlineExceeded) || r == nil || r.State != "pending" || len(g.asked) != 3 || g.asked[0].Header.Get("Prefer") != "wait=10" {
			t.Errorf("%+v, %v after %d looks", r, err, len(g.asked))
		}
	})
}

// A call that was given up has no response: the result says so.
func TestG6_ACallThatWasGivenUpIsAResult(t *testing.T) {
	g := &gateway{answers: []any{
		answer{http.StatusBadGateway, nil, `{"call":"call_1","detail":"the call was given up"}`},
		answer{http.StatusOK, nil, `{"id":"call_1","state":"dead","reason":"gave up after 10 retries"}`},
	}}
	r, err := g.client(t).Call(t.Context(), "crm", client.Call{Path: "/x", Key: "k", Wait: time.Second})
	if err != nil || r.State != "dead" || !r.Ended() || r.Response != nil || r.Reason == "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestG3_AnEventIsRepeatedOnlyIfItIsRecognised(t *testing.T) {
	for repeatable, want := range map[bool]int{false: 1, true: 2} {
		synctest.Test(t, func(t *testing.T) {
			g := &gateway{answers: []any{errors.New("reset"), answer{http.StatusOK, nil, `{"events":["evt_1"]}`}}}
			id, err := g.client(t).Send(t.Context(), "app", client.Event{JSON: json.RawMessage(`{"id":1}`), Repeatable: repeatable})
			if len(g.asked) != want || (err == nil) != repeatable || repeatable && id != "evt_1" {
				t.Errorf("repeatable %t: %d tries, %q, %v", repeatable, len(g.asked), id, err)
			}
		})
	}
}

func TestMisuseIsSaidAtOnce(t *testing.T) {
	for _, base := range []string{"", "gateway:8082", "ftp://gateway"} {
		if _, err := client.New(base, "t"); err == nil {
			t.Errorf("%q was taken", base)
		}
	}
	if _, err := client.New("http://gateway", ""); err == nil {
		t.Error("no token was taken")
	}
	g := &gateway{}
	if _, err := g.client(t).Call(t.Context(), "crm", client.Call{Path: "/x"}); err == nil || len(g.asked) > 0 {
		t.Errorf("a call without a key: %v", err)
	}
	if _, err := g.client(t).Call(t.Context(), "crm", client.Call{Path: "/x", Key: "k", JSON: 1, Bytes: []byte("x")}); err == nil || len(g.asked) > 0 {
		t.Errorf("a call with two bodies: %v", err)
	}
}
