package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var claimTests = []test{
	{"TestG2_ClaimGivesOldestDueFirst", testOldestFirst},
	{"TestG4_ClaimLeavesOutWhatIsBusy", testBusy},
	{"TestG7_ADestinationSeesItsOwnOnly", testOwnOnly},
	{"TestG8_ClaimIsBounded", testClaimBounds},
	{"TestG2_DepthsFollowEveryMove", testDepths},
}

// queued accepts n events for orders, one second apart in due, and returns
// their deliveries.
func (s *suite) queued(t *testing.T, n int) (ids []seawall.DeliveryID) {
	t.Helper()
	for i := range n {
		e := s.event("shop", fmt.Sprint(i), "0123456789")
		a := s.acceptance(e, "orders")
		a.Deliveries[0].Due = e.ReceivedAt.Add(time.Duration(n-i) * time.Second)
		_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
		must(t, err)
		ids = append(ids, e.ID.Delivery(1))
	}
	return ids
}

func testOldestFirst(t *testing.T, s *suite) {
	ids := s.queued(t, 5) // the last is due first
	l := s.lease(t, "n1", "orders")
	due, next, err := s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Limit: 10})
	must(t, err)
	if len(due) != 0 || !next.Equal(s.Clock.Now().Add(time.Second)) {
		t.Fatalf("before anything is due: %d claimed, next %v", len(due), next)
	}
	s.Clock.Advance(3 * time.Second)
	due, next, err = s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Limit: 10})
	must(t, err)
	if len(due) != 3 || due[0].Delivery.ID != ids[4] || due[2].Delivery.ID != ids[2] {
		t.Fatalf("claimed %d: %v", len(due), due)
	}
	if !next.Equal(s.Clock.Now().Add(time.Second)) {
		t.Errorf("next at %v", next)
	}
	if d := due[0].Delivery; d.Destination != "orders" || d.Source != "shop" || d.Type != "order.paid" || due[0].Event.Proof != "none" {
		t.Errorf("claimed %+v of %+v", d, due[0].Event)
	}
	s.Clock.Advance(time.Hour)
	if due, next, err = s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Limit: 10}); err != nil || len(due) != 5 || !next.IsZero() {
		t.Errorf("at last: %d claimed, next %v, %v", len(due), next, err)
	}
}

func testBusy(t *testing.T, s *suite) {
	ids := s.queued(t, 5)
	s.Clock.Advance(time.Minute)
	l := s.lease(t, "n1", "orders")
	busy := map[seawall.DeliveryID]bool{ids[4]: true, ids[2]: true}
	due, next, err := s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Limit: 2,
		Busy: func(id seawall.DeliveryID) bool { return busy[id] }, BusyCount: 2})
	must(t, err)
	if len(due) != 2 || due[0].Delivery.ID != ids[3] || due[1].Delivery.ID != ids[1] {
		t.Fatalf("claimed %v", due)
	}
	if next.IsZero() || next.After(s.Clock.Now()) {
		t.Errorf("one more is due, next says %v", next)
	}
	busy[ids[3]], busy[ids[1]], busy[ids[0]] = true, true, true
	due, next, err = s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Limit: 2,
		Busy: func(id seawall.DeliveryID) bool { return busy[id] }, BusyCount: 5})
	must(t, err)
	if len(due) != 0 || !next.IsZero() {
		t.Errorf("all are busy: %d claimed, next %v", len(due), next)
	}
}

func testOwnOnly(t *testing.T, s *suite) {
	for i := range 10 {
		s.accept(t, fmt.Sprint(i), "dead")
	}
	e := s.accept(t, "mine", "orders")
	due := s.claim(t, s.lease(t, "n1", "orders"), 100)
	if len(due) != 1 || due[0].Event.ID != e.ID {
		t.Errorf("claimed %v", due)
	}
	if due := s.claim(t, s.lease(t, "n1", "nobody"), 100); len(due) != 0 {
		t.Errorf("claimed for a destination without any: %v", due)
	}
	ps, err := s.Store.Pending(t.Context())
	must(t, err)
	if len(ps) != 2 || ps[0] != (store.PendingQueue{Lane: store.Lane{System: "dead"}, Destination: "dead", Count: 10}) || ps[1].Count != 1 {
		t.Errorf("pending: %+v", ps)
	}
	for i := range ps {
		ps[i].Count = 0
	}
	waiting := func(want ...store.PendingQueue) {
		t.Helper()
		if got, err := s.Store.Waiting(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("waiting: %+v, %v; want %+v", got, err, want)
		}
	}
	waiting(ps...)
	l := s.lease(t, "n1", "orders")
	held := s.ended(l, due[0].Delivery, seawall.Held)
	s.settle(t, held, store.Done)
	waiting(ps...)
	s.settle(t, s.ended(l, *s.delivery(t, due[0].Delivery.ID, seawall.Held), seawall.Delivered), store.Done)
	waiting(ps[0])
}

func testClaimBounds(t *testing.T, s *suite) {
	s.queued(t, 5) // bodies of 10 bytes
	s.Clock.Advance(time.Minute)
	l := s.lease(t, "n1", "orders")
	for _, tt := range []struct{ limit, bytes, want int }{{2, 0, 2}, {10, 15, 2}, {10, 5, 1}, {10, 10, 2}, {10, 0, 5}, {0, 0, 0}} {
		due, next, err := s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Rescan: true,
			Limit: tt.limit, Bytes: tt.bytes})
		must(t, err)
		if len(due) != tt.want || next.IsZero() != (tt.want == 5) {
			t.Errorf("limit %d, bytes %d: claimed %d, want %d; next %v", tt.limit, tt.bytes, len(due), tt.want, next)
		}
	}
}

func testDepths(t *testing.T, s *suite) {
	var es []*seawall.Event
	for i := range 4 {
		es = append(es, s.accept(t, fmt.Sprint(i), "orders"))
	}
	l := s.lease(t, "n1", "orders")
	check := func(what string, pending, held, dead int64) {
		t.Helper()
		for range 2 { // as counted along, and as counted anew
			if d := s.depth(t, "orders"); d.Pending != pending || d.Held != held || d.Dead != dead {
				t.Errorf("%s: %+v, want %d, %d, %d", what, d, pending, held, dead)
			}
			s.Store = s.Reopen(t)
			l = s.lease(t, "n1", "orders")
		}
	}
	if d := s.depth(t, "orders"); !d.OldestDue.Equal(es[0].ReceivedAt) {
		t.Errorf("oldest due %v", d.OldestDue)
	}
	check("accepted", 4, 0, 0)
	d := func(i int) seawall.Delivery { return *s.delivery(t, es[i].ID.Delivery(1), seawall.Pending) }
	s.settle(t, s.ended(l, d(0), seawall.Dead), store.Done)
	check("one dead", 3, 0, 1)
	s.settle(t, s.ended(l, d(1), seawall.Held), store.Done)
	check("one held", 2, 1, 1)
	_, err := s.Store.Cancel(t.Context(), []seawall.DeliveryID{es[1].ID.Delivery(1), es[2].ID.Delivery(1)}, "", seawall.Action{What: "cancel"})
	must(t, err)
	check("two canceled", 1, 0, 1)
	_, err = s.Store.Replay(t.Context(), []seawall.DeliveryID{es[0].ID.Delivery(1)}, store.ReplayOptions{At: s.Clock.Now()}, seawall.Action{What: "replay"})
	must(t, err)
	check("one replayed", 2, 0, 0)
	s.settle(t, s.ended(l, d(3), seawall.Delivered), store.Done)
	check("one delivered", 1, 0, 0)
}
