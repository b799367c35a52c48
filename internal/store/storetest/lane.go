package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var laneTests = []test{
	{"TestG4_OneOwnerAtATime", testOneOwner},
	{"TestG4_TakeoverWhenTheLeaseRanOut", testTakeover},
	{"TestG4_RenewKeepsTheLane", testRenew},
	{"TestG4_ReleaseFreesAtOnce", testRelease},
	{"TestG4_StaleTokenSettlesNothing", testStaleToken},
	{"TestG4_ARestartFencesTheOldOwner", testRestartFences},
	{"TestG4_NodesLiveAsLongAsTheyBeat", testNodes},
	{"TestG4_SettleBySequence", testSettleBySeq},
	{"TestG4_NodesHearEachOther", testSignals},
	{"TestG6_AnIntentLeftBehindIsInDoubt", testDoubt},
	{"TestG7_WhoeverFollowsADeadOwnerIsTold", testUnclean},
	{"TestG6_BeginNeedsTheLease", testBegin},
	{"TestG6_ReplayOfAnUnknownRepeatsIt", testReplayUnknown},
}

const ttl = 15 * time.Second

func (s *suite) acquire(t *testing.T, node string, lanes ...store.Lane) []store.Lease {
	t.Helper()
	ls, err := s.Store.Acquire(t.Context(), node, lanes, ttl)
	must(t, err)
	return ls
}

var orders = store.Lane{System: "orders"}

func testOneOwner(t *testing.T, s *suite) {
	first := s.acquire(t, "n1", orders, store.Lane{System: "orders", Shard: 1})
	if len(first) != 2 || first[0].Node != "n1" || first[0].Token == 0 {
		t.Fatalf("got %+v", first)
	}
	if until := first[0].Until; !until.After(s.Clock.Now()) || !until.Before(s.Clock.Now().Add(ttl)) {
		t.Errorf("the owner may go on until %v: no margin to %v", until, s.Clock.Now().Add(ttl))
	}
	if got := s.acquire(t, "n2", orders); len(got) != 0 {
		t.Errorf("a second owner: %+v", got)
	}
	if again := s.acquire(t, "n1", orders); len(again) != 1 || again[0].Token != first[0].Token {
		t.Errorf("the owner itself: %+v", again)
	}
}

func testTakeover(t *testing.T, s *suite) {
	first := s.acquire(t, "n1", orders)
	s.Clock.Advance(ttl - time.Millisecond)
	if got := s.acquire(t, "n2", orders); len(got) != 0 {
		t.Fatalf("taken over before its time: %+v", got)
	}
	s.Clock.Advance(time.Millisecond)
	second := s.acquire(t, "n2", orders)
	if len(second) != 1 || second[0].Token <= first[0].Token {
		t.Fatalf("got %+v after %+v", second, first)
	}
	if got, err := s.Store.Renew(t.Context(), first, ttl); err != nil || len(got) != 0 {
		t.Errorf("the old owner renewed: %+v, %v", got, err)
	}
	must(t, s.Store.Release(t.Context(), first)) // must not free the new owner's
	if got := s.acquire(t, "n3", orders); len(got) != 0 {
		t.Errorf("a stale release freed the lane: %+v", got)
	}
}

func testRenew(t *testing.T, s *suite) {
	leases := s.acquire(t, "n1", orders)
	for range 5 {
		now := s.Clock.Advance(ttl / 3)
		renewed, err := s.Store.Renew(t.Context(), leases, ttl)
		must(t, err)
		if len(renewed) != 1 || renewed[0].Token != leases[0].Token || !renewed[0].Until.After(now) {
			t.Fatalf("renewed: %+v", renewed)
		}
		leases = renewed
	}
	if got := s.acquire(t, "n2", orders); len(got) != 0 {
		t.Errorf("a renewed lane was taken: %+v", got)
	}
}

func testRelease(t *testing.T, s *suite) {
	first := s.acquire(t, "n1", orders)
	must(t, s.Store.Release(t.Context(), first))
	second := s.acquire(t, "n2", orders)
	if len(second) != 1 || second[0].Token <= first[0].Token {
		t.Fatalf("got %+v after %+v", second, first)
	}
}

func testStaleToken(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	old := s.acquire(t, "n1", orders)[0]
	d := s.claim(t, old, 1)[0].Delivery
	s.Clock.Advance(ttl)
	fresh := s.acquire(t, "n2", orders)[0]

	in := s.ended(old, d, seawall.Delivered)
	in.Outcomes = []store.Acceptance{s.acceptance(s.event("seawall", "out", "x"))}
	s.settle(t, in, store.Fenced)
	s.delivery(t, d.ID, seawall.Pending)
	as, err := s.Store.Attempts(t.Context(), d.ID)
	must(t, err)
	if len(as) != 0 {
		t.Errorf("the stale owner's attempt was kept: %+v", as)
	}
	if _, err := s.Store.Event(t.Context(), in.Outcomes[0].Event.ID); err == nil {
		t.Error("the stale owner's outcome was kept")
	}
	in.Outcomes, in.Seq = nil, e.Seq // as owners settle: nothing is looked up first
	s.settle(t, in, store.Fenced)
	s.delivery(t, d.ID, seawall.Pending)
	audit := s.acquire(t, "n2", store.Lane{System: "audit"})[0] // stands, but for others
	s.settle(t, s.ended(audit, d, seawall.Delivered), store.Fenced)

	s.settle(t, s.ended(fresh, d, seawall.Delivered), store.Done)
	s.settle(t, s.ended(old, d, seawall.Dead), store.Fenced)
	s.delivery(t, e.ID.Delivery(1), seawall.Delivered)
}

func testRestartFences(t *testing.T, s *suite) {
	s.accept(t, "1", "orders")
	old := s.acquire(t, "n1", orders)[0]
	d := s.claim(t, old, 1)[0].Delivery
	s.Store = s.Reopen(t)
	s.Clock.Advance(ttl)
	fresh := s.acquire(t, "n2", orders)
	if len(fresh) != 1 || fresh[0].Token <= old.Token {
		t.Fatalf("after a restart: %+v after %+v", fresh, old)
	}
	s.settle(t, s.ended(old, d, seawall.Delivered), store.Fenced)
	s.settle(t, s.ended(fresh[0], d, seawall.Delivered), store.Done)
}

func testUnclean(t *testing.T, s *suite) {
	take := func(node string, unclean bool) store.Lease {
		t.Helper()
		l := s.acquire(t, node, orders)
		if len(l) != 1 || l[0].Unclean != unclean {
			t.Fatalf("%s acquired %+v, want one, unclean: %t", node, l, unclean)
		}
		return l[0]
	}
	l := take("n1", false)
	must(t, s.Store.Release(t.Context(), []store.Lease{l}))
	take("n2", false)
	take("n2", false) // its own
	s.Clock.Advance(ttl)
	l = take("n3", true)
	must(t, s.Store.Release(t.Context(), []store.Lease{l}))
	take("n4", false)
	s.Store = s.Crash(t)
	s.Clock.Advance(ttl)
	take("n5", true)
}

func testDoubt(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	other := s.accept(t, "2", "orders")
	old := s.acquire(t, "n1", orders)[0]
	id := e.ID.Delivery(1)
	begun, err := s.Store.Begin(t.Context(), old, []seawall.DeliveryID{id})
	must(t, err)
	if len(begun) != 1 || begun[0] != id {
		t.Fatalf("begun: %v", begun)
	}
	s.delivery(t, id, seawall.Sending)
	if again, err := s.Store.Begin(t.Context(), old, begun); err != nil || len(again) != 0 {
		t.Errorf("begun twice: %v, %v", again, err)
	}
	if again := s.acquire(t, "n1", orders); len(again) != 1 {
		t.Fatal("the owner lost its lane")
	}
	s.delivery(t, id, seawall.Sending) // it is still its own
	s.Clock.Advance(ttl)
	l := s.acquire(t, "n2", orders)[0]
	if d := s.delivery(t, id, seawall.Pending); d.Reason != seawall.ReasonUnknown || d.Step != seawall.Doubt {
		t.Errorf("left behind as %+v, want it in doubt", d)
	}
	if d := s.delivery(t, other.ID.Delivery(1), seawall.Pending); d.Step != seawall.Send {
		t.Errorf("what was not begun is %+v", d)
	}
	if d := s.depth(t, "orders"); d.Pending != 2 || d.Held != 0 {
		t.Errorf("depth %+v, want 2 pending", d)
	}
	due := s.claim(t, l, 10)
	if len(due) != 2 || due[0].Delivery.ID != id || due[0].Delivery.Step != seawall.Doubt {
		t.Fatalf("claimed %+v, want what is in doubt first", due)
	}
	// It stays so, whoever has it next, until somebody settles it.
	if begun, err := s.Store.Begin(t.Context(), l, []seawall.DeliveryID{id}); err != nil || len(begun) != 1 {
		t.Fatalf("begun: %v, %v", begun, err)
	}
	s.Clock.Advance(ttl)
	l = s.acquire(t, "n3", orders)[0]
	if d := s.delivery(t, id, seawall.Pending); d.Step != seawall.Doubt {
		t.Errorf("left behind again as %+v", d)
	}
	in := s.ended(l, due[0].Delivery, seawall.Held)
	in.Reason, in.Attempt.Step = seawall.ReasonUnknown, seawall.Doubt
	s.settle(t, in, store.Done)
	if d := s.delivery(t, id, seawall.Held); d.Step != seawall.Send {
		t.Errorf("held with the step %s", d.Step)
	}
}

// What is held because nobody knows may be repeated by a person's order; what is
// held for another reason may not.
func testReplayUnknown(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders")
	l := s.lease(t, "n1", "orders")
	id := e.ID.Delivery(1)
	held := func(reason string) {
		t.Helper()
		in := s.ended(l, *s.delivery(t, id, seawall.Pending), seawall.Held)
		in.Reason = reason
		s.settle(t, in, store.Done)
	}
	replay := func(o store.ReplayOptions) int {
		t.Helper()
		ds, err := s.Store.Replay(t.Context(), []seawall.DeliveryID{id}, o, seawall.Action{What: "replay"})
		must(t, err)
		return len(ds)
	}
	held(seawall.ReasonUnknown)
	at := s.Clock.Advance(time.Minute)
	if n := replay(store.ReplayOptions{At: at, NewID: true}); n != 0 {
		t.Errorf("%d made anew of a delivery that is held", n)
	}
	s.delivery(t, id, seawall.Held)
	if n := replay(store.ReplayOptions{At: at, Pin: true}); n != 1 {
		t.Fatalf("%d replayed, want the one", n)
	}
	d := s.delivery(t, id, seawall.Pending)
	if d.Round != 0 || d.Attempts != 1 || d.Reason != "" || !d.Pinned || !d.Due.Equal(at) || !d.Since.Equal(at) {
		t.Errorf("put back as %+v", d)
	}
	if n := replay(store.ReplayOptions{At: at}); n != 0 {
		t.Error("replayed while it waits")
	}
	if d := s.depth(t, "orders"); d.Pending != 1 || d.Held != 0 {
		t.Errorf("depth %+v, want 1 pending", d)
	}
	if got := s.claim(t, l, 1); len(got) != 1 || got[0].Delivery.ID != id {
		t.Errorf("claimed %+v", got)
	}
	held(seawall.ReasonUnresolved)
	if n := replay(store.ReplayOptions{At: at}); n != 0 {
		t.Error("replayed though it is held for another reason")
	}
	s.delivery(t, id, seawall.Held)
}

func testBegin(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "audit")
	l := s.acquire(t, "n1", orders)[0]
	audit := s.acquire(t, "n1", store.Lane{System: "audit"})[0]
	stale := l
	stale.Token--
	for _, bad := range []store.Lease{stale, audit, {}} {
		if got, err := s.Store.Begin(t.Context(), bad, []seawall.DeliveryID{e.ID.Delivery(1)}); err != nil || len(got) != 0 {
			t.Errorf("begun under %+v: %v, %v", bad, got, err)
		}
	}
	if got, err := s.Store.Begin(t.Context(), l, []seawall.DeliveryID{e.ID.Delivery(1), e.ID.Delivery(2), e.ID.Delivery(9)}); err != nil || len(got) != 1 {
		t.Fatalf("begun: %v, %v", got, err)
	}
	d := s.delivery(t, e.ID.Delivery(1), seawall.Sending)
	s.settle(t, s.ended(l, *d, seawall.Delivered), store.Done)
	s.delivery(t, d.ID, seawall.Delivered)
}

func testNodes(t *testing.T, s *suite) {
	revision := int64(0)
	beat := func(node string, want ...string) {
		t.Helper()
		revision++
		nodes, err := s.Store.Beat(t.Context(), store.Node{Name: node, Revision: revision}, ttl)
		must(t, err)
		var got []string
		for _, n := range nodes {
			if got = append(got, n.Name); n.Name == node && n.Revision != revision {
				t.Errorf("%s runs revision %d, want %d", node, n.Revision, revision)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("nodes after %s: %v, want %v", node, got, want)
		}
	}
	beat("n2", "n2")
	s.Clock.Advance(ttl / 2)
	beat("n1", "n1", "n2")
	s.Clock.Advance(ttl / 2)
	beat("n1", "n1")
	beat("n3", "n1", "n3")
	must(t, s.Store.Leave(t.Context(), "n1"))
	beat("n3", "n3")
}

// The sequence number of the event only saves a look-up.
func testSettleBySeq(t *testing.T, s *suite) {
	e := s.accept(t, "1", "orders", "audit")
	l := s.lease(t, "n1", "orders")
	d := s.claim(t, l, 1)[0]
	if d.Event.Seq == 0 || d.Event.Seq != e.Seq {
		t.Fatalf("claimed with sequence %d, accepted with %d", d.Event.Seq, e.Seq)
	}
	in := s.ended(l, d.Delivery, seawall.Delivered)
	in.Seq = d.Event.Seq
	s.settle(t, in, store.Done)
	s.delivery(t, e.ID.Delivery(1), seawall.Delivered)
	s.delivery(t, e.ID.Delivery(2), seawall.Pending)
}

// Nodes hear what others tell, not what they tell themselves.
func testSignals(t *testing.T, s *suite) {
	if s.Second == nil {
		t.Skip("one process has the store to itself")
	}
	second := s.Second(t)
	heard := listen(t, second)
	own := listen(t, s.Store)
	want := store.Signal{Lane: store.Lane{System: "orders", Shard: 2}, Destination: "orders"}
	for range 100 {
		s.Store.Tell(want)
	}
	if got := next(t, heard); got != want {
		t.Errorf("heard %+v, want %+v", got, want)
	}
	second.Tell(store.Signal{Destination: "back"})
	if got := next(t, own); got.Destination != "back" {
		t.Errorf("heard %+v, want what the other told", got)
	}
}

// listen listens until the test ends; it returns once nothing more is missed.
func listen(t *testing.T, st store.Store) <-chan store.Signal {
	heard := make(chan store.Signal, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- st.Listen(ctx, func(s store.Signal) { heard <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	if first := next(t, heard); first != (store.Signal{}) {
		t.Errorf("heard %+v, want first that something may have been missed", first)
	}
	return heard
}

func next(t *testing.T, heard <-chan store.Signal) store.Signal {
	t.Helper()
	select {
	case s := <-heard:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard")
		return store.Signal{}
	}
}
