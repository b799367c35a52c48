package storetest

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var divertTests = []test{
	{"TestG2_ADivertedDeliveryGoesOnElsewhere", testDivert},
	{"TestG2_AReplayBeginsAtTheFirstDestination", testReplayDiverted},
	{"TestG2_AnUnknownOneThatWasDivertedBeginsAnew", testReplayDivertedUnknown},
	{"TestG4_AFencedOwnerDivertsNothing", testDivertFenced},
	{"TestG6_TheStepIsKept", testStep},
	{"TestG6_AnswersAreKeptWithTheirDelivery", testAnswers},
	{"TestG6_AnAnswerExpiresWithItsEvent", testAnswerExpires},
	{"TestCallsHaveQueuesLikeOthers", testCallsQueue},
}

var ops = store.Place{Lane: store.Lane{System: "ops"}, Destination: "ops"}

// diverted is a delivery that went from orders to ops after two attempts.
func (s *suite) diverted(t *testing.T, id string) (d *seawall.Delivery, at store.Lease) {
	t.Helper()
	e := s.accept(t, id, "orders")
	l := s.lease(t, "n1", "orders")
	for i := range 2 {
		in := s.ended(l, *s.delivery(t, e.ID.Delivery(1), seawall.Pending), seawall.Pending)
		in.Due = s.Clock.Advance(time.Second)
		in.At = in.Due
		if i == 1 {
			in.Move = &ops
		}
		s.settle(t, in, store.Done)
	}
	return s.delivery(t, e.ID.Delivery(1), seawall.Pending), s.lease(t, "n1", "ops")
}

// destinations are those that a delivery's attempts name.
func (s *suite) destinations(t *testing.T, id seawall.DeliveryID) (names []string) {
	t.Helper()
	as, err := s.Store.Attempts(t.Context(), id)
	must(t, err)
	for _, a := range as {
		names = append(names, a.Destination)
	}
	return names
}

func testDivert(t *testing.T, s *suite) {
	d, l := s.diverted(t, "1")
	if d.Destination != "ops" || d.System != "ops" || !d.Diverted || d.Attempts != 2 || d.Round != 0 || !d.Since.Equal(s.Clock.Now()) {
		t.Errorf("diverted as %+v", d)
	}
	if a, b := s.depth(t, "orders"), s.depth(t, "ops"); a.Pending != 0 || b.Pending != 1 {
		t.Errorf("depths %+v, %+v", a, b)
	}
	if due := s.claim(t, s.lease(t, "n1", "orders"), 10); len(due) != 0 {
		t.Errorf("the first destination's queue has %+v", due)
	}
	due := s.claim(t, l, 10)
	if len(due) != 1 || due[0].Delivery.ID != d.ID || !due[0].Delivery.Diverted {
		t.Fatalf("claimed %+v", due)
	}
	s.settle(t, s.ended(l, due[0].Delivery, seawall.Dead), store.Done)
	if d := s.delivery(t, d.ID, seawall.Dead); d.Destination != "ops" || !d.Diverted || d.Round != 1 || d.Attempts != 3 {
		t.Errorf("ended as %+v", d)
	}
	if got := s.destinations(t, d.ID); !reflect.DeepEqual(got, []string{"orders", "orders", ""}) {
		t.Errorf("attempts were made to %q", got)
	}
	if a, b := s.depth(t, "orders"), s.depth(t, "ops"); a.Dead != 0 || b.Dead != 1 {
		t.Errorf("depths %+v, %+v", a, b)
	}
	in := s.ended(l, *d, seawall.Dead)
	in.Move = &ops
	if _, err := s.Store.Settle(t.Context(), []store.Settlement{in}); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("a dead one went on: %v", err)
	}
}

func testReplayDiverted(t *testing.T, s *suite) {
	d, l := s.diverted(t, "1")
	s.settle(t, s.ended(l, *d, seawall.Delivered), store.Done)
	at := s.Clock.Advance(time.Minute)
	ds, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{d.ID}, store.ReplayOptions{At: at, NewID: true}, seawall.Action{What: "replay"})
	must(t, err)
	if len(ds) != 1 || ds[0].Destination != "orders" || ds[0].Diverted || ds[0].Attempts != 0 {
		t.Errorf("made anew as %+v", ds)
	}
	s.Store = s.Reopen(t)
	ds, err = s.Store.Replay(t.Context(), []seawall.DeliveryID{d.ID}, store.ReplayOptions{At: at}, seawall.Action{What: "replay"})
	must(t, err)
	if len(ds) != 1 || ds[0].Destination != "orders" || ds[0].System != "orders" || ds[0].Diverted || ds[0].Round != 0 || ds[0].Step != seawall.Send {
		t.Fatalf("replayed as %+v", ds)
	}
	if got := s.destinations(t, d.ID); !reflect.DeepEqual(got, []string{"", "", "ops"}) {
		t.Errorf("attempts were made to %q", got)
	}
	if a, b := s.depth(t, "orders"), s.depth(t, "ops"); a.Pending != 2 || b.Pending != 0 {
		t.Errorf("depths %+v, %+v", a, b)
	}
	// And once more, all the way.
	s.Clock.Advance(ttl)
	first := s.lease(t, "n9", "orders")
	in := s.ended(first, *s.delivery(t, d.ID, seawall.Pending), seawall.Pending)
	in.Move, in.Due = &ops, s.Clock.Now()
	s.settle(t, in, store.Done)
	if got := s.destinations(t, d.ID); !reflect.DeepEqual(got, []string{"orders", "orders", "", "orders"}) {
		t.Errorf("attempts were made to %q", got)
	}
}

func testReplayDivertedUnknown(t *testing.T, s *suite) {
	d, l := s.diverted(t, "1")
	in := s.ended(l, *d, seawall.Held)
	in.Reason = seawall.ReasonUnknown
	s.settle(t, in, store.Done)
	at := s.Clock.Advance(time.Minute)
	ds, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{d.ID}, store.ReplayOptions{At: at}, seawall.Action{What: "replay"})
	must(t, err)
	if len(ds) != 1 || ds[0].Destination != "orders" || ds[0].Diverted || ds[0].Round != 0 {
		t.Fatalf("replayed as %+v", ds)
	}
	if a, b := s.depth(t, "orders"), s.depth(t, "ops"); a.Pending != 1 || b.Pending != 0 || b.Held != 0 {
		t.Errorf("depths %+v, %+v", a, b)
	}
	if got := s.destinations(t, d.ID); !reflect.DeepEqual(got, []string{"", "", "ops"}) {
		t.Errorf("attempts were made to %q", got)
	}
}

func testDivertFenced(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	old := s.acquire(t, "n1", orders)[0]
	d := s.claim(t, old, 1)[0].Delivery
	s.Clock.Advance(ttl)
	s.acquire(t, "n2", orders)
	in := s.ended(old, d, seawall.Pending)
	in.Seq, in.Move = e.Seq, &ops
	s.settle(t, in, store.Fenced)
	if d := s.delivery(t, d.ID, seawall.Pending); d.Diverted || d.Destination != "orders" || d.Attempts != 0 {
		t.Errorf("diverted as %+v", d)
	}
	if len(s.destinations(t, d.ID)) != 0 {
		t.Error("the stale owner's attempt was kept")
	}
}

// testStep settles with a look-up and, as owners do, without.
func testStep(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	for i, step := range []seawall.Step{seawall.Check, seawall.Send, seawall.Doubt, seawall.Check} {
		in := s.ended(l, *s.delivery(t, e.ID.Delivery(1), seawall.Pending), seawall.Pending)
		in.Step, in.Due, in.Attempt.Step = step, s.Clock.Now(), seawall.Check
		if i%2 == 0 {
			in.Seq = e.Seq
		}
		s.settle(t, in, store.Done)
		due := s.claim(t, l, 1)
		if len(due) != 1 || due[0].Delivery.Step != step || due[0].Delivery.State != seawall.Pending {
			t.Fatalf("claimed %+v, want the step %s", due, step)
		}
	}
	as, err := s.Store.Attempts(t.Context(), e.ID.Delivery(1))
	must(t, err)
	if len(as) != 4 || as[0].Step != seawall.Check {
		t.Errorf("attempts %+v", as)
	}
	in := s.ended(l, *s.delivery(t, e.ID.Delivery(1), seawall.Pending), seawall.Delivered)
	in.Seq = e.Seq
	s.settle(t, in, store.Done)
	if d := s.delivery(t, e.ID.Delivery(1), seawall.Delivered); d.Step != seawall.Send {
		t.Errorf("ended with the step %s", d.Step)
	}
}

func testAnswers(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "orders", "orders")
	l := s.lease(t, "n1", "orders")
	want := map[seawall.DeliveryID]*seawall.Answer{}
	answer := func(n int, a *seawall.Answer, want store.Settled) {
		t.Helper()
		in := s.ended(l, seawall.Delivery{ID: e.ID.Delivery(n), Destination: "orders", Attempts: s.attemptsOf(t, e.ID.Delivery(n))}, seawall.Delivered)
		in.Answer = a
		if n == 1 {
			in.Seq = e.Seq
		}
		s.settle(t, in, want)
	}
	all := []seawall.DeliveryID{e.ID.Delivery(1), e.ID.Delivery(2), e.ID.Delivery(3), e.ID.Delivery(9), s.event("x", "1", "").ID.Delivery(1)}
	check := func() {
		t.Helper()
		got, err := s.Store.Answers(t.Context(), all)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %v\nwant %v", got, want)
		}
	}
	check()
	now := s.Clock.Now()
	want[all[0]] = &seawall.Answer{At: now, Status: 201, Headers: map[string][]string{"Content-Type": {"application/json"}, "X": {"1", "2"}},
		Body: bytes.Repeat([]byte{0, 255, 'x'}, 1<<20)}
	want[all[1]] = &seawall.Answer{At: now, Status: 503, Fallback: true}
	answer(1, want[all[0]], store.Done)
	answer(2, want[all[1]], store.Done)
	_, err := s.Store.Cancel(t.Context(), all[2:3], "no", seawall.Action{What: "cancel"})
	must(t, err)
	// Whoever canceled it was too late: it was being made.
	want[all[2]] = &seawall.Answer{At: now, Status: 200, Body: []byte("late")}
	answer(3, want[all[2]], store.Ended)
	stale := l
	l.Token++
	answer(2, &seawall.Answer{At: now, Status: 200}, store.Fenced)
	l = stale
	check()
	s.Store = s.Crash(t)
	check()
	// Of one that was replayed, the newest.
	l = s.lease(t, "n1", "orders")
	_, err = s.Store.Replay(t.Context(), all[:1], store.ReplayOptions{At: now}, seawall.Action{What: "replay"})
	must(t, err)
	check()
	want[all[0]] = &seawall.Answer{At: now.Add(time.Second), Status: 200, Body: []byte("new")}
	answer(1, want[all[0]], store.Done)
	check()
}

func (s *suite) attemptsOf(t *testing.T, id seawall.DeliveryID) int {
	t.Helper()
	d, err := s.Store.Delivery(t.Context(), id)
	must(t, err)
	return d.Attempts
}

func testAnswerExpires(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	stays := s.accept(t, "2", "orders")
	l := s.lease(t, "n1", "orders")
	for _, id := range []seawall.EventID{e.ID, stays.ID} {
		in := s.ended(l, *s.delivery(t, id.Delivery(1), seawall.Pending), seawall.Delivered)
		in.Answer = &seawall.Answer{At: s.Clock.Now(), Status: 200, Body: []byte(id.String())}
		s.settle(t, in, store.Done)
	}
	_, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{stays.ID.Delivery(1)}, store.ReplayOptions{At: s.Clock.Now()}, seawall.Action{})
	must(t, err)
	s.Clock.Advance(2 * horizon)
	if n := s.expire(t, horizon, horizon); n != 1 {
		t.Fatalf("%d events expired, want 1", n)
	}
	got, err := s.Store.Answers(t.Context(), []seawall.DeliveryID{e.ID.Delivery(1), stays.ID.Delivery(1)})
	must(t, err)
	if len(got) != 1 || got[stays.ID.Delivery(1)] == nil {
		t.Errorf("answers %v", got)
	}
	// Nothing of the other is left: a copy would find it.
	chunk, err := mover(t, s.Store).Export(t.Context(), store.PartEvents, 0, 100)
	must(t, err)
	if len(chunk.Events) != 1 || chunk.Events[0].AnswerBytes() == 0 {
		t.Errorf("exported %+v", chunk.Events)
	}
}

// testCallsQueue: the name of a system's calls is one like any other, and a list
// may ask for all that goes to the system.
func testCallsQueue(t *testing.T, s *suite) {
	name := seawall.CallsTo("crm")
	e := s.event(seawall.SourceCalls, "crm/ci/k1", "{}")
	a := s.acceptance(e, name, "contacts", "orders")
	for i, system := range []string{"crm", "crm", "orders"} {
		a.Deliveries[i].System = system
	}
	a.Deliveries[0].Route = ""
	_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
	must(t, err)
	l := s.acquire(t, "n1", store.Lane{System: "crm"})[0]
	due, _, err := s.Store.Claim(t.Context(), l, store.Claim{Destination: name, Now: s.Clock.Now(), Rescan: true, Limit: 10})
	must(t, err)
	if len(due) != 1 || due[0].Delivery.Destination != name || due[0].Delivery.Route != "" {
		t.Fatalf("claimed %+v", due)
	}
	if d := s.depth(t, name); d.Pending != 1 {
		t.Errorf("depth %+v", d)
	}
	for what, list := range map[string]func() ([]store.PendingQueue, error){
		"pending": func() ([]store.PendingQueue, error) { return s.Store.Pending(t.Context()) },
		"waiting": func() ([]store.PendingQueue, error) { return s.Store.Waiting(t.Context()) },
	} {
		qs, err := list()
		must(t, err)
		if len(qs) != 3 || qs[0].Destination != name || qs[0].System != "crm" {
			t.Errorf("%s: %+v", what, qs)
		}
	}
	for _, c := range []struct {
		f    store.DeliveryFilter
		want int
	}{
		{store.DeliveryFilter{Destination: name}, 1},
		{store.DeliveryFilter{System: "crm"}, 2},
		{store.DeliveryFilter{System: "crm", Destination: "contacts"}, 1},
		{store.DeliveryFilter{System: "crm", Destination: "orders"}, 0},
		{store.DeliveryFilter{System: "none"}, 0},
		{store.DeliveryFilter{Source: seawall.SourceCalls}, 3},
		{store.DeliveryFilter{Source: seawall.SourceOutcomes}, 0},
	} {
		l, err := s.Store.ListDeliveries(t.Context(), c.f, store.Page{})
		must(t, err)
		if len(l.Items) != c.want {
			t.Errorf("%+v: %d deliveries, want %d", c.f, len(l.Items), c.want)
		}
	}
}
