package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// orderTests are about people's orders.
var orderTests = []test{
	{"TestG2_CancelEndsWhatWaits", testCancel},
	{"TestG2_ReplayKeepsTheIdentity", testReplay},
	{"TestG2_ReplayUnderANewID", testReplayNewID},
	{"TestG2_ReplaysAreSpaced", testReplaySpaced},
	{"TestG2_MatchingFindsWhatAFilterSelects", testMatching},
}

func testCancel(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "audit")
	l := s.lease(t, "n1", "orders")
	s.settle(t, s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Delivered), store.Done)
	ids := []seawall.DeliveryID{e.ID.Delivery(1), e.ID.Delivery(2), e.ID.Delivery(3)}
	ended, err := s.Store.Cancel(t.Context(), ids, "not wanted", seawall.Action{What: "cancel", By: "ann", At: s.Clock.Now(), On: "x"})
	must(t, err)
	if len(ended) != 1 || ended[0] != ids[1] {
		t.Errorf("canceled %v", ended)
	}
	s.delivery(t, ids[0], seawall.Delivered)
	if d := s.delivery(t, ids[1], seawall.Canceled); d.Reason != "not wanted" || !d.Finished.Equal(s.Clock.Now()) {
		t.Errorf("got %+v", d)
	}
	s.actions(t, "x", "cancel")
}

func testReplay(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	s.settle(t, s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Dead), store.Done)
	id := e.ID.Delivery(1)
	at := s.Clock.Advance(time.Hour)
	replay := func() []seawall.Delivery {
		ds, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{id}, store.ReplayOptions{At: at, Pin: true}, seawall.Action{What: "replay", On: "x"})
		must(t, err)
		return ds
	}
	ds := replay()
	if len(ds) != 1 || ds[0].ID != id || ds[0].State != seawall.Pending || !ds[0].Due.Equal(at) || !ds[0].Since.Equal(at) ||
		ds[0].Round != 0 || ds[0].Attempts != 1 || !ds[0].Pinned || !ds[0].Created.Equal(e.ReceivedAt) || !ds[0].Finished.IsZero() {
		t.Fatalf("replayed %+v", ds)
	}
	if again := replay(); len(again) != 0 {
		t.Errorf("replayed twice: %+v", again)
	}
	due := s.claim(t, l, 10)
	if len(due) != 1 || due[0].Delivery.ID != id {
		t.Fatalf("claimed %+v", due)
	}
	s.settle(t, s.ended(l, due[0].Delivery, seawall.Delivered), store.Done)
	if d := s.delivery(t, id, seawall.Delivered); d.Attempts != 2 || d.Round != 1 {
		t.Errorf("got %+v", d)
	}
	s.attempts(t, id, 2)
	replay()
	s.settle(t, s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Delivered), store.Done)
	s.attempts(t, id, 3)
	s.actions(t, "x", "replay", "replay", "replay")
}

func testReplayNewID(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "audit")
	l := s.lease(t, "n1", "orders")
	s.settle(t, s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Delivered), store.Done)
	id := e.ID.Delivery(1)
	o := store.ReplayOptions{At: s.Clock.Now(), NewID: true}
	ds, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{id}, o, seawall.Action{What: "replay"})
	must(t, err)
	if len(ds) != 1 || ds[0].ID != e.ID.Delivery(3) || ds[0].Attempts != 0 || ds[0].Route != "shop to orders" {
		t.Fatalf("replayed %+v", ds)
	}
	again, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{id}, o, seawall.Action{What: "replay"})
	must(t, err)
	if len(again) != 0 {
		t.Errorf("replayed while the first replay waits: %+v", again)
	}
	s.delivery(t, id, seawall.Delivered)
	s.settle(t, s.ended(l, s.claim(t, l, 1)[0].Delivery, seawall.Delivered), store.Done)
	again, err = s.Store.Replay(t.Context(), []seawall.DeliveryID{id}, o, seawall.Action{What: "replay"})
	must(t, err)
	if len(again) != 1 || again[0].ID != e.ID.Delivery(4) {
		t.Errorf("replayed after the first replay ended: %+v", again)
	}
	all, err := s.Store.DeliveriesOf(t.Context(), e.ID)
	must(t, err)
	if len(all) != 4 {
		t.Errorf("the event has %d deliveries, want 4", len(all))
	}
}

func testReplaySpaced(t *testing.T, s *suite) {
	ids := s.dead(t, 3, "orders")
	ids = append(ids[:1], append([]seawall.DeliveryID{s.accept(t, "waits", "orders").ID.Delivery(1)}, ids[1:]...)...)
	at := s.Clock.Now()
	ds, err := s.Store.Replay(t.Context(), ids, store.ReplayOptions{At: at, Every: time.Second}, seawall.Action{What: "replay"})
	must(t, err)
	if len(ds) != 3 {
		t.Fatalf("replayed %d, want the 3 that had ended", len(ds))
	}
	for i, d := range ds {
		if !d.Due.Equal(at.Add(time.Duration(i) * time.Second)) {
			t.Errorf("replay %d is due at %v", i, d.Due)
		}
	}
}

// dead accepts n events whose delivery to destination dies.
func (s *suite) dead(t *testing.T, n int, destination string) (ids []seawall.DeliveryID) {
	t.Helper()
	l := s.lease(t, "n1", destination)
	for i := range n {
		e := s.accept(t, fmt.Sprint(destination, " dead ", i), destination)
		s.settle(t, s.ended(l, *s.delivery(t, e.ID.Delivery(1), seawall.Pending), seawall.Dead), store.Done)
		ids = append(ids, e.ID.Delivery(1))
	}
	return ids
}

func testMatching(t *testing.T, s *suite) {
	want := s.dead(t, 5, "orders")
	s.dead(t, 2, "audit")
	s.accept(t, "waits", "orders")
	dead := seawall.Dead
	var got []seawall.DeliveryID
	cursor, pages := "", 0
	for {
		ids, next, err := s.Store.Matching(t.Context(), store.DeliveryFilter{State: &dead, Destination: "orders"}, store.Page{Cursor: cursor, Limit: 2})
		must(t, err)
		got = append(got, ids...)
		if pages++; next == "" || pages > 10 {
			break
		}
		cursor = next
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if all, _, err := s.Store.Matching(t.Context(), store.DeliveryFilter{}, store.Page{}); err != nil || len(all) != 7 {
		t.Errorf("without a filter %d, want all 7 that ended (%v)", len(all), err)
	}
	pending := seawall.Pending
	if _, _, err := s.Store.Matching(t.Context(), store.DeliveryFilter{State: &pending}, store.Page{}); err == nil {
		t.Error("matched what has not ended")
	}
}
