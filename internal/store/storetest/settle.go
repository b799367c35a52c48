package storetest

import (
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var settleTests = []test{
	{"TestG2_AcceptClaimSettle", func(t *testing.T, s *suite) {
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
		as, err := s.Store.Attempts(t.Context(), d.ID)
		must(t, err)
		if len(as) != 1 || as[0].N != 1 || as[0].Response == nil || string(as[0].Response.Body) != "ok" {
			t.Errorf("attempts: %+v", as)
		}
		if again := s.claim(t, l, 10); len(again) != 0 {
			t.Errorf("claimed again: %+v", again)
		}
		s.delivery(t, e.ID.Delivery(2), seawall.Pending)
	}},
}
