package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var lineModelTests = []test{
	{"TestG5_RandomLinesFollowTheModel", func(t *testing.T, s *suite) { testLineModel(t, s, 1) }},
	{"TestG5_RandomLinesFollowTheModelAgain", func(t *testing.T, s *suite) { testLineModel(t, s, uint64(time.Now().UnixNano())) }},
}

// lineModel is what the lines of some entities at one destination should hold. It
// asks package order what a store has to ask it, and keeps rows in plain sight.
type lineModel struct {
	*line
	rand  *rand.Rand
	lines map[string]*order.Position
	rows  []*lineRow // in the order in which they came, which is that of their keys
}

// lineRow is a delivery of the model.
type lineRow struct {
	order.Member
	id     seawall.DeliveryID
	entity string
	onWait seawall.WaitPolicy
	counts bool
	step   seawall.Step
	tries  int
	round  int
	fresh  bool
}

// testLineModel does random things to the lines of a store and a model alike.
func testLineModel(t *testing.T, s *suite, seed uint64) {
	t.Logf("seed %d", seed)
	m := &lineModel{line: &line{suite: s, t: t, lease: s.lease(t, "n0", "orders")},
		rand: rand.New(rand.NewPCG(seed, 5)), lines: map[string]*order.Position{}}
	steps := []func(){m.acceptSome, m.acceptSome, m.acceptSome, m.settleHead, m.settleHead, m.settleHead, m.settleHead, m.begin, m.cancelOne, m.skipOne,
		m.replayOne, m.ripenAll, m.ripenAll, m.wait, m.wait}
	for i := range 400 {
		steps[m.rand.IntN(len(steps))]()
		if i%83 == 82 || i%131 == 130 {
			again := []func(*testing.T) store.Store{s.Reopen, s.Crash}[i%2]
			s.Store = again(t)
			m.takeOver(fmt.Sprint("n", i+1))
		}
		if m.check(); t.Failed() {
			t.Fatalf("after step %d", i)
		}
	}
	m.sound()
	m.drain()
}

// takeOver gives the lane to another node, which finds in doubt what was begun.
func (m *lineModel) takeOver(node string) {
	m.Clock.Advance(2 * time.Minute)
	m.lease = m.suite.lease(m.t, node, "orders")
	for _, r := range m.rows {
		if r.State == seawall.Sending {
			r.State, r.step, r.Reason = seawall.Pending, seawall.Doubt, seawall.ReasonUnknown
			if now := m.Clock.Now(); r.Due.After(now) {
				r.Due = now
			}
		}
	}
}

func (m *lineModel) wait() { m.Clock.Advance(time.Duration(m.rand.IntN(4000)) * time.Millisecond) }

// of is an entity's line as a store reads it.
func (m *lineModel) of(entity string) *order.Line {
	if m.lines[entity] == nil {
		m.lines[entity] = &order.Position{}
	}
	l := &order.Line{Position: *m.lines[entity], Now: m.Clock.Now()}
	l.Clocks, l.Done = slices.Clone(l.Clocks), slices.Clone(l.Done)
	m.read(l, entity)
	return l
}

// read fills in what a line is to know of its deliveries.
func (m *lineModel) read(l *order.Line, entity string) {
	l.Rivals = nil
	for _, r := range m.rows {
		if r.entity == entity && r.waits() && r.Order == seawall.Latest {
			l.Rivals = append(l.Rivals, r.Member)
		}
		if r.Key == l.Head.Key {
			l.Standing = order.Standing{Order: r.Order, State: r.State, Step: r.step, Round: r.round, Fresh: r.fresh, Due: r.Due}
		}
	}
}

func (r *lineRow) waits() bool {
	return r.State == seawall.Held && (r.Reason == seawall.ReasonEarlier || r.Reason == seawall.ReasonSettle)
}

// row is the one with a key.
func (m *lineModel) row(key int64) *lineRow {
	for _, r := range m.rows {
		if r.Key == key {
			return r
		}
	}
	return nil
}

// change does what a line says.
func (m *lineModel) change(entity string, l *order.Line, changes []order.Change) {
	for _, c := range changes {
		r := m.row(c.Key)
		r.State, r.Reason, r.Due, r.Late = c.State, c.Reason, c.Due, r.Late || c.Late
	}
	m.lines[entity] = &l.Position
}

// firsts are those that wait in a line, of each clock the first.
func (m *lineModel) firsts(entity string) (ms []order.Member) {
	first := map[string]*lineRow{}
	for _, r := range m.rows {
		name, _ := order.ClockOf(r.Rank)
		if f := first[name]; r.entity == entity && r.waits() && (f == nil || bytes.Compare(r.Rank, f.Rank) < 0) {
			first[name] = r
		}
	}
	for _, r := range first {
		ms = append(ms, r.Member)
	}
	return ms
}

// yield has a head that was tried in vain, or could not be for long, give up its turn.
// It tells whether it did.
func (m *lineModel) yield(r *lineRow, before order.Member) bool {
	l := m.of(r.entity)
	if r.Order == seawall.Unordered || !l.Yields(r.Key) {
		return false
	}
	changes, _ := l.Yield(before, m.firsts(r.entity))
	m.change(r.entity, l, changes)
	if len(changes) > 0 {
		m.goOn(r.entity, l)
	}
	return len(changes) > 0
}

// goOn gives the turn to whose it is.
func (m *lineModel) goOn(entity string, l *order.Line) {
	for more := true; more && l.Clear(); {
		var changes []order.Change
		changes, more = l.Next(m.firsts(entity))
		m.change(entity, l, changes)
	}
	m.lines[entity] = &l.Position
}

// leave ends one that stood as before says.
func (m *lineModel) leave(r *lineRow, before order.Member, state seawall.State, done []string, pass time.Time) {
	if r.Order == seawall.Unordered && (state != seawall.Delivered || len(done) == 0) {
		return
	}
	l := m.of(r.entity)
	l.Leave(before, state, done, pass)
	if state == seawall.Delivered && len(done) > 0 {
		for _, w := range m.rows {
			if w.entity == r.entity && w.State == seawall.Held && w.Reason == seawall.ReasonPrerequisite && l.Fulfils(w.After) {
				m.release(l, w, false)
			}
		}
	}
	m.goOn(r.entity, l)
}

func (m *lineModel) release(l *order.Line, r *lineRow, force bool) {
	m.read(l, r.entity)
	_, changes := l.Release(&r.Member, force)
	m.change(r.entity, l, changes)
}

func (m *lineModel) acceptSome() {
	var batch []store.Acceptance
	for range 1 + m.rand.IntN(3) {
		w := member{entity: fmt.Sprint("order/", m.rand.IntN(3)), version: fmt.Sprint(1 + m.rand.IntN(12)), source: []string{"shop", "shop", "stripe"}[m.rand.IntN(3)],
			order: seawall.Ordering(1 + m.rand.IntN(2)), late: seawall.LatePolicy(m.rand.IntN(3)), counts: true, onWait: seawall.WaitPolicy(m.rand.IntN(3))}
		if w.entity == "order/0" {
			w.order = seawall.Sequence // lines of one kind, too
		}
		if w.entity == "order/1" {
			w.order = seawall.Latest
		}
		switch m.rand.IntN(8) {
		case 0:
			w.version = ""
		case 1:
			w.settle = time.Duration(m.rand.IntN(5000)) * time.Millisecond
		case 2:
			w.after, w.wait = []string{[]string{"a", "b"}[m.rand.IntN(2)]}, time.Duration(1+m.rand.IntN(20))*time.Second
		case 3:
			w.order, w.none = seawall.Unordered, true
		}
		batch = append(batch, m.plan(w))
	}
	planned := make([]seawall.Delivery, len(batch))
	for i := range batch {
		planned[i] = batch[i].Deliveries[0]
	}
	out, err := m.Store.Accept(m.t.Context(), batch)
	must(m.t, err)
	for i, d := range planned {
		if out[i].Verdict != seawall.New {
			m.t.Fatalf("it is %s", out[i].Verdict)
		}
		r := &lineRow{id: d.ID, entity: d.Entity, onWait: d.OnWait, counts: d.Counts, fresh: true, Member: order.Member{
			Mark:  order.Mark{Key: batch[i].Event.Seq<<15 | int64(d.ID.N()), Delivery: d.ID, Rank: d.Rank, Version: batch[i].Event.Version},
			Order: d.Order, OnLate: d.OnLate, After: d.After, Due: d.Due}}
		if r.Order != seawall.Unordered || len(r.After) > 0 {
			l := m.of(r.entity)
			changes := l.Join(&r.Member)
			m.change(r.entity, l, changes)
		}
		m.rows = append(m.rows, r)
	}
}

// any is one of those for which f holds; nil if there is none.
func (m *lineModel) any(f func(*lineRow) bool) *lineRow {
	var of []*lineRow
	for _, r := range m.rows {
		if f(r) {
			of = append(of, r)
		}
	}
	if len(of) == 0 {
		return nil
	}
	return of[m.rand.IntN(len(of))]
}

// settleHead settles one that may be under way: as a rule one that is pending, but
// also one that lost its turn or ended meanwhile.
func (m *lineModel) settleHead() {
	r := m.any(func(r *lineRow) bool {
		return r.State == seawall.Pending || r.State == seawall.Sending || r.tries > 0 && m.rand.IntN(20) == 0 && (r.waits() || r.State == seawall.Superseded)
	})
	if r == nil {
		return
	}
	before := r.Member
	state := []seawall.State{seawall.Pending, seawall.Pending, seawall.Held, seawall.Delivered, seawall.Delivered, seawall.Delivered, seawall.Delivered, seawall.Dead}[m.rand.IntN(8)]
	if r.State == seawall.Superseded {
		state = seawall.Delivered
	}
	in := m.ended(m.lease, seawall.Delivery{ID: r.id, Destination: "orders", Attempts: r.tries}, state)
	switch state {
	case seawall.Pending:
		in.Due = m.Clock.Now().Add(time.Duration(m.rand.IntN(10_000)) * time.Millisecond)
		in.Step = []seawall.Step{seawall.Send, seawall.Send, seawall.Check}[m.rand.IntN(3)]
	case seawall.Held:
		in.Reason = seawall.ReasonUnknown
	case seawall.Delivered:
		if m.rand.IntN(4) == 0 {
			in.Done = []string{[]string{"a", "b"}[m.rand.IntN(2)]}
		}
	case seawall.Dead:
		if m.rand.IntN(2) == 0 {
			in.Pass = m.Clock.Now().Add(time.Duration(m.rand.IntN(10_000)) * time.Millisecond)
		}
	}
	want := store.Done
	if r.State.Final() {
		want = store.Ended
	}
	m.settleAs(in, want)
	r.tries++
	r.round++
	switch {
	case r.State.Final():
		m.leave(r, before, state, in.Done, in.Pass)
	case state.Final():
		r.State, r.Reason = state, in.Reason
		m.leave(r, before, state, in.Done, in.Pass)
	case r.waits() && state == seawall.Pending:
		r.Reason, r.Due, r.step = seawall.ReasonEarlier, in.Due, in.Step
	case r.waits():
		r.State, r.Reason, r.Due, r.step = state, in.Reason, order.Never, seawall.Send
		l := m.of(r.entity)
		l.Waiting--
		m.goOn(r.entity, l)
	default:
		r.State, r.Reason, r.Due, r.step = state, in.Reason, in.Due, in.Step
		if state == seawall.Held {
			r.Due = order.Never
		}
		m.yield(r, before)
	}
}

func (m *lineModel) begin() {
	r := m.any(func(r *lineRow) bool { return r.State == seawall.Pending || r.waits() })
	if r == nil {
		return
	}
	got, err := m.Store.Begin(m.t.Context(), m.lease, []seawall.DeliveryID{r.id})
	must(m.t, err)
	was := r.State
	may := was == seawall.Pending && !m.yield(r, r.Member)
	if (len(got) == 1) != may {
		m.t.Fatalf("begin %s, which is %s: %v", r.id, was, got)
	}
	if len(got) == 1 {
		r.State = seawall.Sending
	}
}

func (m *lineModel) cancelOne() {
	r := m.any(func(r *lineRow) bool { return true })
	if r == nil {
		return
	}
	got, err := m.Store.Cancel(m.t.Context(), []seawall.DeliveryID{r.id}, "no", seawall.Action{})
	must(m.t, err)
	if (len(got) == 1) == r.State.Final() {
		m.t.Fatalf("cancel %s, which is %s: %v", r.id, r.State, got)
	}
	if len(got) == 1 {
		before := r.Member
		r.State, r.Reason = seawall.Canceled, "no"
		m.leave(r, before, seawall.Canceled, nil, time.Time{})
	}
}

func (m *lineModel) skipOne() {
	r := m.any(func(r *lineRow) bool { return r.State == seawall.Dead })
	if r == nil {
		return
	}
	got, err := m.Store.Skip(m.t.Context(), []seawall.DeliveryID{r.id}, seawall.Action{})
	must(m.t, err)
	if len(got) != 1 {
		m.t.Fatalf("skip %s: %v", r.id, got)
	}
	before := r.Member
	r.State, r.Reason = seawall.Canceled, seawall.ReasonSkipped
	m.leave(r, before, seawall.Canceled, nil, time.Time{})
}

func (m *lineModel) replayOne() {
	r := m.any(func(*lineRow) bool { return true })
	if r == nil {
		return
	}
	force := m.rand.IntN(3) == 0
	m.Clock.Advance(time.Millisecond) // a replay is never of the moment in which an event came
	now := m.Clock.Now()
	ds, err := m.Store.Replay(m.t.Context(), []seawall.DeliveryID{r.id}, store.ReplayOptions{At: now, Force: force}, seawall.Action{})
	must(m.t, err)
	d := seawall.Delivery{State: r.State, Reason: r.Reason}
	ok := d.Replayable()
	if ok {
		l := m.of(r.entity)
		again := r.Member
		var changes []order.Change
		if ok, _, changes = l.Rejoin(&again, force); ok {
			r.Member, r.step, r.round, r.fresh = again, seawall.Send, 0, false
			m.change(r.entity, l, changes)
			if r.Order != seawall.Unordered {
				m.goOn(r.entity, l)
			}
		}
	}
	if (len(ds) == 1) != ok {
		m.t.Fatalf("replay %s, which is %s %s, forced %v: %v", r.id, d.State, d.Reason, force, ds)
	}
}

func (m *lineModel) ripenAll() {
	got, now := m.ripen(), m.Clock.Now()
	for told := 0; !got.Next.IsZero() && !got.Next.After(now); {
		if told++; told > 100 {
			m.t.Fatalf("there is always more to do: %+v", got)
		}
		more := m.ripen()
		got = store.Ripened{Freed: got.Freed + more.Freed, Over: more.Over, Next: more.Next}
	}
	over := map[seawall.DeliveryID]bool{}
	for entity, p := range m.lines {
		if p.Until.IsZero() || p.Until.After(now) {
			continue
		}
		l := m.of(entity)
		l.Pass()
		m.goOn(entity, l)
	}
	for {
		var r *lineRow // whose time comes first
		for _, w := range m.rows {
			if w.State == seawall.Held && !w.Due.After(now) && !over[w.id] && (r == nil || w.Due.Before(r.Due)) {
				r = w
			}
		}
		if r == nil {
			break
		}
		switch {
		case r.Reason == seawall.ReasonLate, r.Reason == seawall.ReasonPrerequisite && r.onWait != seawall.WaitDeliver:
			over[r.id] = true
			continue
		case r.Reason == seawall.ReasonPrerequisite:
			l := m.of(r.entity)
			m.release(l, r, true)
			m.goOn(r.entity, l)
		default:
			r.Reason, r.Due = seawall.ReasonEarlier, order.Never
			m.goOn(r.entity, m.of(r.entity))
		}
	}
	for _, d := range got.Over {
		if !over[d.ID] {
			m.t.Errorf("%s is over, which is %s %s", d.ID, d.State, d.Reason)
		}
		delete(over, d.ID)
	}
	if len(over) > 0 {
		m.t.Errorf("not told of %v", over)
	}
	for _, d := range got.Over {
		r := m.row(m.keyOf(d.ID))
		in := m.decided(d, seawall.Held, d.Reason)
		in.Due = order.Never
		if d.Reason == seawall.ReasonPrerequisite && r.onWait == seawall.WaitDead {
			in.State, in.Reason = seawall.Dead, "over"
		}
		m.settleAs(in, store.Done)
		before := r.Member
		if r.State, r.Reason, r.Due = in.State, in.Reason, order.Never; r.State == seawall.Dead {
			m.leave(r, before, seawall.Dead, nil, time.Time{})
		}
	}
}

func (m *lineModel) keyOf(id seawall.DeliveryID) int64 {
	for _, r := range m.rows {
		if r.id == id {
			return r.Key
		}
	}
	return 0
}

// check compares all that the store holds with the model.
func (m *lineModel) check() {
	m.t.Helper()
	positions := map[string]order.Position{}
	for entity, want := range m.lines {
		ps, err := m.Store.Positions(m.t.Context(), entity)
		must(m.t, err)
		if len(ps) == 1 {
			positions[entity] = ps[0].Position
		}
		// A store may give one the turn whose window is over before it is asked to.
		if got := positions[entity]; want.Head.IsZero() && !got.Head.IsZero() {
			m.goOn(entity, m.of(entity))
		}
	}
	held := map[seawall.DeliveryID]seawall.Delivery{}
	for p, more := (store.Page{Limit: 1000}), true; more; more = p.Cursor != "" {
		l, err := m.Store.ListDeliveries(m.t.Context(), store.DeliveryFilter{}, p)
		must(m.t, err)
		for _, d := range l.Items {
			held[d.ID] = d
		}
		p.Cursor = l.Next
	}
	var pending, waits int64
	for _, r := range m.rows {
		d := held[r.id]
		if d.State != r.State || d.Reason != r.Reason || d.Late != r.Late || d.Tied != r.Tied || d.Attempts != r.tries || !bytes.Equal(d.Rank, r.Rank) || d.Order != r.Order ||
			!d.State.Final() && (!d.Due.Equal(r.Due) || d.Step != r.step || d.Round != r.round) {
			m.t.Errorf("%s of %s: it is %s %q due %v, late %v, tied %v, step %s, %d tries, %d now; want %s %q due %v, late %v, tied %v, step %s, %d, %d", r.Mark, r.entity,
				d.State, d.Reason, d.Due, d.Late, d.Tied, d.Step, d.Attempts, d.Round, r.State, r.Reason, r.Due, r.Late, r.Tied, r.step, r.tries, r.round)
		}
		switch r.State {
		case seawall.Pending:
			pending++
		case seawall.Held, seawall.Sending:
			waits++
		}
	}
	if d := m.depth(m.t, "orders"); d.Pending != pending || d.Held != waits {
		m.t.Errorf("depth %+v, want %d and %d", d, pending, waits)
	}
	for entity, want := range m.lines {
		got := positions[entity]
		if got.Head.Key != want.Head.Key || got.Block.Key != want.Block.Key || !got.Until.Equal(want.Until) || got.Waiting != want.Waiting ||
			fmt.Sprint(got.Clocks) != fmt.Sprint(want.Clocks) || !slices.Equal(got.Done, want.Done) {
			m.t.Errorf("%s: position %+v, want %+v", entity, got, *want)
		}
	}
}

// drain settles everything as delivered, and looks that it comes to an end.
func (m *lineModel) drain() {
	for range 2000 {
		if r := m.any(func(r *lineRow) bool {
			return r.State == seawall.Dead || r.State == seawall.Held && (r.Reason == seawall.ReasonUnknown || r.Reason == seawall.ReasonLate || r.Reason == seawall.ReasonPrerequisite)
		}); r != nil { // a person decides
			_, err := m.Store.Skip(m.t.Context(), []seawall.DeliveryID{r.id}, seawall.Action{})
			must(m.t, err)
			before := r.Member
			r.State, r.Reason = seawall.Canceled, seawall.ReasonSkipped
			m.leave(r, before, seawall.Canceled, nil, time.Time{})
			continue
		}
		r := m.any(func(r *lineRow) bool { return r.State == seawall.Pending || r.State == seawall.Sending })
		if r == nil {
			if m.any(func(r *lineRow) bool { return !r.State.Final() }) == nil {
				m.check()
				return
			}
			m.Clock.Advance(time.Second)
			m.ripenAll()
			continue
		}
		m.settleAs(m.ended(m.lease, seawall.Delivery{ID: r.id, Destination: "orders", Attempts: r.tries}, seawall.Delivered), store.Done)
		before := r.Member
		r.tries++
		r.round++
		r.State, r.Reason = seawall.Delivered, ""
		m.leave(r, before, seawall.Delivered, nil, time.Time{})
	}
	m.t.Error("it does not come to an end")
}
