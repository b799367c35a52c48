package call

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// memory is a store of calls, just enough for Calls.
type memory struct {
	mu         sync.Mutex
	keys       map[string]store.Acceptance
	events     map[seawall.EventID]*seawall.Event
	deliveries map[seawall.DeliveryID]*seawall.Delivery
	answers    map[seawall.DeliveryID]*seawall.Answer
	accepted   []store.Acceptance
	looks      int // at answers of more than one call, or of any by Run
	fails      error
}

func newMemory() *memory {
	return &memory{
		keys: map[string]store.Acceptance{}, events: map[seawall.EventID]*seawall.Event{},
		deliveries: map[seawall.DeliveryID]*seawall.Delivery{}, answers: map[seawall.DeliveryID]*seawall.Answer{},
	}
}

func (m *memory) Accept(_ context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails != nil {
		return nil, m.fails
	}
	a := batch[0]
	if first, ok := m.keys[a.Event.SourceID]; ok {
		verdict := seawall.Duplicate
		if first.BodyHash != a.BodyHash {
			verdict = seawall.Conflict
		}
		return []store.Accepted{{Verdict: verdict, Event: first.Event.ID}}, nil
	}
	m.keys[a.Event.SourceID], m.events[a.Event.ID] = a, a.Event
	for i := range a.Deliveries {
		d := a.Deliveries[i]
		m.deliveries[d.ID] = &d
	}
	m.accepted = append(m.accepted, a)
	return []store.Accepted{{Verdict: seawall.New, Event: a.Event.ID}}, nil
}

func (m *memory) Event(_ context.Context, id seawall.EventID) (*seawall.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ev := m.events[id]; ev != nil {
		return ev, nil
	}
	return nil, seawall.Errorf(seawall.ErrNotFound, "no event %s", id)
}

func (m *memory) Delivery(_ context.Context, id seawall.DeliveryID) (*seawall.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.deliveries[id]; d != nil {
		c := *d
		return &c, nil
	}
	return nil, seawall.Errorf(seawall.ErrNotFound, "no delivery %s", id)
}

func (m *memory) Answers(_ context.Context, ids []seawall.DeliveryID) (map[seawall.DeliveryID]*seawall.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	out := map[seawall.DeliveryID]*seawall.Answer{}
	for _, id := range ids {
		if a := m.answers[id]; a != nil {
			out[id] = a
		}
	}
	return out, nil
}

func (m *memory) Cancel(_ context.Context, ids []seawall.DeliveryID, reason string, _ seawall.Action) (ended []seawall.DeliveryID, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if d := m.deliveries[id]; !d.State.Final() {
			d.State, d.Reason = seawall.Canceled, reason
			ended = append(ended, id)
		}
	}
	return ended, nil
}

// settle ends a call as another node would: nobody here is told.
func (m *memory) settle(id seawall.DeliveryID, state seawall.State, reason string, a *seawall.Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[id]
	d.State, d.Reason = state, reason
	if a != nil {
		m.answers[id] = a
	}
}

func payments() *config.System {
	return &config.System{
		Name: "payments", Auth: config.HeaderKey{Name: "X-Pay-Key", Value: "s"},
		Idempotency: config.Idempotency{Header: "Pay-Request-Id"},
		Calls:       []config.CallRule{{Method: "POST", Path: []string{"v1", "notes", "**"}, AssignKey: true}},
	}
}

func newCalls(t *testing.T, m *memory, change ...func(*Options)) *Calls {
	t.Helper()
	cur := &Current{
		Config: &config.Config{Retention: config.Retention{Events: 720 * time.Hour}}, Revision: 3,
		System: func(name string) *config.System {
			if name == "payments" {
				return payments()
			}
			return nil
		},
	}
	o := Options{
		Current: func() *Current { return cur }, Store: m, Wake: func(string) {},
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.Reader,
	}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

func charge(key string) Post {
	return Post{
		Request: Request{Method: "POST", Path: "/v1/charges?x=1", Headers: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"amount":5}`)},
		System:  "payments", By: "shop", Key: key,
	}
}
