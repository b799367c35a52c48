package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Several nodes work with one store. Where a process has it to itself, these
// have nothing to show.
var secondTests = []test{
	{"TestG3_NodesAcceptOneEvent", together(testNodesAcceptOne)},
	{"TestG5_SequenceFollowsAcknowledgementsOverNodes", together(testNodesSequence)},
	{"TestG4_AnotherNodeTakesOver", together(testNodesTakeOver)},
	{"TestG4_TakeoverAndSettlementExcludeEachOther", together(testTakeoverRace)},
	{"TestG2_ALateCommitIsClaimed", together(testLateCommit)},
	{"TestG6_WhatWasBegunIsInDoubtForAnotherNode", together(testNodesUnknown)},
}

// together gives a test a second node beside the suite's store.
func together(run func(*testing.T, *suite, store.Store)) func(*testing.T, *suite) {
	return func(t *testing.T, s *suite) {
		if s.Second == nil {
			t.Skip("one process has the store to itself")
		}
		run(t, s, s.Second(t))
	}
}

// testNodesAcceptOne has both nodes accept the same events at the same time, in
// opposite order: each is new once, and both are told of the same one.
func testNodesAcceptOne(t *testing.T, s *suite, second store.Store) {
	const events, senders = 40, 4
	var mu sync.Mutex
	fresh, stands := map[string]int{}, map[string]map[seawall.EventID]bool{}
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			st := []store.Store{s.Store, second}[sender%2]
			for i := range events {
				if sender/2 == 1 {
					i = events - 1 - i
				}
				id := fmt.Sprint(i)
				out, err := st.Accept(t.Context(), []store.Acceptance{s.acceptance(s.event("shop", id, id), "orders")})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if out[0].Verdict == seawall.New {
					fresh[id]++
				}
				if stands[id] == nil {
					stands[id] = map[seawall.EventID]bool{}
				}
				stands[id][out[0].Event] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range events {
		if id := fmt.Sprint(i); fresh[id] != 1 || len(stands[id]) != 1 {
			t.Errorf("event %s was new %d times and stands as %d", id, fresh[id], len(stands[id]))
		}
	}
	if n := s.depth(t, "orders").Pending; n != events {
		t.Errorf("%d deliveries of %d events", n, events)
	}
}

// testNodesSequence accepts by turns.
func testNodesSequence(t *testing.T, s *suite, second store.Store) {
	var last int64
	for i := range 20 {
		e := s.event("shop", fmt.Sprint(i), "x")
		_, err := []store.Store{s.Store, second}[i%2].Accept(t.Context(), []store.Acceptance{s.acceptance(e, "orders")})
		must(t, err)
		if e.Seq <= last {
			t.Fatalf("event %d has sequence number %d, the one acknowledged before it %d", i, e.Seq, last)
		}
		last = e.Seq
	}
}

// testNodesTakeOver is a node that comes back after another has its lane.
func testNodesTakeOver(t *testing.T, s *suite, second store.Store) {
	e := s.accept(t, "1", "orders", "orders")
	old := s.acquire(t, "n1", orders)[0]
	claimed := s.claim(t, old, 10)
	take := func() []store.Lease {
		t.Helper()
		ls, err := second.Acquire(t.Context(), "n2", []store.Lane{orders}, ttl)
		must(t, err)
		return ls
	}
	if ls := take(); len(ls) != 0 {
		t.Fatalf("taken while it was held: %+v", ls)
	}
	s.Clock.Advance(ttl)
	ls := take()
	if len(ls) != 1 || ls[0].Token <= old.Token {
		t.Fatalf("got %+v after %+v", ls, old)
	}
	if begun, err := s.Store.Begin(t.Context(), old, []seawall.DeliveryID{e.ID.Delivery(1)}); err != nil || len(begun) != 0 {
		t.Errorf("the old owner began %v, %v", begun, err)
	}
	if renewed, err := s.Store.Renew(t.Context(), []store.Lease{old}, ttl); err != nil || len(renewed) != 0 {
		t.Errorf("the old owner renewed %v, %v", renewed, err)
	}
	must(t, s.Store.Release(t.Context(), []store.Lease{old}))
	for _, c := range claimed {
		in := s.ended(old, c.Delivery, seawall.Delivered)
		in.Seq = c.Event.Seq
		s.settle(t, in, store.Fenced)
	}
	due, _, err := second.Claim(t.Context(), ls[0], store.Claim{Destination: "orders", Now: s.Clock.Now(), Rescan: true, Limit: 10})
	must(t, err)
	if len(due) != len(claimed) || len(due) != 2 {
		t.Fatalf("the new owner claimed %d, the old one %d", len(due), len(claimed))
	}
	for _, c := range due {
		out, err := second.Settle(t.Context(), []store.Settlement{s.ended(ls[0], c.Delivery, seawall.Delivered)})
		must(t, err)
		if out[0] != store.Done {
			t.Errorf("the new owner's settlement: %d", out[0])
		}
	}
}

// testTakeoverRace lets an owner settle while another node takes its lane: one of
// them comes first, and the other sees that.
func testTakeoverRace(t *testing.T, s *suite, second store.Store) {
	old := s.acquire(t, "n1", orders)[0]
	for i := range 25 {
		e := s.accept(t, fmt.Sprint(i), "orders")
		claimed := s.claim(t, old, 1)[0]
		in := s.ended(old, claimed.Delivery, seawall.Delivered)
		in.Seq = claimed.Event.Seq
		s.Clock.Advance(ttl)
		var wg sync.WaitGroup
		var settled []store.Settled
		var fresh []store.Lease
		var settleErr, takeErr error
		wg.Go(func() {
			settled, settleErr = s.Store.Settle(t.Context(), []store.Settlement{in})
		})
		wg.Go(func() { fresh, takeErr = second.Acquire(t.Context(), "n2", []store.Lane{orders}, ttl) })
		wg.Wait()
		must(t, settleErr)
		must(t, takeErr)
		want := 0 // left for the new owner
		if settled[0] == store.Fenced {
			want = 1
		}
		if len(fresh) == 0 { // it found the lane locked: nobody waits for a settlement
			fresh, takeErr = second.Acquire(t.Context(), "n2", []store.Lane{orders}, ttl)
			must(t, takeErr)
		}
		due, _, err := second.Claim(t.Context(), fresh[0], store.Claim{Destination: "orders", Now: s.Clock.Now(), Rescan: true, Limit: 10})
		must(t, err)
		if len(due) != want {
			t.Fatalf("the old owner was told %d, and %d are left for the new one", settled[0], len(due))
		}
		for _, c := range due {
			out, err := second.Settle(t.Context(), []store.Settlement{s.ended(fresh[0], c.Delivery, seawall.Delivered)})
			must(t, err)
			if out[0] != store.Done {
				t.Errorf("the new owner's settlement: %d", out[0])
			}
		}
		if as, err := s.Store.Attempts(t.Context(), e.ID.Delivery(1)); err != nil || len(as) != 1 {
			t.Errorf("%d attempts, want 1; %v", len(as), err)
		}
		must(t, second.Release(t.Context(), fresh))
		old = s.acquire(t, "n1", orders)[0]
	}
}

// testLateCommit claims while both nodes accept: what is committed after
// something that comes behind it is not passed over, without any rescan.
func testLateCommit(t *testing.T, s *suite, second store.Store) {
	const senders, events = 8, 40
	l := s.acquire(t, "n1", orders)[0]
	seen := map[seawall.DeliveryID]bool{}
	claim := func() {
		t.Helper()
		due, _, err := s.Store.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: s.Clock.Now(), Limit: 1000,
			Busy: func(id seawall.DeliveryID) bool { return seen[id] }, BusyCount: len(seen)})
		must(t, err)
		for _, c := range due {
			seen[c.Delivery.ID] = true
		}
	}
	accepted := make(chan struct{})
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := range events {
				a := s.acceptance(s.event("shop", fmt.Sprintf("%d-%d", sender, i), "x"), "orders")
				if _, err := []store.Store{s.Store, second}[sender%2].Accept(t.Context(), []store.Acceptance{a}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); close(accepted) }()
	for more := true; more; claim() {
		select {
		case <-accepted:
			more = false
		default:
		}
	}
	if len(seen) != senders*events {
		t.Errorf("claimed %d of %d", len(seen), senders*events)
	}
}

// testNodesUnknown is an intent whose node is gone.
func testNodesUnknown(t *testing.T, s *suite, second store.Store) {
	e := s.accept(t, "1", "orders", "orders")
	old := s.acquire(t, "n1", orders)[0]
	begun, err := s.Store.Begin(t.Context(), old, []seawall.DeliveryID{e.ID.Delivery(1)})
	must(t, err)
	if len(begun) != 1 {
		t.Fatalf("begun %v", begun)
	}
	s.Clock.Advance(ttl)
	ls, err := second.Acquire(t.Context(), "n2", []store.Lane{orders}, ttl)
	must(t, err)
	due, _, err := second.Claim(t.Context(), ls[0], store.Claim{Destination: "orders", Now: s.Clock.Now(), Rescan: true, Limit: 10})
	must(t, err)
	if len(due) != 2 || due[0].Delivery.Step != seawall.Doubt || due[1].Delivery.Step != seawall.Send {
		t.Errorf("the new owner claimed %+v: of what was begun it must know", due)
	}
	in := s.ended(old, *s.delivery(t, e.ID.Delivery(1), seawall.Pending), seawall.Delivered)
	s.settle(t, in, store.Fenced)
}
