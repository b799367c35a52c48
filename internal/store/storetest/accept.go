package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var acceptTests = []test{
	{"TestG1_AcceptedSurvivesACrash", testAcceptedSurvives},
	{"TestG2_AnEventIsReadAsItWasAccepted", testRoundTrip},
	{"TestG2_ABatchIsAllOrNothing", testAllOrNothing},
	{"TestG2_ReplanAddsWhatIsMissing", testReplan},
	{"TestG3_ADuplicateIsOneEvent", testDuplicate},
	{"TestG3_AConflictIsKeptVisible", testConflict},
	{"TestG3_OneIDFromManyAtOnce", testManyAtOnce},
	{"TestG3_IDsOfAnyLength", testLongIDs},
	{"TestG3_ARepeatInsideOneBatch", testRepeatInBatch},
	{"TestG3_AKeylessEventIsNeverADuplicate", testKeyless},
	{"TestG3_PastTheHorizonItIsNew", testHorizon},
	{"TestG3_AnExpiredKeyBesideAnOlderEvent", testHorizonInBatch},
	{"TestG2_AnyTextIsAccepted", testAnyText},
	{"TestG5_SequenceFollowsCommits", testSequence},
	{"TestG8_ACanceledCallWritesNothing", testCanceledCall},
}

func testAcceptedSurvives(t *testing.T, s *suite) {
	var ids []seawall.EventID
	for i := range 20 {
		ids = append(ids, s.accept(t, fmt.Sprint(i), "orders").ID)
	}
	crashed := s.Crash(t)
	for _, id := range ids {
		if _, err := crashed.Event(t.Context(), id); err != nil {
			t.Errorf("after a crash: %v", err)
		}
		ds, err := crashed.DeliveriesOf(t.Context(), id)
		must(t, err)
		if len(ds) != 1 || ds[0].State != seawall.Pending {
			t.Errorf("after a crash: deliveries %+v", ds)
		}
	}
	s.Store = s.Reopen(t)
	if got := s.depth(t, "orders").Pending; got != 20 {
		t.Errorf("after a restart %d deliveries are pending, want 20", got)
	}
	next := s.accept(t, "next", "orders")
	if next.Seq < 21 {
		t.Errorf("after a restart the next event has sequence number %d, want 21 or more", next.Seq)
	}
}

func testRoundTrip(t *testing.T, s *suite) {
	e := s.event("shop", "evt_1", "{\"a\":\"\\u0000\"}\x00\xff")
	e.Derived, e.Type, e.Entity, e.Version = true, "order.paid", "order/1001", "17"
	e.OccurredAt = e.ReceivedAt.Add(-time.Second)
	e.Headers = http.Header{"X-Many": {"a", "b"}, "Content-Type": {"application/json"}}
	e.Proof, e.Cause, e.Depth = "stripe v1, secret 2 of 2", seawall.NewEventID(e.ReceivedAt, s.random), 2
	a := s.acceptance(e, "orders")
	a.Deliveries[0].Entity, a.Deliveries[0].Rank = "order/1001", []byte{0, 17}
	a.Deliveries[0].State, a.Deliveries[0].Reason = seawall.Held, "settle"
	e.Decisions = append(e.Decisions, seawall.Decision{Route: "other", Why: ".x is null", Error: true})
	e.Routing = seawall.PlanError
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
	must(t, err)
	got, err := s.Store.Event(t.Context(), e.ID)
	must(t, err)
	if !reflect.DeepEqual(got, e) {
		t.Errorf("event\n got %+v\nwant %+v", got, e)
	}
	want := a.Deliveries[0]
	want.Source, want.Type, want.Since, want.Created = "shop", "order.paid", e.ReceivedAt, e.ReceivedAt
	d, err := s.Store.Delivery(t.Context(), want.ID)
	must(t, err)
	if !reflect.DeepEqual(*d, want) {
		t.Errorf("delivery\n got %+v\nwant %+v", *d, want)
	}
	if _, err := s.Store.Event(t.Context(), seawall.NewEventID(e.ReceivedAt, s.random)); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("an unknown event: %v", err)
	}
	if _, err := s.Store.Delivery(t.Context(), e.ID.Delivery(7)); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("an unknown delivery: %v", err)
	}
}

func testAllOrNothing(t *testing.T, s *suite) {
	taken := s.accept(t, "taken")
	first, second := s.event("shop", "first", "1"), s.event("shop", "second", "2")
	second.ID = taken.ID // an id can be an event's once
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(first, "orders"), s.acceptance(second)})
	if !errors.Is(err, seawall.ErrConflict) {
		t.Fatalf("two events under one id: %v", err)
	}
	if _, err := s.Store.Event(t.Context(), first.ID); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("the batch's first event was kept: %v", err)
	}
	if n := s.depth(t, "orders").Pending; n != 0 {
		t.Errorf("%d deliveries count as pending, want 0", n)
	}
	next := s.accept(t, "first", "orders") // its key is free
	if next.Seq <= taken.Seq {             // a store may leave numbers out
		t.Errorf("sequence number %d after %d", next.Seq, taken.Seq)
	}
	e := s.event("shop", "", "3")
	if _, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(e)}); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("without a source event id: %v", err)
	}
	a := s.acceptance(s.event("shop", "many", "4"))
	a.Deliveries = make([]seawall.Delivery, seawall.MaxDeliveries+1)
	if _, err := s.Store.Accept(t.Context(), []store.Acceptance{a}); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("with too many deliveries: %v", err)
	}
}

func testReplan(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	plan := []seawall.Decision{{Route: "shop to orders", Matched: true}, {Route: "shop to audit", Matched: true}}
	ds := []seawall.Delivery{
		{Route: "shop to orders", Destination: "orders", System: "orders"},
		{Route: "shop to audit", Destination: "audit", System: "audit", Revision: 2},
	}
	planned := &seawall.Event{ID: e.ID, Routing: seawall.Routed, Decisions: plan, Entity: "order/1", Version: "7"}
	added, err := s.Store.Replan(t.Context(), planned, ds, seawall.Action{What: "replan", By: "ann", On: e.ID.String()})
	must(t, err)
	if len(added) != 1 || added[0].ID != e.ID.Delivery(2) || added[0].Destination != "audit" {
		t.Fatalf("added %+v", added)
	}
	got, err := s.Store.Event(t.Context(), e.ID)
	must(t, err)
	if !reflect.DeepEqual(got.Decisions, plan) || got.Entity != "order/1" || got.Version != "7" {
		t.Errorf("decisions %+v, entity %q, version %q", got.Decisions, got.Entity, got.Version)
	}
	list, err := s.Store.ListEvents(t.Context(), store.EventFilter{Entity: "order/1"}, store.Page{})
	must(t, err)
	if len(list.Items) != 1 || list.Items[0].ID != e.ID {
		t.Errorf("by its entity: %+v", list.Items)
	}
	s.delivery(t, added[0].ID, seawall.Pending)
	if n := s.depth(t, "audit").Pending; n != 1 {
		t.Errorf("%d pending, want 1", n)
	}
	s.actions(t, e.ID.String(), "replan")
}

func testDuplicate(t *testing.T, s *suite) {
	first := s.accept(t, "1", "orders")
	for range 25 {
		s.again(t, s.event("shop", "1", `{"id":"1"}`), seawall.Duplicate, first.ID)
	}
	other := s.event("lab", "1", `{"id":"1"}`)
	s.again(t, other, seawall.New, other.ID) // another source's ids are its own
	duplicates, conflicts, err := s.Store.Arrived(t.Context(), first.ID)
	must(t, err)
	if duplicates != 25 || conflicts != 0 {
		t.Errorf("%d duplicates and %d conflicts, want 25 and 0", duplicates, conflicts)
	}
	list, err := s.Store.ListArrivals(t.Context(), store.ArrivalFilter{Event: first.ID}, store.Page{})
	must(t, err)
	if len(list.Items) != 20 || list.Items[0].Verdict != seawall.Duplicate || list.Items[0].Event != first.ID {
		t.Errorf("%d duplicates are kept, want 20", len(list.Items))
	}
	if n := s.depth(t, "orders").Pending; n != 2 {
		t.Errorf("%d pending, want 2", n)
	}
}

func testLongIDs(t *testing.T, s *suite) {
	for n := range 100 {
		id := strings.Repeat("x", n)
		if id == "" {
			continue
		}
		first := s.accept(t, id)
		other := s.accept(t, id+"y")
		s.again(t, s.event("shop", id, `{"id":"`+id+`"}`), seawall.Duplicate, first.ID)
		s.again(t, s.event("shop", id+"y", "else"), seawall.Conflict, other.ID)
	}
}

func testConflict(t *testing.T, s *suite) {
	first := s.accept(t, "1", "orders")
	s.again(t, s.event("shop", "1", "other"), seawall.Conflict, first.ID)
	duplicates, conflicts, err := s.Store.Arrived(t.Context(), first.ID)
	must(t, err)
	if duplicates != 0 || conflicts != 1 {
		t.Errorf("%d duplicates and %d conflicts, want 0 and 1", duplicates, conflicts)
	}
	list, err := s.Store.ListArrivals(t.Context(), store.ArrivalFilter{Event: first.ID}, store.Page{})
	must(t, err)
	a, err := s.Store.Arrival(t.Context(), list.Items[0].ID)
	must(t, err)
	if a.Verdict != seawall.Conflict || string(a.Body) != "other" || a.Headers.Get("Content-Type") == "" {
		t.Errorf("the conflict is kept as %+v", a)
	}
	e, err := s.Store.Event(t.Context(), first.ID)
	must(t, err)
	if string(e.Body) != `{"id":"1"}` {
		t.Errorf("the first body does not stand: %q", e.Body)
	}
}

func testManyAtOnce(t *testing.T, s *suite) {
	const n = 200
	var wg sync.WaitGroup
	got := make([]store.Accepted, n)
	errs := make([]error, n)
	for i := range n {
		a := s.acceptance(s.event("shop", "1", "same"), "orders")
		wg.Go(func() {
			out, err := s.Store.Accept(context.WithoutCancel(t.Context()), []store.Acceptance{a})
			if errs[i] = err; err == nil {
				got[i] = out[0]
			}
		})
	}
	wg.Wait()
	fresh := 0
	for i := range n {
		must(t, errs[i])
		if got[i].Verdict == seawall.New {
			fresh++
		}
		if got[i].Event != got[0].Event {
			t.Fatalf("%s and %s stand for one source event", got[i].Event, got[0].Event)
		}
	}
	if fresh != 1 {
		t.Errorf("%d of %d were new, want 1", fresh, n)
	}
	duplicates, _, err := s.Store.Arrived(t.Context(), got[0].Event)
	must(t, err)
	if duplicates != n-1 {
		t.Errorf("%d duplicates, want %d", duplicates, n-1)
	}
	if p := s.depth(t, "orders").Pending; p != 1 {
		t.Errorf("%d pending, want 1", p)
	}
}

func testRepeatInBatch(t *testing.T, s *suite) {
	first := s.event("shop", "1", "a")
	out, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(first, "orders"),
		s.acceptance(s.event("shop", "1", "a"), "orders"), s.acceptance(s.event("shop", "1", "b"), "orders")})
	must(t, err)
	want := []store.Accepted{{Verdict: seawall.New, Event: first.ID}, {Verdict: seawall.Duplicate, Event: first.ID},
		{Verdict: seawall.Conflict, Event: first.ID}}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
}

func testKeyless(t *testing.T, s *suite) {
	for range 2 {
		e := s.event("lab", "", "same")
		e.Keyless = true
		s.again(t, e, seawall.New, e.ID)
	}
}

func testHorizon(t *testing.T, s *suite) {
	first := s.accept(t, "1")
	s.Clock.Advance(horizon - time.Second)
	s.again(t, s.event("shop", "1", `{"id":"1"}`), seawall.Duplicate, first.ID)
	s.Clock.Advance(time.Second)
	second := s.accept(t, "1")
	s.again(t, s.event("shop", "1", `{"id":"1"}`), seawall.Duplicate, second.ID)
}

// testHorizonInBatch accepts a repeat past the horizon together with an event that
// was received when the horizon had not passed.
func testHorizonInBatch(t *testing.T, s *suite) {
	s.accept(t, "1")
	older := s.acceptance(s.event("shop", "older", "x"))
	s.Clock.Advance(horizon)
	batch := []store.Acceptance{older, s.acceptance(s.event("shop", "1", "x"), "orders"), s.acceptance(s.event("shop", "1", "x"))}
	out, err := s.Store.Accept(t.Context(), batch)
	must(t, err)
	want := []store.Accepted{{Verdict: seawall.New, Event: older.Event.ID}, {Verdict: seawall.New, Event: batch[1].Event.ID},
		{Verdict: seawall.Duplicate, Event: batch[1].Event.ID}}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
	if batch[1].Event.Seq == 0 {
		t.Error("it has no sequence number")
	}
	s.delivery(t, batch[1].Event.ID.Delivery(1), seawall.Pending)
}

// testAnyText accepts what no text column would take: an event is not refused for
// what its sender made of a name.
func testAnyText(t *testing.T, s *suite) {
	id := "a\x00b\xffc"
	e := s.event("shop", id, "\x00")
	e.Type, e.Entity, e.Version, e.Proof, e.Remote = id, id, id, id, id
	e.Headers = http.Header{"X-Odd": {id}}
	a := s.acceptance(e, "orders")
	a.Deliveries[0].Entity, a.Deliveries[0].Reason, a.Deliveries[0].Rank = id, id, []byte(id)
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
	must(t, err)
	s.again(t, s.event("shop", id, "\x00"), seawall.Duplicate, e.ID)
	s.again(t, s.event("shop", id, "other"), seawall.Conflict, e.ID)
	got, err := s.Store.Event(t.Context(), e.ID)
	must(t, err)
	if got.SourceID != id || string(got.Body) != "\x00" || got.Headers.Get("X-Odd") != id {
		t.Errorf("got %+v", got)
	}
	l := s.lease(t, "n1", "orders")
	due := s.claim(t, l, 1)
	if len(due) != 1 || string(due[0].Delivery.Rank) != id {
		t.Fatalf("claimed %+v", due)
	}
	in := s.ended(l, due[0].Delivery, seawall.Dead)
	in.Reason, in.Attempt.Error = id, id
	s.settle(t, in, store.Done)
}

func testSequence(t *testing.T, s *suite) {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			last := int64(0)
			for i := range 20 {
				e := s.event("shop", fmt.Sprint(worker, "-", i), "x")
				if _, err := s.Store.Accept(context.WithoutCancel(t.Context()), []store.Acceptance{s.acceptance(e)}); err != nil {
					t.Error(err)
					return
				}
				if e.Seq <= last {
					t.Errorf("sequence number %d after %d", e.Seq, last)
				}
				last = e.Seq
			}
		})
	}
	wg.Wait()
}

func testCanceledCall(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := s.event("shop", "1", "x")
	if _, err := s.Store.Accept(ctx, []store.Acceptance{s.acceptance(e)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Store.Event(t.Context(), e.ID); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("it was written: %v", err)
	}
}

// again accepts an event and checks what became of it.
func (s *suite) again(t *testing.T, e *seawall.Event, want seawall.Verdict, stands seawall.EventID) {
	t.Helper()
	out, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(e, "orders")})
	must(t, err)
	if out[0] != (store.Accepted{Verdict: want, Event: stands}) {
		t.Fatalf("accept %s again: got %v, want %v of %s", e.SourceID, out[0], want, stands)
	}
}

// actions checks what was recorded about something, newest first.
func (s *suite) actions(t *testing.T, on string, want ...string) {
	t.Helper()
	list, err := s.Store.ListActions(t.Context(), on, store.Page{})
	must(t, err)
	var got []string
	for _, a := range list.Items {
		got = append(got, a.What)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("actions on %s: got %v, want %v", on, got, want)
	}
}
