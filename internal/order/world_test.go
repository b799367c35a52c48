package order

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// world is one line with its deliveries, kept as a store keeps them, and the
// destination that it leads to.
type world struct {
	t        *testing.T
	now      time.Time
	pos      Position
	rows     map[int64]*row
	sent     []int64 // what the destination took, in its order
	knew     map[int64]int64
	random   *rand.Rand
	sequence int64
}

// row is a delivery.
type row struct {
	Member
	round int
	fresh bool
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, now: time.Unix(1_800_000_000, 0).UTC(), rows: map[int64]*row{}, knew: map[int64]int64{}, random: rand.New(rand.NewPCG(seed, 7))}
}

// member makes a newcomer of one source's clock; version 0 is none.
func (w *world) member(o seawall.Ordering, clock string, version int, settle time.Duration) *Member {
	w.sequence++
	var rank []byte
	text := ""
	if version != 0 {
		text = fmt.Sprint(version)
		rank, _ = Rank([]string{text})
	}
	event := seawall.NewEventID(w.now, rand.NewChaCha8([32]byte{byte(w.sequence), byte(w.sequence >> 8)}))
	return &Member{
		Mark:  Mark{Key: w.sequence << 15, Delivery: event.Delivery(1), Rank: On(clock, rank), Version: text},
		Order: o, Due: w.now.Add(settle),
	}
}

func (w *world) line() *Line {
	l := &Line{Position: w.pos, Now: w.now}
	l.Clocks = slices.Clone(l.Clocks)
	if r := w.rows[w.pos.Head.Key]; r != nil {
		l.Standing = Standing{Order: r.Order, State: r.State, Round: r.round, Fresh: r.fresh, Due: r.Due}
	}
	for _, r := range w.rows {
		if r.waits() && r.Order == seawall.Latest {
			l.Rivals = append(l.Rivals, r.Member)
		}
	}
	slices.SortFunc(l.Rivals, func(a, b Member) int { return bytes.Compare(b.Rank, a.Rank) })
	return l
}

func (r *row) waits() bool {
	return r.State == seawall.Held && (r.Reason == seawall.ReasonEarlier || r.Reason == seawall.ReasonSettle)
}

// firsts are the first of each clock that wait.
func (w *world) firsts() (out []Member) {
	by := map[string]*row{}
	for _, r := range w.rows {
		name, _ := ClockOf(r.Rank)
		if r.waits() && (by[name] == nil || r.before(by[name].Mark)) {
			by[name] = r
		}
	}
	for _, r := range by {
		out = append(out, r.Member)
	}
	return out
}

func (w *world) apply(l *Line, changes []Change) {
	for _, c := range changes {
		r := w.rows[c.Key]
		r.State, r.Reason, r.Due, r.Late = c.State, c.Reason, c.Due, r.Late || c.Late
	}
	w.pos = l.Position
}

// goOn gives the turn to whose it is.
func (w *world) goOn(l *Line) {
	for more := true; more && l.Clear(); {
		var changes []Change
		changes, more = l.Next(w.firsts())
		w.apply(l, changes)
	}
	w.pos = l.Position
}

func (w *world) accept(m *Member) *row {
	l := w.line()
	changes := l.Join(m)
	r := &row{Member: *m, fresh: true}
	w.rows[m.Key] = r
	w.apply(l, changes)
	w.check()
	return r
}

// settle ends the head's attempt.
func (w *world) settle(state seawall.State, due time.Time, pass time.Time) {
	r := w.rows[w.pos.Head.Key]
	l := w.line()
	r.round++
	if state == seawall.Pending {
		r.State, r.Due = state, due
		l.Standing.State, l.Standing.Round, l.Standing.Due = state, r.round, due
		for more := l.Yields(r.Key); more; {
			var changes []Change
			changes, more = l.Yield(r.Member, w.firsts())
			w.apply(l, changes)
		}
		w.goOn(l)
		w.check()
		return
	}
	before := r.Member
	r.State, r.Reason = state, ""
	if state == seawall.Delivered {
		w.sent = append(w.sent, r.Key)
		w.knew[r.Key] = w.sequence
	}
	l.Leave(before, state, nil, pass)
	w.goOn(l)
	w.check()
}

// ripen is what a store does when timers fall due.
func (w *world) ripen() {
	l := w.line()
	l.Pass()
	for _, r := range w.rows {
		if r.waits() && !r.Due.After(w.now) {
			r.Reason, r.Due = seawall.ReasonEarlier, Never
		}
	}
	w.goOn(l)
	w.check()
}

// head is what an owner may try now; nil if nothing.
func (w *world) head() *row {
	if r := w.rows[w.pos.Head.Key]; r != nil && r.State == seawall.Pending && !r.Due.After(w.now) {
		return r
	}
	return nil
}

// check checks what always holds.
func (w *world) check() {
	w.t.Helper()
	var turn, waiting int
	var timer bool
	for _, r := range w.rows {
		switch {
		case r.State == seawall.Pending:
			turn++
			if r.Key != w.pos.Head.Key {
				w.t.Fatalf("%s is pending, and not the head", r.Mark)
			}
		case r.waits():
			waiting++
			timer = timer || r.Due.Before(Never)
		}
	}
	if turn > 1 {
		w.t.Fatalf("%d have their turn", turn)
	}
	if waiting != w.pos.Waiting {
		w.t.Fatalf("%d wait, the position says %d", waiting, w.pos.Waiting)
	}
	if waiting > 0 && w.pos.Head.IsZero() && w.pos.Block.IsZero() && !timer {
		w.t.Fatal("some wait, and nothing will give one its turn")
	}
}

// versions are what the destination took.
func (w *world) versions() (out []string) {
	for _, key := range w.sent {
		out = append(out, w.rows[key].Version)
	}
	return out
}

// drain delivers all that there is, with failures in between.
func (w *world) drain() {
	w.t.Helper()
	for range 10_000 {
		w.ripen()
		switch r := w.head(); {
		case r == nil && w.pos.Head.IsZero() && w.pos.Waiting == 0:
			return
		case r != nil && w.random.IntN(4) == 0:
			w.settle(seawall.Pending, w.now.Add(time.Minute), time.Time{})
		case r != nil:
			w.settle(seawall.Delivered, time.Time{}, time.Time{})
		default:
			w.now = w.now.Add(time.Second)
		}
	}
	w.t.Fatal("it does not come to an end")
}

// permutations calls f with each order of 1 to n.
func permutations(n int, f func([]int)) {
	p := make([]int, n)
	for i := range p {
		p[i] = i + 1
	}
	var rec func(int)
	rec = func(i int) {
		if i == n {
			f(p)
			return
		}
		for j := i; j < n; j++ {
			p[i], p[j] = p[j], p[i]
			rec(i + 1)
			p[i], p[j] = p[j], p[i]
		}
	}
	rec(0)
}

func byKey(a, b *row) int { return cmp.Compare(a.Key, b.Key) }
