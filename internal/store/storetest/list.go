package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var listTests = []test{
	{"TestG9_EventsAreListedByFilter", testListEvents},
	{"TestG9_EventsAreFollowed", testFollow},
	{"TestG9_AFollowerMissesNothingOfManyWriters", testFollowMany},
	{"TestG9_DeliveriesAreListedByFilter", testListDeliveries},
	{"TestG9_RejectedArrivalsAreKeptAndBounded", testRefuse},
	{"TestG9_ARareMatchIsFoundFarBack", testRare},
	{"TestG9_ATimeRangeHoldsItsWholeEdge", testEdges},
	{"TestG9_ABadCursorIsRefused", testBadCursor},
}

// collect reads all pages.
func collect[T any](t *testing.T, list func(store.Page) (store.List[T], error)) (all []T) {
	t.Helper()
	p := store.Page{Limit: 3}
	for range 1000 {
		l, err := list(p)
		must(t, err)
		if len(l.Items) > p.Limit {
			t.Fatalf("a page of %d, asked for %d", len(l.Items), p.Limit)
		}
		all = append(all, l.Items...)
		if l.Next == "" {
			return all
		}
		p.Cursor = l.Next
	}
	t.Fatal("the pages do not end")
	return nil
}

func testListEvents(t *testing.T, s *suite) {
	begin := s.Clock.Now()
	for i := range 10 {
		e := s.event([]string{"shop", "lab"}[i%2], fmt.Sprint("id-", i), "x")
		e.Type = []string{"order.paid", "order.shipped", "user.new", "", "a[b]c"}[i%5]
		if i%3 == 0 {
			e.Entity = "order/7"
		}
		var to []string
		if i != 4 {
			to = []string{"orders"}
		}
		_, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(e, to...)})
		must(t, err)
		s.Clock.Advance(time.Minute)
	}
	unmatched, routed := seawall.Unmatched, seawall.Routed
	for _, tt := range []struct {
		name string
		f    store.EventFilter
		want []int64
	}{
		{"all", store.EventFilter{}, []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"source", store.EventFilter{Source: "lab"}, []int64{10, 8, 6, 4, 2}},
		{"unknown source", store.EventFilter{Source: "none"}, nil},
		{"type", store.EventFilter{Type: "order.paid"}, []int64{6, 1}},
		{"glob", store.EventFilter{Type: "order.*"}, []int64{7, 6, 2, 1}},
		{"glob of one", store.EventFilter{Type: "user.ne?"}, []int64{8, 3}},
		{"glob with a bracket", store.EventFilter{Type: "a[*"}, []int64{10, 5}},
		{"entity", store.EventFilter{Entity: "order/7"}, []int64{10, 7, 4, 1}},
		{"entity and source", store.EventFilter{Entity: "order/7", Source: "shop"}, []int64{7, 1}},
		{"source event id", store.EventFilter{SourceID: "id-3"}, []int64{4}},
		{"source event id and source", store.EventFilter{SourceID: "id-3", Source: "shop"}, nil},
		{"unmatched", store.EventFilter{Routing: &unmatched}, []int64{5}},
		{"routed", store.EventFilter{Routing: &routed}, []int64{10, 9, 8, 7, 6, 4, 3, 2, 1}},
		{"since", store.EventFilter{Since: begin.Add(7 * time.Minute)}, []int64{10, 9, 8}},
		{"until", store.EventFilter{Until: begin.Add(2 * time.Minute)}, []int64{2, 1}},
		{"long ago", store.EventFilter{Until: begin.Add(-24 * time.Hour)}, nil},
		{"one day", store.EventFilter{Since: begin.Add(24 * time.Hour)}, nil},
	} {
		var got []int64
		for _, e := range collect(t, func(p store.Page) (store.List[seawall.Event], error) {
			return s.Store.ListEvents(t.Context(), tt.f, p)
		}) {
			got = append(got, e.Seq)
			if e.Headers != nil || e.Body != nil || e.Method != "POST" {
				t.Errorf("%s: headers or body in a list: %+v", tt.name, e)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func testFollow(t *testing.T, s *suite) {
	last := s.accept(t, "0").Seq
	for round := range 3 {
		for i := range 4 {
			s.accept(t, fmt.Sprint(round, "-", i))
		}
		var got []int64
		for _, e := range collect(t, func(p store.Page) (store.List[seawall.Event], error) {
			return s.Store.ListEvents(t.Context(), store.EventFilter{After: last}, p)
		}) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, []int64{last + 1, last + 2, last + 3, last + 4}) {
			t.Fatalf("after %d: %v", last, got)
		}
		last += 4
	}
	if l, err := s.Store.ListEvents(t.Context(), store.EventFilter{After: last}, store.Page{}); err != nil || len(l.Items) != 0 || l.Next != "" {
		t.Errorf("nothing new: %+v, %v", l, err)
	}
}

// testFollowMany: a follower sees every event once, in order, however the commits
// of several writers, on several nodes where there can be, overtake each other.
func testFollowMany(t *testing.T, s *suite) {
	const writers, each = 6, 60
	stores := []store.Store{s.Store}
	if s.Second != nil {
		stores = append(stores, s.Second(t))
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				e := s.event("shop", fmt.Sprint(i, "-", j), "x")
				if _, err := stores[i%len(stores)].Accept(context.WithoutCancel(t.Context()), []store.Acceptance{s.acceptance(e, "orders")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	last, seen, ended := int64(-1), map[string]bool{}, false
	for !ended {
		select {
		case <-done:
			ended = true // what is listed from now on is all
		default:
		}
		for more := true; more; {
			l, err := s.Store.ListEvents(t.Context(), store.EventFilter{After: last}, store.Page{Limit: 7})
			must(t, err)
			for _, e := range l.Items {
				if e.Seq <= last || seen[e.SourceID] {
					t.Fatalf("%s with sequence number %d came after %d", e.SourceID, e.Seq, last)
				}
				last, seen[e.SourceID] = e.Seq, true
			}
			more = len(l.Items) > 0
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d events were seen of %d", len(seen), writers*each)
	}
}

func testListDeliveries(t *testing.T, s *suite) {
	begin := s.Clock.Now()
	dead := s.dead(t, 3, "orders") // events 1 to 3
	s.Clock.Advance(time.Hour)
	both := s.accept(t, "both", "orders", "audit") // 4
	e := s.event("lab", "1", "x")                  // 5
	a := s.acceptance(e, "audit")
	a.Deliveries[0].Entity, a.Deliveries[0].State, a.Deliveries[0].Reason = "order/7", seawall.Held, "settle"
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
	must(t, err)
	b4o, b4a, held := both.ID.Delivery(1), both.ID.Delivery(2), e.ID.Delivery(1)
	state := func(st seawall.State) *seawall.State { return &st }
	for _, tt := range []struct {
		name string
		f    store.DeliveryFilter
		want []seawall.DeliveryID
	}{
		{"all", store.DeliveryFilter{}, []seawall.DeliveryID{held, b4a, b4o, dead[2], dead[1], dead[0]}},
		{"destination", store.DeliveryFilter{Destination: "orders"}, []seawall.DeliveryID{b4o, dead[2], dead[1], dead[0]}},
		{"dead", store.DeliveryFilter{State: state(seawall.Dead)}, []seawall.DeliveryID{dead[2], dead[1], dead[0]}},
		{"pending", store.DeliveryFilter{State: state(seawall.Pending)}, []seawall.DeliveryID{b4a, b4o}},
		{"held", store.DeliveryFilter{State: state(seawall.Held)}, []seawall.DeliveryID{held}},
		{"delivered", store.DeliveryFilter{State: state(seawall.Delivered)}, nil},
		{"source", store.DeliveryFilter{Source: "lab"}, []seawall.DeliveryID{held}},
		{"route", store.DeliveryFilter{Route: "shop to audit"}, []seawall.DeliveryID{b4a}},
		{"entity", store.DeliveryFilter{Entity: "order/7"}, []seawall.DeliveryID{held}},
		{"type", store.DeliveryFilter{Type: "order.*", Destination: "audit"}, []seawall.DeliveryID{held, b4a}},
		{"other type", store.DeliveryFilter{Type: "user.*"}, nil},
		{"since", store.DeliveryFilter{Since: begin.Add(time.Minute)}, []seawall.DeliveryID{held, b4a, b4o}},
		{"until", store.DeliveryFilter{Until: begin.Add(time.Minute)}, []seawall.DeliveryID{dead[2], dead[1], dead[0]}},
		{"unknown destination", store.DeliveryFilter{Destination: "none"}, nil},
		{"unknown route", store.DeliveryFilter{Route: "none"}, nil},
	} {
		var got []seawall.DeliveryID
		for _, d := range collect(t, func(p store.Page) (store.List[seawall.Delivery], error) {
			return s.Store.ListDeliveries(t.Context(), tt.f, p)
		}) {
			got = append(got, d.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %v\nwant %v", tt.name, got, tt.want)
		}
	}
}

func testRefuse(t *testing.T, s *suite) {
	refuse := func(source string, v seawall.Verdict, i int) {
		must(t, s.Store.Refuse(t.Context(), seawall.Arrival{Source: source, At: s.Clock.Now(), Verdict: v, Status: 401,
			Reason: "signature_mismatch", Detail: fmt.Sprint(i), Method: "POST", URL: "/in/" + source, Remote: "192.0.2.1:1",
			Headers: map[string][]string{"A": {"b"}}, Body: []byte("body"), BodySize: 4}))
	}
	refuse("shop", seawall.Handshake, 0)
	refuse("lab", seawall.Rejected, 0)
	const many = 1200
	for i := range many {
		refuse("shop", seawall.Rejected, i)
	}
	rejected := seawall.Rejected
	var got []seawall.Arrival
	p := store.Page{Limit: 100}
	for {
		l, err := s.Store.ListArrivals(t.Context(), store.ArrivalFilter{Source: "shop", Verdict: &rejected}, p)
		must(t, err)
		got = append(got, l.Items...)
		if p.Cursor = l.Next; p.Cursor == "" {
			break
		}
	}
	if len(got) < 1000 || len(got) > 1100 || got[0].Detail != fmt.Sprint(many-1) {
		t.Errorf("%d are kept, the newest is %s", len(got), got[0].Detail)
	}
	if got[0].Headers != nil || got[0].Body != nil {
		t.Errorf("headers or body in a list: %+v", got[0])
	}
	a, err := s.Store.Arrival(t.Context(), got[0].ID)
	must(t, err)
	if string(a.Body) != "body" || a.Headers.Get("A") != "b" || a.Status != 401 || a.Reason != "signature_mismatch" || !a.Event.IsZero() {
		t.Errorf("got %+v", a)
	}
	if l, err := s.Store.ListArrivals(t.Context(), store.ArrivalFilter{Source: "lab"}, store.Page{}); err != nil || len(l.Items) != 1 {
		t.Errorf("another source's: %v, %v", l.Items, err)
	}
	if _, err := s.Store.Arrival(t.Context(), 999_999); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("an unknown arrival: %v", err)
	}
}

func testBadCursor(t *testing.T, s *suite) {
	for i := range 5 {
		s.accept(t, fmt.Sprint(i), "orders")
	}
	events, err := s.Store.ListEvents(t.Context(), store.EventFilter{}, store.Page{Limit: 2})
	must(t, err)
	for _, bad := range []string{"x", "????", events.Next + "x", "AAAAAAAAAAAA"} {
		if _, err := s.Store.ListEvents(t.Context(), store.EventFilter{}, store.Page{Cursor: bad}); !errors.Is(err, seawall.ErrInvalid) {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
	if _, err := s.Store.ListDeliveries(t.Context(), store.DeliveryFilter{}, store.Page{Cursor: events.Next}); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("the cursor of another list: %v", err)
	}
}

// What a filter selects is found however much lies before it.
func testRare(t *testing.T, s *suite) {
	rare := s.event("shop", "rare", "x")
	rare.Type = "rare"
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(rare, "orders")})
	must(t, err)
	dead := s.dead(t, 1, "audit")
	last := rare.Seq
	for i := range 24 {
		batch := make([]store.Acceptance, 500)
		for j := range batch {
			batch[j] = s.acceptance(s.event("shop", fmt.Sprint(i, "-", j), ""), "orders")
		}
		_, err := s.Store.Accept(t.Context(), batch)
		must(t, err)
	}
	s.dead(t, 1, "orders")
	for _, f := range []store.EventFilter{{Type: "rare"}, {Type: "ra*"}, {SourceID: "rare"}, {Type: "rare", After: -1}} {
		es := collect(t, func(p store.Page) (store.List[seawall.Event], error) { return s.Store.ListEvents(t.Context(), f, p) })
		if len(es) != 1 || es[0].Seq != last {
			t.Errorf("%+v: %d found, want the rare one", f, len(es))
		}
	}
	state := seawall.Dead
	for _, f := range []store.DeliveryFilter{{State: &state, Destination: "audit"}, {State: &state, Destination: "audit", Type: "order.*"}, {Destination: "audit"}} {
		ds := collect(t, func(p store.Page) (store.List[seawall.Delivery], error) {
			return s.Store.ListDeliveries(t.Context(), f, p)
		})
		if len(ds) != 1 || ds[0].ID != dead[0] {
			t.Errorf("%+v: %d found, want the one of audit", f, len(ds))
		}
	}
	ids, next, err := s.Store.Matching(t.Context(), store.DeliveryFilter{}, store.Page{Limit: 10})
	must(t, err)
	if len(ids) != 2 || next != "" || ids[0] != dead[0] {
		t.Errorf("matching: %v, next %q", ids, next)
	}
}

// testEdges: the ids of one instant are in no order, and none of its events may
// fall out of a range that holds it.
func testEdges(t *testing.T, s *suite) {
	const n = 60
	at := s.Clock.Now()
	for i := range n {
		s.accept(t, fmt.Sprint("id-", i), "orders")
	}
	for name, f := range map[string]store.EventFilter{
		"since": {Since: at}, "since long ago": {Since: at.Add(-time.Hour)},
		"until": {Until: at.Add(time.Millisecond)}, "until now": {Until: at.Add(time.Hour)},
		"between": {Since: at, Until: at.Add(time.Millisecond)},
	} {
		got := collect(t, func(p store.Page) (store.List[seawall.Event], error) { return s.Store.ListEvents(t.Context(), f, p) })
		if len(got) != n {
			t.Errorf("%s: %d events of %d", name, len(got), n)
		}
		d := store.DeliveryFilter{Since: f.Since, Until: f.Until}
		ds := collect(t, func(p store.Page) (store.List[seawall.Delivery], error) {
			return s.Store.ListDeliveries(t.Context(), d, p)
		})
		if len(ds) != n {
			t.Errorf("%s: %d deliveries of %d", name, len(ds), n)
		}
	}
}
