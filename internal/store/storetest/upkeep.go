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

var upkeepTests = []test{
	{"TestG1_PingCommits", func(t *testing.T, s *suite) { must(t, s.Store.Ping(t.Context())) }},
	{"TestG2_ExpireLeavesWhatHasNotEnded", testExpire},
	{"TestG3_ExpireKeepsKeysWithinTheHorizon", testExpireKeys},
	{"TestG9_ActionsAreKept", testActions},
	{"TestG10_RevisionsAreNumbered", testRevisions},
	{"TestG10_ARevisionThatAllBringIsOne", testRevisionMany},
	{"TestG10_GatesOutliveARestart", testGates},
	{"TestTokens", testTokens},
}

// expire runs Expire until there is nothing more.
func (s *suite) expire(t *testing.T, events, dead time.Duration) (deleted int) {
	t.Helper()
	now := s.Clock.Now()
	for range 1000 {
		n, more, err := s.Store.Expire(t.Context(), store.Expiry{Now: now, Events: now.Add(-events), Dead: now.Add(-dead), Limit: 3})
		must(t, err)
		if n > 3 {
			t.Fatalf("%d deleted in a chunk of 3", n)
		}
		if deleted += n; !more {
			return deleted
		}
	}
	t.Fatal("there is always more to delete")
	return 0
}

const day = 24 * time.Hour

func testExpire(t *testing.T, s *suite) {
	dead := s.dead(t, 3, "orders")
	waits := s.accept(t, "waits", "orders")
	var done []seawall.EventID
	for i := range 10 {
		e := s.accept(t, fmt.Sprint(i), "audit")
		l := s.lease(t, "n1", "audit")
		s.settle(t, s.ended(l, *s.delivery(t, e.ID.Delivery(1), seawall.Pending), seawall.Delivered), store.Done)
		done = append(done, e.ID)
	}
	s.again(t, s.event("shop", "0", "other"), seawall.Conflict, done[0])
	if n := s.expire(t, 30*day, 90*day); n != 0 {
		t.Fatalf("%d deleted before their time", n)
	}
	s.Clock.Advance(31 * day)
	late := s.accept(t, "late")
	if n := s.expire(t, 30*day, 90*day); n != len(done) {
		t.Errorf("%d deleted, want %d", n, len(done))
	}
	for _, id := range done {
		if _, err := s.Store.Event(t.Context(), id); !errors.Is(err, seawall.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if l, err := s.Store.ListArrivals(t.Context(), store.ArrivalFilter{}, store.Page{}); err != nil || len(l.Items) != 0 {
		t.Errorf("arrivals: %v, %v", l.Items, err)
	}
	s.delivery(t, waits.ID.Delivery(1), seawall.Pending)
	s.delivery(t, dead[0], seawall.Dead)
	s.attempts(t, dead[0], 1)

	s.Clock.Advance(60 * day)
	if n := s.expire(t, 30*day, 90*day); n != len(dead)+1 { // and the late one
		t.Errorf("%d deleted, want %d", n, len(dead)+1)
	}
	s.delivery(t, waits.ID.Delivery(1), seawall.Pending)
	if d := s.depth(t, "orders"); d.Pending != 1 || d.Dead != 0 {
		t.Errorf("depth %+v", d)
	}
	s.Store = s.Reopen(t)
	if next := s.accept(t, "next"); next.Seq <= late.Seq {
		t.Errorf("sequence number %d was given before", next.Seq)
	}
}

func testExpireKeys(t *testing.T, s *suite) {
	first := s.accept(t, "1")
	s.Clock.Advance(10 * day)
	if n := s.expire(t, 5*day, 5*day); n != 0 {
		t.Errorf("%d deleted that the horizon still holds", n)
	}
	s.again(t, s.event("shop", "1", `{"id":"1"}`), seawall.Duplicate, first.ID)
	s.Clock.Advance(20 * day)
	if n := s.expire(t, 5*day, 5*day); n != 1 {
		t.Errorf("%d deleted, want 1", n)
	}
	fresh := s.event("shop", "1", `{"id":"1"}`)
	s.again(t, fresh, seawall.New, fresh.ID)
}

func testActions(t *testing.T, s *suite) {
	for i := range 7 {
		must(t, s.Store.Record(t.Context(), seawall.Action{At: s.Clock.Now(), By: "ann", What: fmt.Sprint("a", i), On: []string{"x", "y"}[i%2],
			Detail: map[string]string{"why": "because"}}))
	}
	var got []string
	for _, a := range collect(t, func(p store.Page) (store.List[seawall.Action], error) { return s.Store.ListActions(t.Context(), "", p) }) {
		got = append(got, a.What)
		if a.By != "ann" || a.Detail["why"] != "because" || !a.At.Equal(s.Clock.Now()) {
			t.Errorf("got %+v", a)
		}
	}
	if !slices.Equal(got, []string{"a6", "a5", "a4", "a3", "a2", "a1", "a0"}) {
		t.Errorf("got %v", got)
	}
	s.actions(t, "y", "a5", "a3", "a1")
}

func testRevisions(t *testing.T, s *suite) {
	if _, err := s.Store.Latest(t.Context()); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("before the first: %v", err)
	}
	for i, text := range []string{"a", "a", "b", "a"} {
		r, err := s.Store.AddRevision(t.Context(), s.Clock.Now(), "ann", []byte(text))
		must(t, err)
		if want := []int64{1, 1, 2, 3}[i]; r.Number != want || string(r.Text) != text || r.By != "ann" {
			t.Errorf("revision %d: %+v", want, r)
		}
	}
	s.Store = s.Reopen(t)
	r, err := s.Store.Revision(t.Context(), 2)
	must(t, err)
	if string(r.Text) != "b" || !r.At.Equal(s.Clock.Now()) {
		t.Errorf("got %+v", r)
	}
	if r, err := s.Store.Latest(t.Context()); err != nil || r.Number != 3 {
		t.Errorf("latest %+v, %v", r, err)
	}
	if _, err := s.Store.Revision(t.Context(), 9); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("an unknown one: %v", err)
	}
	all := collect(t, func(p store.Page) (store.List[seawall.Revision], error) { return s.Store.ListRevisions(t.Context(), p) })
	if len(all) != 3 || all[0].Number != 3 {
		t.Errorf("listed %+v", all)
	}
}

// testRevisionMany: all nodes start with the same file at once.
func testRevisionMany(t *testing.T, s *suite) {
	stores := []store.Store{s.Store}
	if s.Second != nil {
		stores = append(stores, s.Second(t))
	}
	for round := range 5 {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				r, err := stores[i%len(stores)].AddRevision(context.WithoutCancel(t.Context()), s.Clock.Now(), "ann", []byte(fmt.Sprint("text ", round)))
				if err != nil || r.Number != int64(round+1) {
					t.Errorf("got revision %d, want %d (%v)", r.Number, round+1, err)
				}
			})
		}
		wg.Wait()
	}
}

func testGates(t *testing.T, s *suite) {
	set := func(g seawall.Gate, reason string) {
		must(t, s.Store.SetGate(t.Context(), store.GateState{Destination: "orders", Gate: g, Reason: reason, By: "ann", At: s.Clock.Now()},
			seawall.Action{What: g.String(), On: "orders", By: "ann"}))
	}
	set(seawall.Paused, "maintenance")
	s.Store = s.Reopen(t)
	gates, err := s.Store.Gates(t.Context())
	must(t, err)
	want := store.GateState{Destination: "orders", Gate: seawall.Paused, Reason: "maintenance", By: "ann", At: s.Clock.Now()}
	if len(gates) != 1 || gates[0] != want {
		t.Errorf("got %+v, want %+v", gates, want)
	}
	set(seawall.Open, "")
	if gates, err := s.Store.Gates(t.Context()); err != nil || len(gates) != 1 || gates[0].Gate != seawall.Open {
		t.Errorf("got %+v, %v", gates, err)
	}
	s.actions(t, "orders", "open", "paused")
}

func testTokens(t *testing.T, s *suite) {
	tok := seawall.Token{Name: "ci", Hash: [32]byte{1, 2}, Scopes: []string{"read", "events:shop"}, Created: s.Clock.Now(), Expires: s.Clock.Now().Add(day)}
	must(t, s.Store.AddToken(t.Context(), tok, seawall.Action{What: "token.create", On: "ci"}))
	if err := s.Store.AddToken(t.Context(), tok, seawall.Action{What: "token.create", On: "ci"}); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("the same name twice: %v", err)
	}
	ts, err := s.Store.ListTokens(t.Context())
	must(t, err)
	if len(ts) != 1 || ts[0].Hash != tok.Hash || !slices.Equal(ts[0].Scopes, tok.Scopes) || !ts[0].Expires.Equal(tok.Expires) {
		t.Errorf("got %+v", ts)
	}
	must(t, s.Store.DeleteToken(t.Context(), "ci", seawall.Action{What: "token.delete", On: "ci"}))
	if err := s.Store.DeleteToken(t.Context(), "ci", seawall.Action{}); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("an unknown name: %v", err)
	}
	s.actions(t, "ci", "token.delete", "token.create")
}
