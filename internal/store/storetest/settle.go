package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var settleTests = []test{
	{"TestG2_AcceptClaimSettle", testAcceptClaimSettle},
	{"TestG2_ARetryWaitsAndCounts", testRetry},
	{"TestG2_ARetryForgetsNothing", testRetryForgetsNothing},
	{"TestG2_OutcomesAreAcceptedWithIt", testOutcomes},
	{"TestG7_DisableClosesTheGate", testDisable},
	{"TestG9_AnAttemptIsReadAsItWas", testAttempt},
	{"TestG9_ACancelInFlightKeepsTheAttempt", testCancelInFlight},
	{"TestG4_ManySettleAtOnce", testSettleMany},
}

// What a person said of a delivery, and how it stands to others, holds for all its
// attempts.
func testRetryForgetsNothing(t *testing.T, s *suite) {
	a := s.acceptance(s.event("shop", "1", "{}"), "orders")
	a.Deliveries[0].Entity, a.Deliveries[0].Counts = "order/1", true
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
	must(t, err)
	id := a.Deliveries[0].ID
	l := s.lease(t, "n1", "orders")
	s.settle(t, s.ended(l, *s.delivery(t, id, seawall.Pending), seawall.Dead), store.Done)
	_, err = s.Store.Replay(t.Context(), []seawall.DeliveryID{id}, store.ReplayOptions{At: s.Clock.Now(), Pin: true}, seawall.Action{})
	must(t, err)
	for _, step := range []seawall.Step{seawall.Check, seawall.Send} {
		in := s.ended(l, *s.delivery(t, id, seawall.Pending), seawall.Pending)
		in.Step = step
		s.settle(t, in, store.Done)
		if d := s.delivery(t, id, seawall.Pending); !d.Pinned || !d.Counts || d.Step != step {
			t.Errorf("after a retry: %+v", d)
		}
	}
}

func testAcceptClaimSettle(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "audit")
	l := s.lease(t, "n1", "orders")
	due := s.claim(t, l, 10)
	if len(due) != 1 || due[0].Delivery.ID != e.ID.Delivery(1) || string(due[0].Event.Body) != `{"id":"1"}` {
		t.Fatalf("claimed %+v", due)
	}
	s.settle(t, s.ended(l, due[0].Delivery, seawall.Delivered), store.Done)
	d := s.delivery(t, e.ID.Delivery(1), seawall.Delivered)
	if d.Attempts != 1 || d.Round != 1 || !d.Finished.Equal(s.Clock.Now()) || d.Route != "shop to orders" {
		t.Errorf("got %+v", d)
	}
	s.attempts(t, d.ID, 1)
	if again := s.claim(t, l, 10); len(again) != 0 {
		t.Errorf("claimed again: %+v", again)
	}
	s.delivery(t, e.ID.Delivery(2), seawall.Pending)
}

func testRetry(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	for i := range 3 {
		due := s.claim(t, l, 1)
		if len(due) != 1 || due[0].Delivery.Attempts != i || due[0].Delivery.Round != i {
			t.Fatalf("try %d: claimed %+v", i+1, due)
		}
		in := s.ended(l, due[0].Delivery, seawall.Pending)
		in.Reason, in.Due = "HTTP 500", s.Clock.Now().Add(time.Minute)
		s.settle(t, in, store.Done)
		if early := s.claim(t, l, 1); len(early) != 0 {
			t.Fatalf("claimed before it is due: %+v", early)
		}
		s.Clock.Advance(time.Minute)
	}
	d := s.claim(t, l, 1)[0].Delivery
	if d.Reason != "HTTP 500" || !d.Since.Equal(e.ReceivedAt) || !d.Created.Equal(e.ReceivedAt) {
		t.Errorf("got %+v", d)
	}
	s.settle(t, s.ended(l, d, seawall.Dead), store.Done)
	s.delivery(t, d.ID, seawall.Dead)
	s.attempts(t, d.ID, 4)
}

func testOutcomes(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	in := s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Dead)
	out := s.event("seawall", "dead-1", "{}")
	out.Cause, out.Depth, out.Type = e.ID, 1, "delivery.dead"
	in.Outcomes = []store.Acceptance{s.acceptance(out, "ops")}
	s.settle(t, in, store.Done)
	got, err := s.Store.Event(t.Context(), out.ID)
	must(t, err)
	if got.Cause != e.ID || got.Depth != 1 {
		t.Errorf("got %+v", got)
	}
	if due := s.claim(t, s.lease(t, "n1", "ops"), 1); len(due) != 1 || due[0].Event.ID != out.ID {
		t.Errorf("claimed %+v", due)
	}
}

func testDisable(t *testing.T, s *suite) {
	s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	in := s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Pending)
	in.Disable, in.Due = "HTTP 410 Gone", s.Clock.Now()
	s.settle(t, in, store.Done)
	gates, err := s.Store.Gates(t.Context())
	must(t, err)
	if len(gates) != 1 || gates[0].Destination != "orders" || gates[0].Gate != seawall.Disabled || gates[0].Reason != "HTTP 410 Gone" {
		t.Errorf("gates: %+v", gates)
	}
}

func testAttempt(t *testing.T, s *suite) {
	s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	in := s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Delivered)
	in.Attempt = &seawall.Attempt{N: 1, At: s.Clock.Now(), Took: 1234 * time.Microsecond, Outcome: seawall.Unknown, Error: "reset",
		Next: "retry in 5s", Revision: 3, Node: "n1",
		Request: seawall.Request{Method: "POST", URL: "https://x.example/h", Headers: map[string][]string{"A": {"1", "2"}},
			Body: []byte("shaped"), BodySize: 6},
		Response: &seawall.Response{Status: 502, Proto: "HTTP/2.0", Headers: map[string][]string{"B": {"3"}}, Body: []byte{0, 255}, Truncated: true}}
	s.settle(t, in, store.Done)
	as, err := s.Store.Attempts(t.Context(), in.Delivery)
	must(t, err)
	if len(as) != 1 || !reflect.DeepEqual(as[0], *in.Attempt) {
		t.Errorf("\n got %+v\nwant %+v", as, *in.Attempt)
	}
}

func testCancelInFlight(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	d := s.claim(t, l, 1)[0].Delivery
	ended, err := s.Store.Cancel(t.Context(), []seawall.DeliveryID{d.ID}, "not wanted", seawall.Action{What: "cancel", By: "ann", On: d.ID.String()})
	must(t, err)
	if len(ended) != 1 {
		t.Fatalf("canceled %v", ended)
	}
	in := s.ended(l, d, seawall.Dead)
	out := s.event("seawall", "dead-1", "{}")
	in.Outcomes = []store.Acceptance{s.acceptance(out, "ops")}
	s.settle(t, in, store.Ended)
	got := s.delivery(t, e.ID.Delivery(1), seawall.Canceled)
	if got.Attempts != 1 || got.Reason != "not wanted" {
		t.Errorf("got %+v", got)
	}
	s.attempts(t, d.ID, 1)
	if _, err := s.Store.Event(t.Context(), out.ID); err == nil {
		t.Error("an outcome that did not come true was accepted")
	}
	if d := s.depth(t, "orders"); d.Pending != 0 || d.Dead != 0 {
		t.Errorf("depth %+v", d)
	}
}

func testSettleMany(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "audit", "crm")
	var in []store.Settlement
	for i, dest := range []string{"orders", "audit", "crm"} {
		l := s.lease(t, "n1", dest)
		if i == 1 {
			l.Token++ // a lease that does not stand
		}
		d := *s.delivery(t, e.ID.Delivery(i+1), seawall.Pending)
		in = append(in, s.ended(l, d, seawall.Delivered))
	}
	out, err := s.Store.Settle(t.Context(), in)
	must(t, err)
	if !reflect.DeepEqual(out, []store.Settled{store.Done, store.Fenced, store.Done}) {
		t.Errorf("got %v", out)
	}
	s.delivery(t, e.ID.Delivery(2), seawall.Pending)
	s.delivery(t, e.ID.Delivery(3), seawall.Delivered)
	in[0].State = seawall.Sending
	if _, err := s.Store.Settle(t.Context(), in[:1]); err == nil {
		t.Error("settled as sending")
	}
}

// attempts checks that a delivery has n attempts, numbered from 1.
func (s *suite) attempts(t *testing.T, id seawall.DeliveryID, n int) {
	t.Helper()
	as, err := s.Store.Attempts(t.Context(), id)
	must(t, err)
	if len(as) != n {
		t.Fatalf("%s has %d attempts, want %d", id, len(as), n)
	}
	for i, a := range as {
		if a.N != i+1 || a.Request.URL == "" {
			t.Errorf("attempt %d is %+v", i+1, a)
		}
	}
}
