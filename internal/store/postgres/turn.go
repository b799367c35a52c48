package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// apply notes what an order gave for other deliveries: of those that are only being
// written, in themselves.
func (ps *positions) apply(cs []order.Change) {
	for _, c := range cs {
		if d := ps.fresh[c.Key]; d != nil {
			d.State, d.Reason, d.Due, d.Late = c.State, c.Reason, c.Due, d.Late || c.Late
			if c.State.Final() {
				d.Finished = ps.now
			}
			continue
		}
		m := &move{key: c.Key, state: c.State, reason: c.Reason, due: c.Due}
		if c.Late {
			m.flags = pack.FlagLate
		}
		ps.note(m)
	}
}

// joined notes what became of a delivery of the table that joined its line.
func (ps *positions) joined(m *member) {
	rank := m.Rank
	if rank == nil {
		rank = []byte{}
	}
	ps.note(&move{key: m.Key, state: m.State, reason: m.Reason, due: m.Due, rank: rank,
		flags: int16(pack.OrderFlags(&seawall.Delivery{Late: m.Late, Tied: m.Tied}))})
}

func (ps *positions) note(m *move) {
	if was := ps.moves[m.key]; was != nil {
		m.flags |= was.flags
		if m.rank == nil {
			m.rank = was.rank
		}
	}
	ps.moves[m.key] = m
	delete(ps.freed, m.key)
	if m.state == seawall.Pending {
		ps.freed[m.key] = true
	}
}

// leave takes a delivery out of its line for good.
func (ps *positions) leave(m *member, state seawall.State, done []string, pass time.Time) {
	l := ps.byID[m.line]
	if l == nil {
		return
	}
	before := len(l.Done)
	l.Leave(m.Member, state, done, pass)
	l.asked = false
	l.news = l.news || len(l.Done) > before
}

// yield notes that a head was tried in vain, and where it stands now: proceed has it
// give its turn up where others came meanwhile. It tells whether any are there.
func (ps *positions) yield(m *member, now order.Standing) bool {
	l := ps.byID[m.line]
	if l == nil || m.Order == seawall.Unordered || !l.Yields(m.Key) {
		return false
	}
	l.tried, l.Standing = m, now
	return true
}

// proceed has lines go on: what waited for what was delivered joins, and where
// nobody has the turn it is given to the next. What the table shows of them must
// be so, but for the moves.
func (ps *positions) proceed(ctx context.Context) error { return ps.proceedWith(ctx, nil) }

// proceedWith has the first of some lines, as the table had them before.
func (ps *positions) proceedWith(ctx context.Context, firsts []member) error {
	if len(firsts) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(ps.byID)), func(l *position) bool { return l.news }) {
		ps.next(firsts)
	}
	if err := ps.release(ctx); err != nil {
		return err
	}
	var idle []int64
	for id, l := range ps.byID {
		if l.Clear() && !l.asked || l.tried != nil && l.Yields(l.tried.Key) {
			idle = append(idle, id)
		}
	}
	slices.Sort(idle)
	for len(idle) > 0 {
		var found []member
		err := ps.send(ctx, append(ps.writeMoves(), request{qFirsts, ints(idle), members(&found)})...)
		if err != nil {
			return err
		}
		idle = ps.next(found)
	}
	return nil
}

// next gives the turn, which a head that was tried in vain may give up, and returns
// the lines in which some left without getting it.
func (ps *positions) next(found []member) (again []int64) {
	firsts := map[int64][]order.Member{}
	for i := range found {
		firsts[found[i].line] = append(firsts[found[i].line], found[i].Member)
	}
	for _, id := range slices.Sorted(maps.Keys(firsts)) {
		l := ps.byID[id]
		if l == nil {
			continue
		}
		changes, more := l.next(firsts[id])
		l.asked = !more
		ps.apply(changes)
		for _, c := range changes {
			l.Rivals = slices.DeleteFunc(l.Rivals, func(r order.Member) bool { return r.Key == c.Key })
		}
		if more {
			again = append(again, id)
		}
	}
	return again
}

// next says whose turn it is, once the head, if it was tried in vain, has given it up
// where it has to.
func (l *position) next(first []order.Member) (changes []order.Change, more bool) {
	if tried := l.tried; tried != nil {
		l.tried = nil
		if l.Yields(tried.Key) {
			return l.Yield(tried.Member, first)
		}
	}
	return l.Next(first)
}

// release has those join that wait for what was delivered now.
func (ps *positions) release(ctx context.Context) error {
	var p pick
	for id, l := range ps.byID {
		if l.news {
			p.ids, l.news = append(p.ids, id), false
		}
	}
	if p.none() {
		return nil
	}
	slices.Sort(p.ids)
	var found []member
	rs := append(ps.writePositions(), request{qAwaiting, ints(p.ids), members(&found)}, ps.heads(p), ps.rivals(p))
	if err := ps.send(ctx, append(ps.writeMoves(), rs...)...); err != nil {
		return err
	}
	for i := range found {
		m := &found[i]
		l := ps.byID[m.line]
		if l == nil {
			continue
		}
		if ok, changes := l.Release(&m.Member, false); ok {
			l.asked = false
			ps.apply(changes)
			ps.joined(m)
		}
	}
	return nil
}
