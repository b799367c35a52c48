package postgres

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store/pack"
)

// write is what brings all that was decided into the tables.
func (ps *positions) write() []request { return append(ps.writeMoves(), ps.writePositions()...) }

// writeMoves writes what becomes of deliveries.
func (ps *positions) writeMoves() (rs []request) {
	if len(ps.moves) == 0 {
		return nil
	}
	var stay, gone []*move
	keys := slices.Sorted(maps.Keys(ps.moves))
	for _, k := range keys {
		if m := ps.moves[k]; m.state.Final() {
			gone = append(gone, m)
		} else {
			stay = append(stay, m)
		}
	}
	rs = append(rs, request{qLockMoved, ints(keys), nil})
	if len(gone) > 0 {
		rs = append(rs, request{qMovedOut, ps.moveColumns(gone), nil})
	}
	if len(stay) > 0 {
		rs = append(rs, request{qMoved, ps.moveColumns(stay), nil})
	}
	ps.moves = map[int64]*move{}
	return rs
}

func (ps *positions) moveColumns(ms []*move) func(*columns) {
	return func(cs *columns) {
		for _, m := range ms {
			at := m.due
			if m.state.Final() || at.IsZero() {
				at = ps.now
			}
			cs.row(0).int8(m.key).int2(int16(m.state)).text(m.reason).time(at).int2(m.flags)
			if m.rank == nil {
				cs.null()
			} else {
				cs.rank(m.rank)
			}
		}
	}
}

// wakeOf is when a line goes on that a dead delivery holds up: never, if a person is
// to decide; zero if none does.
func wakeOf(p *order.Position) time.Time {
	switch {
	case p.Block.IsZero():
		return time.Time{}
	case p.Until.IsZero():
		return order.Never
	default:
		return p.Until
	}
}

// writePositions writes those that have changed.
func (ps *positions) writePositions() (rs []request) {
	var made, changed []positionRow
	for _, l := range ps.byID {
		data := pack.Position(&l.Position)
		if !l.touched && (l.was == nil && l.untouched() || bytes.Equal(data, l.was) && l.Waiting == l.wasWaiting && l.queue == l.wasQueue) {
			continue
		}
		if l.made {
			made = append(made, positionRow{l, data})
		} else {
			changed = append(changed, positionRow{l, data})
		}
		l.made, l.touched, l.was, l.wasWaiting, l.wasQueue = false, false, data, l.Waiting, l.queue
	}
	if len(made) > 0 {
		slices.SortFunc(made, func(a, b positionRow) int {
			return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.destination, b.destination))
		})
		rs = append(rs, request{qInsertPositions, func(cs *columns) {
			for _, r := range made {
				ps.fillPosition(cs, r)
				cs.int4(r.destination).word(r.entity)
			}
		}, nil})
	}
	if len(changed) > 0 {
		slices.SortFunc(changed, func(a, b positionRow) int { return cmp.Compare(a.id, b.id) })
		rs = append(rs, request{qSetPositions, func(cs *columns) {
			for _, r := range changed {
				ps.fillPosition(cs, r)
			}
		}, nil})
	}
	return rs
}

type positionRow struct {
	*position
	data []byte
}

func (ps *positions) fillPosition(cs *columns, r positionRow) {
	cs.row(0).int8(r.id).int4(r.queue).int8(r.Head.Key).int4(int32(r.Waiting)).time(wakeOf(&r.Position)).time(ps.now).blob(r.data)
}

// number is its own, NULL for none.
func (l *position) number() any {
	if l == nil {
		return nil
	}
	return l.id
}

// untouched tells whether nothing is known of it yet.
func (l *position) untouched() bool {
	return l.Head.IsZero() && l.Block.IsZero() && l.Waiting == 0 && len(l.Clocks)+len(l.Done) == 0
}
