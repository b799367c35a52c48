package order

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// somewhere does what may happen between two arrivals.
func (w *world) somewhere() {
	for range w.random.IntN(4) {
		switch w.random.IntN(5) {
		case 0:
			w.now = w.now.Add(time.Duration(w.random.IntN(10)) * time.Second)
		case 1:
			w.ripen()
		case 2:
			if w.head() != nil {
				w.settle(seawall.Pending, w.now.Add(time.Minute), time.Time{})
			}
		default:
			if w.head() != nil {
				w.settle(seawall.Delivered, time.Time{}, time.Time{})
			}
		}
	}
}

func TestG5_LatestEndsInTheNewestWhateverTheArrival(t *testing.T) {
	permutations(6, func(p []int) {
		for seed := range uint64(5) {
			w := newWorld(t, seed)
			for _, v := range p {
				w.somewhere()
				w.accept(w.member(seawall.Latest, "stripe", v, 0))
			}
			w.drain()
			got := w.versions()
			if !slices.IsSorted(got) || got[len(got)-1] != "6" {
				t.Fatalf("arrival %v, seed %d: delivered %v", p, seed, got)
			}
		}
	})
}

func TestG5_ASequenceWithinItsSettleWindowIsInTrueOrder(t *testing.T) {
	permutations(6, func(p []int) {
		for seed := range uint64(5) {
			w := newWorld(t, seed)
			for _, v := range p {
				w.now = w.now.Add(time.Duration(w.random.IntN(300)) * time.Millisecond) // all within 2 s of the first
				w.ripen()
				if w.head() != nil {
					t.Fatalf("arrival %v, seed %d: delivered before its window is over", p, seed)
				}
				w.accept(w.member(seawall.Sequence, "stripe", v, 2*time.Second))
			}
			w.drain()
			if got := strings.Join(w.versions(), ""); got != "123456" {
				t.Fatalf("arrival %v, seed %d: delivered %v", p, seed, got)
			}
		}
	})
}

// What was known when one was delivered is never older than it, and delivered
// later, unless a person or a late arrival says so.
func TestG5_ASequenceInvertsNothingThatItKnewOf(t *testing.T) {
	permutations(6, func(p []int) {
		for seed := range uint64(5) {
			w := newWorld(t, seed)
			for _, v := range p {
				w.somewhere()
				w.accept(w.member(seawall.Sequence, "stripe", v, 0))
			}
			w.drain()
			if len(w.sent) != 6 {
				t.Fatalf("arrival %v, seed %d: delivered %v", p, seed, w.versions())
			}
			w.inversions(p, seed)
		}
	})
}

// inversions looks for one that was delivered after a newer one, though it had come
// before that had its turn. One that came while the newer one was under way is late.
func (w *world) inversions(p []int, seed uint64) {
	w.t.Helper()
	for i, key := range w.sent {
		for _, before := range w.sent[:i] {
			older := w.rows[key]
			if older.older(w.rows[before].Mark) && !older.Late {
				w.t.Fatalf("arrival %v, seed %d: %v, and %s is not late", p, seed, w.versions(), older.Version)
			}
		}
	}
}

func TestG5_ARetryLetsTheOlderOneGoFirst(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(w.member(seawall.Sequence, "stripe", 2, 0))
	w.settle(seawall.Pending, w.now.Add(time.Minute), time.Time{})
	one := w.accept(w.member(seawall.Sequence, "stripe", 1, 0))
	if w.head() != one {
		t.Fatal("the older one has not the turn while the newer one waits for its retry")
	}
	w.drain()
	if got := strings.Join(w.versions(), ""); got != "12" {
		t.Fatalf("delivered %s", got)
	}
}

func TestG5_AHeadThatWasTriedInVainYields(t *testing.T) {
	for o, want := range map[seawall.Ordering]string{seawall.Sequence: "12", seawall.Latest: "3"} {
		w := newWorld(t, 1)
		two := w.accept(w.member(o, "stripe", 2, 0))
		v := 1
		if o == seawall.Latest {
			v = 3
		}
		other := w.accept(w.member(o, "stripe", v, 0)) // while it is under way
		if other.State != seawall.Held {
			t.Fatalf("%s: the newcomer is %s", o, other.State)
		}
		w.settle(seawall.Pending, w.now.Add(time.Hour), time.Time{})
		if w.head() != other {
			t.Fatalf("%s: the turn is not the other one's: that is %s, the first %s", o, other.State, two.State)
		}
		w.drain()
		if got := strings.Join(w.versions(), ""); got != want {
			t.Errorf("%s: delivered %s, want %s", o, got, want)
		}
	}
}

func TestG5_AHeadThatMayBeUnderWayKeepsItsPlace(t *testing.T) {
	for _, o := range []seawall.Ordering{seawall.Sequence, seawall.Latest} {
		w := newWorld(t, 1)
		head := w.accept(w.member(o, "stripe", 2, 0))
		w.now = w.now.Add(staleAfter)
		v := 1
		if o == seawall.Latest {
			v = 3
		}
		if r := w.accept(w.member(o, "stripe", v, 0)); r.State != seawall.Held || head.State != seawall.Pending {
			t.Errorf("%s: the newcomer is %s, the head %s", o, r.State, head.State)
		}
		if d := (&seawall.Delivery{Order: o, Due: head.Due}); Contested(d, time.Time{}, w.now) || !Contested(d, time.Time{}, w.now.Add(1)) {
			t.Errorf("%s: contested from another time on", o)
		}
		w.now = head.Due.Add(firmFor) // a paused destination
		if r := w.accept(w.member(o, "stripe", v, 0)); r.State == seawall.Held && o == seawall.Latest {
			t.Errorf("%s: the newcomer does not take the place of what has waited long", o)
		}
	}
}

func TestG5_LatestSaysWhatBeatIt(t *testing.T) {
	w := newWorld(t, 1)
	newer := w.accept(w.member(seawall.Latest, "shop", 7, 0))
	older := w.accept(w.member(seawall.Latest, "shop", 3, 0))
	if older.State != seawall.Superseded || !strings.Contains(older.Reason, "version 7") || !strings.Contains(older.Reason, newer.Delivery.Event().String()) {
		t.Errorf("it is %s: %q", older.State, older.Reason)
	}
}

func TestG5_VersionsOfTwoSourcesDoNotCompare(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(w.member(seawall.Latest, "stripe", 900, 0))
	if r := w.accept(w.member(seawall.Latest, "shop", 3, 0)); r.State != seawall.Held {
		t.Errorf("the other source's is %s: %s", r.State, r.Reason)
	}
	w.drain()
	if got := strings.Join(w.versions(), " "); got != "900 3" {
		t.Errorf("delivered %s", got)
	}
}

func TestG5_WhatHasNoVersionIsAsNewAsTheNewest(t *testing.T) {
	for o, want := range map[seawall.Ordering]string{seawall.Sequence: "5  6", seawall.Latest: "5 6"} {
		w := newWorld(t, 1)
		w.accept(w.member(o, "stripe", 5, 0))
		w.accept(w.member(o, "stripe", 0, 0))
		w.accept(w.member(o, "stripe", 6, 0))
		for w.head() != nil {
			w.settle(seawall.Delivered, time.Time{}, time.Time{})
		}
		if got := strings.Join(w.versions(), " "); got != want {
			t.Errorf("%s: delivered %q, want %q", o, got, want)
		}
	}
}

func TestG5_TiesAreTold(t *testing.T) {
	w := newWorld(t, 1)
	first := w.accept(w.member(seawall.Latest, "stripe", 5, 0))
	second := w.accept(w.member(seawall.Latest, "stripe", 5, 0))
	if first.Tied || !second.Tied || second.State == seawall.Superseded {
		t.Errorf("first tied %v; second tied %v, %s", first.Tied, second.Tied, second.State)
	}
}

func TestG5_ADeadHeadHoldsItsSequence(t *testing.T) {
	w := newWorld(t, 1)
	two := w.accept(w.member(seawall.Sequence, "stripe", 2, 0))
	three := w.accept(w.member(seawall.Sequence, "stripe", 3, 0))
	w.settle(seawall.Dead, time.Time{}, time.Time{})
	if w.head() != nil || three.State != seawall.Held {
		t.Fatalf("it goes on: %s", three.State)
	}
	one := w.accept(w.member(seawall.Sequence, "stripe", 1, 0))
	if w.ripen(); w.head() != one {
		t.Fatal("one that comes before the dead one is held up by it")
	}
	w.settle(seawall.Delivered, time.Time{}, time.Time{})
	if w.head() != nil {
		t.Fatal("the dead one is forgotten after one that came before it")
	}

	l := w.line() // a person replays it
	ok, _, changes := l.Rejoin(&two.Member, false)
	w.apply(l, changes)
	if w.goOn(l); !ok || w.head() != two {
		t.Fatal("the replayed one has not the turn")
	}
	w.drain()
	if got := strings.Join(w.versions(), ""); got != "123" {
		t.Fatalf("delivered %s", got)
	}
}

func TestG5_ADeadHeadIsPassedInTime(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(w.member(seawall.Sequence, "stripe", 2, 0))
	w.accept(w.member(seawall.Sequence, "stripe", 3, 0))
	w.settle(seawall.Dead, time.Time{}, w.now.Add(time.Hour))
	w.now = w.now.Add(time.Hour - 1)
	w.ripen()
	if w.head() != nil {
		t.Fatal("passed too early")
	}
	w.now = w.now.Add(1)
	w.ripen()
	if w.head() == nil {
		t.Fatal("not passed")
	}
}

func TestG5_LatestIsNotHeldUpByADeadOne(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(w.member(seawall.Latest, "stripe", 2, 0))
	w.accept(w.member(seawall.Latest, "stripe", 3, 0))
	w.settle(seawall.Dead, time.Time{}, time.Time{})
	w.drain()
	if got := strings.Join(w.versions(), ""); got != "3" {
		t.Fatalf("delivered %s", got)
	}
}

// A route that was a sequence and is not any more forgets what held it up.
func TestG5_WhatWasDeadInASequenceHoldsNoNewestUp(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(w.member(seawall.Sequence, "stripe", 2, 0))
	w.settle(seawall.Dead, time.Time{}, time.Time{})
	if three := w.accept(w.member(seawall.Latest, "stripe", 3, 0)); w.head() != three {
		t.Fatalf("the newest is %s: %s", three.State, three.Reason)
	}
}

func TestG5_LateOnesGoAsTheRouteSays(t *testing.T) {
	for policy, want := range map[seawall.LatePolicy]seawall.State{
		seawall.LateDeliver: seawall.Pending, seawall.LateSupersede: seawall.Superseded, seawall.LateHold: seawall.Held,
	} {
		// One is late when it comes, one only when its turn does.
		for _, underWay := range []bool{false, true} {
			w := newWorld(t, 1)
			w.accept(w.member(seawall.Sequence, "stripe", 2, 0))
			if !underWay {
				w.settle(seawall.Delivered, time.Time{}, time.Time{})
			}
			m := w.member(seawall.Sequence, "stripe", 1, 0)
			m.OnLate = policy
			r := w.accept(m)
			if underWay {
				w.settle(seawall.Delivered, time.Time{}, time.Time{})
			}
			if r.State != want || r.Late != (policy == seawall.LateDeliver) || want == seawall.Held && r.Reason != seawall.ReasonLate {
				t.Errorf("%s, under way %v: %s (%s), late %v", policy, underWay, r.State, r.Reason, r.Late)
			}
		}
	}
}

func TestG5_AStreamOfUpdatesIsDeliveredAllTheSame(t *testing.T) {
	w := newWorld(t, 1)
	for v := 1; v <= 10; v++ {
		w.accept(w.member(seawall.Latest, "stripe", v, 2*time.Second))
		w.now = w.now.Add(500 * time.Millisecond)
		w.ripen()
		if w.head() != nil {
			if v < 4 {
				t.Fatalf("delivered after %d, within the window", v)
			}
			return
		}
	}
	t.Fatal("each update starts the window anew")
}

func TestG5_PrerequisitesHoldBack(t *testing.T) {
	w := newWorld(t, 1)
	m := w.member(seawall.Sequence, "stripe", 1, time.Hour)
	m.After = []string{"customer.*"}
	r := w.accept(m)
	if r.State != seawall.Held || r.Reason != seawall.ReasonPrerequisite {
		t.Fatalf("%s: %s", r.State, r.Reason)
	}
	l := w.line()
	if ok, _ := l.Release(&r.Member, false); ok {
		t.Fatal("released without what it waits for")
	}
	l.Done = []string{"customer.*"}
	if ok, _ := l.Release(&r.Member, false); !ok || r.State != seawall.Pending {
		t.Fatalf("not released: %s", r.State)
	}
}

func TestG5_AReplayOfWhatIsPointlessSaysSo(t *testing.T) {
	w := newWorld(t, 1)
	newer := w.accept(w.member(seawall.Latest, "stripe", 2, 0))
	older := w.accept(w.member(seawall.Latest, "stripe", 1, 0))
	w.settle(seawall.Delivered, time.Time{}, time.Time{})
	l := w.line()
	if ok, by, _ := l.Rejoin(&older.Member, false); ok || by.Key != newer.Key {
		t.Errorf("replayed: %v, by %s", ok, by)
	}
	if ok, _, _ := l.Rejoin(&older.Member, true); !ok || !older.Late || older.State != seawall.Pending {
		t.Errorf("forced: %v, %s, late %v", ok, older.State, older.Late)
	}
}

// Whatever happens in whatever order: nobody is forgotten, and one at a time has
// its turn.
func TestG5_NothingIsForgotten(t *testing.T) {
	for seed := range uint64(2000) {
		w := newWorld(t, seed)
		for range 40 {
			switch w.random.IntN(8) {
			case 0, 1, 2:
				o := []seawall.Ordering{seawall.Sequence, seawall.Latest}[seed%2]
				m := w.member(o, []string{"stripe", "shop"}[w.random.IntN(2)], w.random.IntN(8), time.Duration(w.random.IntN(3))*time.Second)
				m.OnLate = seawall.LatePolicy(w.random.IntN(3))
				w.accept(m)
			case 3:
				if w.head() != nil {
					w.settle(seawall.Dead, time.Time{}, w.now.Add(time.Duration(w.random.IntN(20))*time.Second))
				}
			case 4:
				w.cancel()
			case 5:
				w.replay()
			default:
				w.somewhere()
			}
		}
		w.drainAll()
		for _, r := range w.rows {
			if !r.State.Final() && r.Reason != seawall.ReasonLate {
				t.Fatalf("seed %d: %s is %s: %s", seed, r.Mark, r.State, r.Reason)
			}
		}
	}
}

// pick is any of the deliveries.
func (w *world) pick(f func(*row) bool) *row {
	var all []*row
	for _, r := range w.rows {
		if f(r) {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, byKey)
	return all[w.random.IntN(len(all))]
}

func (w *world) cancel() {
	r := w.pick(func(r *row) bool { return !r.State.Final() || r.Key == w.pos.Block.Key })
	if r == nil {
		return
	}
	l := w.line()
	before := r.Member
	r.State = seawall.Canceled
	l.Leave(before, r.State, nil, time.Time{})
	w.goOn(l)
	w.check()
}

func (w *world) replay() {
	r := w.pick(func(r *row) bool { return r.State.Final() || r.Reason == seawall.ReasonLate })
	if r == nil {
		return
	}
	l := w.line()
	_, _, changes := l.Rejoin(&r.Member, w.random.IntN(2) == 0)
	w.apply(l, changes)
	w.goOn(l)
	w.check()
}

// drainAll drains, and passes what blocks.
func (w *world) drainAll() {
	for !w.pos.Block.IsZero() || w.pos.Waiting > 0 || !w.pos.Head.IsZero() {
		if !w.pos.Block.IsZero() && w.head() == nil {
			l := w.line()
			l.pass()
			w.goOn(l)
		}
		w.ripen()
		if w.head() != nil {
			w.settle(seawall.Delivered, time.Time{}, time.Time{})
		} else {
			w.now = w.now.Add(time.Second)
		}
	}
}
