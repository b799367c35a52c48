package api_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

// answering is a store whose answers a test gives.
type answering struct {
	*sqlite.Store
	answers map[seawall.DeliveryID]*seawall.Answer
}

func (a answering) Answers(_ context.Context, ids []seawall.DeliveryID) (map[seawall.DeliveryID]*seawall.Answer, error) {
	return a.answers, nil
}

func payments() *config.System {
	return &config.System{
		Name: "payments", URL: &url.URL{Scheme: "https", Host: "api.pay.example"}, Auth: config.Bearer{Token: "secret"},
		Limit: config.Limit{Every: 100 * time.Millisecond, Burst: 5, Concurrency: 4}, Idempotency: config.Idempotency{Header: "Idempotency-Key"},
	}
}

func (b *bench) calls() *call.Calls {
	b.answers = map[seawall.DeliveryID]*seawall.Answer{}
	return call.New(call.Options{
		Current: func() *call.Current {
			return &call.Current{
				Config: &b.gateway.config, Revision: 1,
				System: func(name string) *config.System {
					if name == "payments" {
						return payments()
					}
					return nil
				},
				Plan: func(ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery) {
					return seawall.Routed, nil, []seawall.Delivery{{ID: ev.ID.Delivery(1), Route: "audit", Destination: "mail", System: "mail",
						Source: ev.Source, Type: ev.Type, Due: now, Since: now, Created: now, Revision: 1}}
				},
			}
		},
		Store: answering{b.store, b.answers}, Wake: b.gateway.Wake, Log: slog.New(slog.DiscardHandler), Now: b.clock, Random: rand.Reader,
	})
}

func (b *bench) post(key string) *call.Posted {
	b.Helper()
	p, err := b.calls().Post(b.Context(), call.Post{
		Request: call.Request{Method: "POST", Path: "/v1/refunds?x=1", Headers: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"a":1}`)},
		System:  "payments", By: "shop", Key: key, Proof: "token shop",
	})
	b.must(err)
	b.advance(time.Millisecond)
	return p
}

func TestCalls(t *testing.T) {
	b := newBench(t)
	one, two := b.post("k1"), b.post("k2")
	c := b.client("")
	list, err := c.Calls(t.Context(), api.CallQuery{})
	b.must(err)
	if len(list.Data) != 2 || list.Data[0].ID != two.ID() || list.Data[1].System != "payments" || list.Data[1].Request != "POST /v1/refunds" || list.Data[1].State != "pending" {
		t.Fatalf("%+v", list.Data)
	}
	for name, f := range map[string]struct {
		q    api.CallQuery
		want int
	}{
		"system":       {api.CallQuery{System: "payments"}, 2},
		"other system": {api.CallQuery{System: "crm"}, 0},
		"state":        {api.CallQuery{State: "dead"}, 0},
		"key":          {api.CallQuery{System: "payments", By: "shop", Key: "k1"}, 1},
		"another's":    {api.CallQuery{System: "payments", By: "else", Key: "k1"}, 0},
		"since":        {api.CallQuery{Since: "0s"}, 0},
		"until":        {api.CallQuery{Until: "1h"}, 0},
	} {
		got, err := c.Calls(t.Context(), f.q)
		if err != nil || len(got.Data) != f.want {
			t.Errorf("%s: %+v, %v", name, got.Data, err)
		}
	}
	if _, err := c.Calls(t.Context(), api.CallQuery{Key: "k1"}); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("key alone: %v", err)
	}

	got, err := c.Call(t.Context(), one.ID())
	b.must(err)
	if got.Key != "k1" || got.By != "shop" || got.Path != "/v1/refunds?x=1" || string(got.Sent) != `{"a":1}` || got.Response != nil || got.Tries == nil {
		t.Errorf("%+v", got)
	}
	if got, err = c.CancelCall(t.Context(), one.ID(), "a mistake"); err != nil || got.State != "canceled" || got.Reason != "by local: a mistake" {
		t.Errorf("%+v, %v", got, err)
	}
	if b.gateway.woken["calls:payments"] != 1 {
		t.Errorf("woken %v", b.gateway.woken)
	}
	ev := b.accept("evt_1", "{}", "orders")
	for _, id := range []string{ev.ID.Call(), "call_01kbxw0000000000000000r000"} {
		if _, err := c.Call(t.Context(), id); !errors.Is(err, seawall.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestSystems(t *testing.T) {
	b := newBench(t)
	b.gateway.config.Systems = []*config.System{payments(), {Name: "orders"}}
	b.gateway.standing = []api.SystemStanding{{SystemState: store.SystemState{
		System: "payments", Breaker: seawall.BreakerOpen, Since: epoch, Until: epoch.Add(time.Minute), Why: "it failed"}, Waiting: 3}}
	b.post("k")
	c := b.client("")
	list, err := c.Systems(t.Context())
	b.must(err)
	if len(list) != 2 || list[1].Declared {
		t.Fatalf("%+v", list)
	}
	if y := list[0]; y.Rate != 10 || y.Auth != "bearer" || y.Breaker != "open" || y.Why != "it failed" || y.Pending != 1 || y.Waiting != 3 || y.Host != "api.pay.example" {
		t.Errorf("%+v", y)
	}
	y, err := c.ResetSystem(t.Context(), "payments")
	if err != nil || y.Breaker != "closed" {
		t.Errorf("%+v, %v", y, err)
	}
	if _, err := c.ResetSystem(t.Context(), "nobody"); !errors.Is(err, seawall.ErrNotFound) {
		t.Error(err)
	}
	ds, err := c.Destinations(t.Context())
	b.must(err)
	if d := ds[len(ds)-1]; d.Name != "calls:payments" || !d.Configured || d.Pending != 1 {
		t.Errorf("%+v", ds)
	}
	if _, err := c.Pause(t.Context(), "calls:payments", ""); err != nil {
		t.Error(err)
	}
}
