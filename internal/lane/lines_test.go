package lane

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// lines are the lines of a store in memory: package order decides, as in the real
// ones. An entity has one destination.
type lines struct {
	positions map[string]*order.Position // by entity
	rows      []*row                     // as they came
	ripens    map[string]int
	unripe    error // what Ripen fails with
}

// row is a delivery in a line.
type row struct {
	order.Member
	c      store.Claimed
	replay bool
}

func newLines() lines {
	return lines{positions: map[string]*order.Position{}, ripens: map[string]int{}}
}

// lined makes a fresh delivery of an entity in a version.
func lined(dest, entity string, how seawall.Ordering, version int) store.Claimed {
	c := fresh(dest)
	c.Event.ReceivedAt, c.Event.Entity, c.Event.Version = time.Now(), entity, fmt.Sprint(version)
	rank, _ := order.Rank([]string{c.Event.Version})
	d := &c.Delivery
	d.Entity, d.Order, d.Rank, d.Since, d.Due = entity, how, order.On("shop", rank), time.Now(), time.Now()
	return c
}

// join accepts deliveries as receiving does, on a node or, with nil, on one that
// has no queue for them. It returns them as they were committed.
func (m *memory) join(r *Runner, cs ...store.Claimed) []seawall.Delivery {
	batch, done := make([]store.Acceptance, len(cs)), make([]store.Accepted, len(cs))
	for i, c := range cs {
		batch[i] = store.Acceptance{Event: c.Event, Deliveries: []seawall.Delivery{c.Delivery}}
		done[i] = store.Accepted{Verdict: seawall.New, Event: c.Event.ID}
	}
	accepted := func([]store.Accepted) {}
	if r != nil {
		accepted = r.Reserve(batch)
	}
	out := make([]seawall.Delivery, len(cs))
	m.mu.Lock()
	for i := range batch {
		out[i] = m.admit(batch[i].Event, &batch[i].Deliveries[0])
	}
	m.mu.Unlock()
	accepted(done)
	return out
}

// admit writes a delivery and has it join its line; the caller has the lock.
func (m *memory) admit(ev *seawall.Event, d *seawall.Delivery) seawall.Delivery {
	w := &row{c: store.Claimed{Event: ev, Delivery: *d}, Member: order.Member{
		Mark:  order.Mark{Key: int64(len(m.rows) + 1), Delivery: d.ID, Rank: d.Rank, Version: ev.Version},
		Order: d.Order, OnLate: d.OnLate, After: d.After, Due: d.Due,
	}}
	l := m.line(d.Entity)
	changes := l.Join(&w.Member)
	m.rows = append(m.rows, w)
	m.show(w)
	m.change(l, d.Entity, changes)
	*d = w.c.Delivery
	return *d
}

// line is an entity's, as a transaction reads it.
func (m *memory) line(entity string) *order.Line {
	p := m.positions[entity]
	if p == nil {
		p = &order.Position{}
		m.positions[entity] = p
	}
	l := &order.Line{Position: *p, Now: time.Now()}
	if w := m.byKey(l.Head.Key); w != nil {
		l.Standing = order.Standing{Order: w.Order, State: w.State, Round: w.c.Delivery.Round, Fresh: !w.replay, Due: w.Due}
		if _, sending := m.sending[w.c.Delivery.ID]; sending {
			l.Standing.State = seawall.Sending
		}
	}
	for _, w := range m.rows {
		if w.c.Delivery.Entity == entity && w.waits() && w.Order == seawall.Latest {
			l.Rivals = append(l.Rivals, w.Member)
		}
	}
	return l
}

func (m *memory) byKey(key int64) *row {
	if key == 0 {
		return nil
	}
	return m.rows[key-1]
}

func (m *memory) byID(id seawall.DeliveryID) *row {
	i := slices.IndexFunc(m.rows, func(w *row) bool { return w.c.Delivery.ID == id })
	if i < 0 {
		return nil
	}
	return m.rows[i]
}

// member is how a delivery stands now.
func (m *memory) member(id seawall.DeliveryID) order.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byID(id).Member
}

// asked, claimed and begunSoFar are how often the store was asked for what.
func (m *memory) asked(destination string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ripens[destination]
}

func (m *memory) claimed(destination string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.claims[destination]
}

func (m *memory) begunSoFar() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begins
}

func (w *row) waits() bool {
	return w.State == seawall.Held && (w.Reason == seawall.ReasonEarlier || w.Reason == seawall.ReasonSettle)
}

// change writes what became of other deliveries, and the position.
func (m *memory) change(l *order.Line, entity string, changes []order.Change) {
	for _, c := range changes {
		w := m.byKey(c.Key)
		w.State, w.Reason, w.Due, w.Late = c.State, c.Reason, c.Due, c.Late
		m.show(w)
	}
	*m.positions[entity] = l.Position
}

// show has a delivery be seen as its row is: claimed if it is pending.
func (m *memory) show(w *row) {
	d := &w.c.Delivery
	d.State, d.Reason, d.Due, d.Late, d.Tied, d.Rank = w.State, w.Reason, w.Due, w.Late, w.Tied, w.Rank
	ps := m.pending[d.Destination]
	if i := slices.IndexFunc(ps, func(c store.Claimed) bool { return c.Delivery.ID == d.ID }); i >= 0 {
		ps = slices.Delete(ps, i, i+1)
	}
	if d.State == seawall.Pending {
		ps = append(ps, w.c)
	}
	m.pending[d.Destination] = ps
}

// firsts are those that wait in a line, of each clock the first.
func (m *memory) firsts(l *order.Line, entity string) (first []order.Member) {
	for _, c := range l.Clocks {
		from, end := order.Range(c.Name)
		var least *row
		for _, w := range m.rows {
			if w.c.Delivery.Entity == entity && w.waits() && bytes.Compare(w.Rank, from) >= 0 && bytes.Compare(w.Rank, end) < 0 &&
				(least == nil || bytes.Compare(w.Rank, least.Rank) < 0) {
				least = w
			}
		}
		if least != nil {
			first = append(first, least.Member)
		}
	}
	return first
}

// next gives turns until somebody has one.
func (m *memory) next(l *order.Line, entity string) (turn *row) {
	for more := l.Clear(); more; {
		var changes []order.Change
		changes, more = l.Next(m.firsts(l, entity))
		m.change(l, entity, changes)
		turn = m.turn(changes, turn)
	}
	*m.positions[entity] = l.Position
	return turn
}

// turn is whose changes give one, else as it was.
func (m *memory) turn(changes []order.Change, was *row) *row {
	for _, c := range changes {
		if c.State == seawall.Pending {
			was = m.byKey(c.Key)
		}
	}
	return was
}

// yield has a head that was tried in vain give its turn up.
func (m *memory) yield(s *store.Settlement, w *row) {
	entity := w.c.Delivery.Entity
	l := m.line(entity)
	if !l.Yields(w.Key) {
		return
	}
	changes, _ := l.Yield(w.Member, m.firsts(l, entity))
	m.change(l, entity, changes)
	if turn := m.turn(changes, nil); turn != nil {
		next := turn.c
		s.Next = &next
	}
}

// settleLine writes a settlement of a delivery in a line.
func (m *memory) settleLine(s *store.Settlement, w *row) store.Settled {
	if w.State.Final() {
		return store.Ended
	}
	entity, before := w.c.Delivery.Entity, w.Member
	w.State, w.Reason, w.Due = s.State, s.Reason, s.Due
	if s.Attempt != nil {
		w.c.Delivery.Round++
		w.c.Delivery.Attempts++
	}
	m.show(w)
	if !s.State.Final() {
		m.yield(s, w)
		return store.Done
	}
	l := m.line(entity)
	l.Leave(before, s.State, s.Done, s.Pass)
	for _, o := range m.rows {
		if o.c.Delivery.Entity == entity && o.State == seawall.Held && o.Reason == seawall.ReasonPrerequisite {
			if ok, changes := l.Release(&o.Member, false); ok {
				m.show(o)
				m.change(l, entity, changes)
			}
		}
	}
	if turn := m.next(l, entity); turn != nil {
		next := turn.c
		s.Next = &next
	}
	return store.Done
}

// end cancels a delivery as a person does.
func (m *memory) end(id seawall.DeliveryID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.byID(id)
	before, entity := w.Member, w.c.Delivery.Entity
	w.State = seawall.Canceled
	m.show(w)
	l := m.line(entity)
	l.Leave(before, seawall.Canceled, nil, time.Time{})
	m.next(l, entity)
}

func (m *memory) Ripen(_ context.Context, lease store.Lease, destination string, now time.Time, limit int) (r store.Ripened, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ripens[destination]++
	if m.unripe != nil {
		return r, m.unripe
	}
	if m.owner[lease.Lane].Token != lease.Token {
		return r, nil
	}
	soonest := func(at time.Time) {
		if r.Next.IsZero() || at.Before(r.Next) {
			r.Next = at
		}
	}
	for _, w := range m.rows {
		d := &w.c.Delivery
		if laneOf(d) != lease.Lane || d.Destination != destination || w.State != seawall.Held || !w.Due.Before(order.Never) {
			continue
		}
		if w.Due.After(now) {
			soonest(w.Due)
			continue
		}
		l := m.line(d.Entity)
		switch {
		case w.waits():
			w.Due, w.Reason = order.Never, seawall.ReasonEarlier
			m.show(w)
		case w.Reason == seawall.ReasonPrerequisite && d.OnWait == seawall.WaitDeliver:
			_, changes := l.Release(&w.Member, true)
			m.show(w)
			m.change(l, d.Entity, changes)
		default:
			r.Over = append(r.Over, *d)
			continue
		}
		if m.next(l, d.Entity) != nil {
			r.Freed++
		}
	}
	for entity, p := range m.positions {
		switch {
		case p.Until.IsZero():
		case p.Until.After(now):
			soonest(p.Until)
		default:
			l := m.line(entity)
			l.Pass()
			if m.next(l, entity) != nil {
				r.Freed++
			}
		}
	}
	return r, nil
}
