package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var systemTests = []test{
	{"TestG7_ASystemsStateIsChangedByWhoKnowsIt", testSystem},
	{"TestG7_OneOpensABreaker", testSystemRace},
	{"TestG7_ARateIsNeverExceeded", testRate},
	{"TestG7_ARateIsNeverExceededAtOnce", testRateAtOnce},
	{"TestG7_ARateIsRememberedAndMayChange", testRateChanges},
	{"TestG7_SharesNeverExceedTheLimit", testShares},
	{"TestG7_SharesBecomeEven", testSharesEven},
	{"TestG7_SharesTakeTurns", testSharesTurns},
	{"TestG7_WhatIsUnderWayKeepsItsShare", testSharesUsed},
}

func testSystem(t *testing.T, s *suite) {
	now := s.Clock.Now()
	set := func(y store.SystemState, want bool, outcomes ...store.Acceptance) store.SystemState {
		t.Helper()
		stands, done, err := s.Store.SetSystem(t.Context(), y, outcomes)
		must(t, err)
		if done != want {
			t.Fatalf("set %+v: %v, want %v", y, done, want)
		}
		return stands
	}
	outcome := func(id string) store.Acceptance {
		return s.acceptance(s.event(seawall.SourceOutcomes, id, "{}"), "ops")
	}
	if stands := set(store.SystemState{System: "crm", Version: 1}, false); stands != (store.SystemState{System: "crm"}) {
		t.Errorf("one never written stands as %+v", stands)
	}
	opened := store.SystemState{System: "crm", Breaker: seawall.BreakerOpen, Since: now, Until: now.Add(time.Minute), Opens: 1, Why: "HTTP 500",
		Hold: now.Add(time.Hour)}
	a := outcome("opened")
	stands := set(opened, true, a)
	want := opened
	want.Version = 1
	if stands != want {
		t.Errorf("stands as %+v, want %+v", stands, want)
	}
	if _, err := s.Store.Event(t.Context(), a.Event.ID); err != nil {
		t.Errorf("the event of it: %v", err)
	}
	b := outcome("opened again")
	if stands := set(opened, false, b); stands != want {
		t.Errorf("stands as %+v, want %+v", stands, want)
	}
	if _, err := s.Store.Event(t.Context(), b.Event.ID); err == nil {
		t.Error("an event of what did not happen")
	}
	half := store.SystemState{System: "crm", Breaker: seawall.BreakerHalfOpen, Since: now, Node: "n1", Version: 1}
	for i := range 3 { // each with an event, over the same connections
		half.Version = int64(i + 1)
		half = set(half, true, outcome(fmt.Sprint("half ", i)))
	}
	set(store.SystemState{System: "app"}, true)
	s.Store = s.Crash(t)
	all, err := s.Store.SystemStates(t.Context())
	must(t, err)
	if len(all) != 2 || all[0] != (store.SystemState{System: "app", Version: 1}) || all[1] != half || half.Version != 4 {
		t.Errorf("all %+v", all)
	}
}

// nodes are the stores of two nodes, or one twice.
func (s *suite) nodes(t *testing.T) []store.Store {
	if s.Second == nil {
		return []store.Store{s.Store, s.Store}
	}
	return []store.Store{s.Store, s.Second(t)}
}

func testSystemRace(t *testing.T, s *suite) {
	nodes := s.nodes(t)
	for round := range 10 {
		var mu sync.Mutex
		var wg sync.WaitGroup
		done := 0
		for i := range 6 {
			wg.Go(func() {
				y := store.SystemState{System: "crm", Breaker: seawall.BreakerHalfOpen, Node: fmt.Sprint("n", i), Version: int64(round)}
				a := s.acceptance(s.event(seawall.SourceOutcomes, fmt.Sprint(round, "-", i), "{}"), "ops")
				_, ok, err := nodes[i%2].SetSystem(t.Context(), y, []store.Acceptance{a})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					done++
				}
			})
		}
		wg.Wait()
		if done != 1 {
			t.Fatalf("%d nodes have the one probe", done)
		}
		if n := s.depth(t, "ops").Pending; n != int64(round+1) {
			t.Fatalf("%d events of %d changes", n, round+1)
		}
	}
}

// grants are permits that were given, and when.
type grants struct {
	mu sync.Mutex
	at []time.Time
}

func (g *grants) add(at time.Time, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.at = append(g.at, at)
	}
}

// check looks at every stretch from one permit to another.
func (g *grants) check(t *testing.T, r store.Rate) {
	t.Helper()
	for i := range g.at {
		for j := i + r.Burst; j < len(g.at); j++ {
			elapsed, granted := g.at[j].Sub(g.at[i]), int64(j-i+1)
			if int64(elapsed) < (granted-int64(r.Burst))*int64(r.Every) {
				t.Fatalf("%d permits in %s, with a burst of %d and one each %s", granted, elapsed, r.Burst, r.Every)
			}
		}
	}
}

func testRate(t *testing.T, s *suite) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	nodes := s.nodes(t)
	for round := range 4 {
		system := fmt.Sprint("s", round)
		r := store.Rate{Every: time.Duration(1+random.IntN(700_000)) * time.Microsecond, Burst: 1 + random.IntN(7)}
		g, began, last := &grants{}, s.Clock.Now(), time.Time{}
		for range 80 {
			want := 1 + random.IntN(5)
			n, wait, err := nodes[random.IntN(2)].Take(t.Context(), system, r, want)
			must(t, err)
			if n > want || n < 0 || (n == 0) != (wait > 0) || wait > time.Duration(r.Burst+1)*r.Every {
				t.Fatalf("took %d of %d, wait %s at %+v", n, want, wait, r)
			}
			if now := s.Clock.Now(); n > 0 {
				g.add(now, n)
				last = now
			}
			switch {
			case n == 0 && random.IntN(2) == 0:
				// Not a moment too late: what was to be there is.
				s.Clock.Advance(wait)
				if n, _, err := nodes[random.IntN(2)].Take(t.Context(), system, r, 1); err != nil || n != 1 {
					t.Fatalf("waited %s as told and took %d: %v", wait, n, err)
				}
				last = s.Clock.Now()
				g.add(last, 1)
			default:
				s.Clock.Advance(time.Duration(random.Int64N(int64(2 * r.Every))).Truncate(time.Microsecond))
			}
		}
		g.check(t, r)
		// And it is used: whoever asks all the time gets nearly all.
		if least := int(last.Sub(began)/r.Every) / 2; len(g.at) < least {
			t.Errorf("%d permits where there were %d", len(g.at), 2*least)
		}
	}
}

func testRateAtOnce(t *testing.T, s *suite) {
	nodes := s.nodes(t)
	r := store.Rate{Every: time.Second, Burst: 10}
	g := &grants{}
	for range 5 {
		now := s.Clock.Now()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				n, _, err := nodes[i%2].Take(t.Context(), "crm", r, 3)
				if err != nil {
					t.Error(err)
				}
				g.add(now, n)
			})
		}
		wg.Wait()
		s.Clock.Advance(3 * time.Second)
	}
	g.check(t, r)
	if want := 10 + 4*3; len(g.at) != want {
		t.Errorf("%d permits, want all %d that there were", len(g.at), want)
	}
}

func testRateChanges(t *testing.T, s *suite) {
	take := func(r store.Rate, want, n int) {
		t.Helper()
		if got, _, err := s.Store.Take(t.Context(), "crm", r, want); err != nil || got != n {
			t.Errorf("took %d of %d at %+v, want %d: %v", got, want, r, n, err)
		}
	}
	slow, fast := store.Rate{Every: time.Hour, Burst: 4}, store.Rate{Every: time.Second, Burst: 4}
	take(store.Rate{}, 7, 7) // no bound
	take(slow, 9, 4)
	s.Store = s.Crash(t)
	take(slow, 1, 0)
	take(fast, 1, 0) // nobody gains by a change
	s.Clock.Advance(time.Second)
	take(fast, 9, 1)
	take(store.Rate{Every: time.Second, Burst: 2}, 9, 0)
	s.Clock.Advance(3 * time.Second)
	take(store.Rate{Every: time.Second, Burst: 2}, 9, 1)
	// A clock that goes back: nothing is given for it, and nobody waits for it to
	// come forward again.
	s.Clock.Advance(-time.Hour)
	take(fast, 9, 3-1+0)
	take(fast, 9, 0)
	s.Clock.Advance(time.Second)
	take(fast, 9, 1)
	s.Clock.Advance(1000 * time.Hour)
	take(fast, 9, 4)
	take(slow, 0, 0)
}

// sharing is a node that asks for its share.
type sharing struct {
	suite *suite
	sum   map[string]int
	until map[string]time.Time
	limit int
}

func (h *sharing) ask(t *testing.T, of store.Store, node string, want, used int) int {
	t.Helper()
	out, err := of.Share(t.Context(), node, []store.Share{{System: "crm", Limit: h.limit, Want: want, Used: used}}, ttl)
	must(t, err)
	if len(out) != 1 || out[0] < 0 || out[0] > want {
		t.Fatalf("%s wants %d and got %v", node, want, out)
	}
	now := h.suite.Clock.Now()
	h.sum[node], h.until[node] = max(out[0], used), now.Add(ttl)
	all := 0
	for n, part := range h.sum {
		if h.until[n].After(now) {
			all += part
		}
	}
	if all > h.limit {
		t.Fatalf("all have %d of %d: %v", all, h.limit, h.sum)
	}
	return out[0]
}

func (s *suite) sharing(limit int) *sharing {
	return &sharing{s, map[string]int{}, map[string]time.Time{}, limit}
}

func testShares(t *testing.T, s *suite) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	nodes := s.nodes(t)
	h := s.sharing(1 + random.IntN(9))
	had := map[string]int{}
	for range 150 {
		i := random.IntN(5)
		node := fmt.Sprint("n", i)
		if !h.until[node].After(s.Clock.Now()) {
			had[node] = 0 // it stopped in time
		}
		used := random.IntN(had[node] + 1)
		had[node] = max(h.ask(t, nodes[i%2], node, random.IntN(8), used), used)
		s.Clock.Advance(time.Duration(random.IntN(4)) * time.Second)
	}
}

func testSharesEven(t *testing.T, s *suite) {
	nodes := s.nodes(t)
	h := s.sharing(8)
	want := func(node string, of int, n int, want int) {
		t.Helper()
		if got := h.ask(t, nodes[of], node, n, 0); got != want {
			t.Errorf("%s wants %d and got %d, want %d", node, n, got, want)
		}
	}
	want("a", 0, 5, 5)
	want("a", 0, 9, 8)
	want("b", 1, 9, 0)
	want("a", 0, 9, 4)
	want("b", 1, 9, 4)
	want("c", 1, 1, 0)
	for range 3 { // one has what it wants, the others split the rest, each unit whole
		h.ask(t, nodes[0], "a", 9, 0)
		h.ask(t, nodes[1], "b", 9, 0)
		h.ask(t, nodes[1], "c", 1, 0)
	}
	if h.sum["c"] != 1 || h.sum["a"]+h.sum["b"] != 7 || h.sum["a"] < 3 || h.sum["b"] < 3 {
		t.Errorf("shares %v", h.sum)
	}
	want("b", 1, 0, 0)
	want("c", 1, 0, 0)
	want("a", 0, 9, 8)
	want("b", 1, 9, 0)
	s.Clock.Advance(ttl)
	want("b", 1, 9, 8) // the other did not ask again
	out, err := s.Store.Share(t.Context(), "b", nil, ttl)
	if err != nil || len(out) != 0 {
		t.Errorf("nothing wanted: %v, %v", out, err)
	}
}

func testSharesTurns(t *testing.T, s *suite) {
	nodes := s.nodes(t)
	for _, limit := range []int{1, 2} {
		h := s.sharing(limit)
		turns := map[string]int{}
		const rounds = 40
		for range rounds {
			for i := range 3 {
				node := fmt.Sprint("n", i)
				if h.ask(t, nodes[i%2], node, 1+i, 0) > 0 {
					turns[node]++
				}
				s.Clock.Advance(time.Second)
			}
		}
		for i := range 3 {
			if n := turns[fmt.Sprint("n", i)]; n < rounds*limit/3/2 {
				t.Errorf("limit %d: turns %v of %d rounds", limit, turns, rounds)
			}
		}
		s.Clock.Advance(ttl)
	}
}

// testSharesUsed: a share that shrinks while its requests are under way is free
// for others only when they have ended.
func testSharesUsed(t *testing.T, s *suite) {
	nodes := s.nodes(t)
	h := s.sharing(4)
	h.ask(t, nodes[0], "a", 9, 0)
	for _, c := range []struct{ used, a, b int }{{4, 2, 0}, {3, 2, 1}, {1, 2, 2}} {
		h.ask(t, nodes[1], "b", 9, 0)
		if got := h.ask(t, nodes[0], "a", 9, c.used); got != c.a {
			t.Errorf("with %d under way it may have %d, want %d", c.used, got, c.a)
		}
		if got := h.ask(t, nodes[1], "b", 9, 0); got != c.b {
			t.Errorf("with %d under way elsewhere, got %d, want %d", c.used, got, c.b)
		}
	}
}
