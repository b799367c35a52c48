package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// linedLanes are those in which deliveries belong to lines, as far as this node
// has seen: what is settled there takes two round trips. The others are settled by
// one statement, which finds out if that is not so.
type linedLanes struct{ of sync.Map }

func (l *linedLanes) has(lane int32) bool {
	_, ok := l.of.Load(lane)
	return ok
}

func (l *linedLanes) add(lane int32) {
	if !l.has(lane) {
		l.of.Store(lane, true)
	}
}

// linedLane is the error of a transaction that came upon the first of a lane.
type linedLane int32

func (l *linedLane) Error() string { return fmt.Sprintf("store: lane %d has lines", int32(*l)) }

// qSettleLocking is qSettleLined with the positions locked first, of which it returns
// what they hold, and what was settled as it stood. What becomes of a delivery while
// this waits for its position is looked at again: whether the delivery still fits.
var qSettleLocking = &statement{"seawall_settle_locking", `WITH locked AS MATERIALIZED (
	SELECT p.id, p.queue, p.waiting, p.data FROM position p
	WHERE p.id = ANY (ARRAY(SELECT line FROM delivery WHERE id = ANY ($4::int8[] || $11::int8[]) AND line IS NOT NULL)) ORDER BY p.id FOR NO KEY UPDATE OF p
), ` + settleParts("(SELECT count(*) FROM locked) IS NOT NULL", fitsLined) + `
	SELECT 0::int2 AS kind, i AS id, 0::int8 AS line, NULL::uuid AS event, 0::int4 AS n, 0::int2 AS flags, NULL::bytea AS data, false AS fresh FROM fence
	UNION ALL SELECT 1::int2, id, queue, NULL, waiting, 0::int2, data, false FROM locked
	UNION ALL SELECT 2::int2, id, coalesce(line, 0), event, round, flags, rank, since IS NULL FROM done
	UNION ALL SELECT 2::int2, id, coalesce(line, 0), event, round - (n IS NOT NULL)::int4, flags, rank, since IS NULL FROM again`, settleTypes}

// lined writes settlements of which some belong to lines: the positions are locked
// and the deliveries settled, then it is decided whose turn it is now, and that is
// written and committed. What the statement does not fit is left unanswered.
func (w *settler) lined(ctx context.Context, calls []*settleCall) error {
	ss := unanswered(calls)
	var next handing
	err := w.atomic(ctx, func() error {
		for _, st := range ss {
			st.answered, st.line, st.Next = false, 0, nil
		}
		w.lines, w.members = w.positions(), map[int64]member{}
		var firsts []member
		f := w.fences(ss)
		rs := []request{{st: beginTx}}
		if w.busy { // who follows is read between the locking and the settling
			keys := keysToSettle(ss)
			rs = append(rs, request{qLockOf, ints(keys), nil}, request{qFollowers, ints(keys), members(&firsts)})
		}
		err := w.send(ctx, append(rs, request{qSettleLocking, f.fill, func(rows pgx.Rows) error { return w.settled(f, rows) }})...)
		if err != nil {
			return err
		}
		w.busy = false
		for _, l := range w.lines.byID {
			w.busy = w.busy || l.Waiting > 0
		}
		w.left(ss)
		if err := w.lines.proceedWith(ctx, firsts); err != nil {
			return err
		}
		rs = append(w.lines.write(), next.take(w.lines, ss)...)
		return w.send(ctx, append(rs, request{st: commitTx})...)
	})
	w.lines = nil
	if err != nil {
		for _, st := range ss {
			st.answered, st.line, st.Next = false, 0, nil
		}
		return err
	}
	w.s.stats.committed(len(calls))
	next.hand(ctx, w.s)
	return nil
}

// settled reads what qSettleLocking returns. What it settles does not wait: it has its
// turn, and its version is the position's, or it has no order.
func (w *settler) settled(f *fences, rows pgx.Rows) error {
	stands, done := map[int32]bool{}, map[int64]bool{}
	for rows.Next() {
		var kind, flags int16
		var event *[16]byte
		var n int32
		m, data := member{}, []byte(nil)
		if err := rows.Scan(&kind, &m.Key, &m.line, &event, &n, &flags, &data, &m.fresh); err != nil {
			return err
		}
		switch {
		case kind == 0:
			stands[int32(m.Key)] = true
		case kind == 1:
			if err := w.lines.take(&position{id: m.Key, queue: int32(m.line), was: data}, n); err != nil {
				return err
			}
		case event != nil:
			done[m.Key] = true
			if m.line != 0 {
				m.Delivery, m.Rank, m.round = seawall.EventID(*event).Delivery(keyN(m.Key)), data, n
				m.set(flags)
				w.members[m.Key] = m
			}
		}
	}
	for key, m := range w.members {
		if l := w.lines.byID[m.line]; l != nil && l.Head.Key == key {
			m.Version = l.Head.Version
			w.members[key] = m
		}
	}
	f.answer(stands, done)
	return rows.Err()
}

// qFollowers reads who may follow those that are being settled.
var qFollowers = &statement{"seawall_followers", `WITH RECURSIVE f AS (
	SELECT n.* FROM (SELECT p.id AS line FROM position p
		WHERE p.id = ANY (ARRAY(SELECT line FROM delivery WHERE id = ANY ($1::int8[]) AND line IS NOT NULL)) AND p.waiting > 0) l
		CROSS JOIN LATERAL (` + firstOfLine + `) n
	UNION ALL ` + nextClock + `
	)
	SELECT ` + memberColumns + ` FROM f CROSS JOIN LATERAL (SELECT * FROM delivery WHERE id = f.id OFFSET 0) d`, []uint32{oidInt8}}

func keysToSettle(ss []*settlement) (keys []int64) {
	for _, st := range ss {
		if st.key != 0 {
			keys = append(keys, st.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// left takes those out of their lines that were settled for good. Those that were
// tried in vain may have to yield.
func (w *settler) left(ss []*settlement) {
	if w.lines == nil {
		return
	}
	for _, st := range ss {
		switch {
		case !st.answered || *st.out != store.Done:
		case st.State.Final():
			w.leave(st)
		default:
			w.yield(st)
		}
	}
}

func (w *settler) leave(st *settlement) {
	if m, ok := w.members[st.key]; ok && w.lines != nil {
		w.lines.leave(&m, st.State, st.Done, st.Pass)
		st.line = m.line
	}
}

// yield has a head that goes on, or is held for a person, give its turn up where it
// has to. At its fallback it keeps it.
func (w *settler) yield(st *settlement) {
	m, ok := w.members[st.key]
	if !ok || w.lines == nil || st.Move != nil {
		return
	}
	now := order.Standing{Order: m.Order, State: st.State, Step: st.Step, Round: int(m.round), Fresh: m.fresh, Due: st.due()}
	if st.Attempt != nil {
		now.Round++
	}
	if w.lines.yield(&m, now) {
		st.line = m.line
	}
}

// waits tells whether a delivery, which is to be tried again, has lost its turn
// meanwhile. One that is held for a person from now on waits for it no longer.
func (w *settler) waits(st *settlement) bool {
	m, ok := w.members[st.key]
	if !ok || w.lines == nil || !m.turns() {
		return false
	}
	if l := w.lines.byID[m.line]; st.State == seawall.Held && l != nil {
		l.Waiting--
		return false
	}
	return true
}

// seen notes that a delivery was delivered although it had ended otherwise.
func (w *settler) seen(st *settlement) {
	if m, ok := w.members[st.key]; ok && w.lines != nil {
		w.lines.leave(&m, seawall.Delivered, st.Done, st.Pass)
	}
}

// lineUpAll locks the positions of all that is to be settled within a transaction,
// and of the events that come with it.
func (w *settler) lineUpAll(ctx context.Context, q querier, todo []*settlement, events []*acceptance) (err error) {
	var ks []keyed
	for _, st := range todo {
		if st.key == 0 {
			at, err := find(ctx, q, st.Delivery.Event())
			if errors.Is(err, seawall.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			st.key = deliveryKey(at.seq, st.Delivery.N())
		}
		ks = append(ks, keyed{id: st.Delivery, key: st.key, part: dayOf(st.Delivery.Event())})
	}
	w.lines, w.members, err = w.lineUp(ctx, ks, events)
	return err
}

// handing is what settlements hand to the owner: whose turn came with each.
type handing struct {
	to   map[int64]*settlement // by delivery
	rows []claimedRow
}

var qHanded = &statement{"seawall_handed", "SELECT " + unfinishedColumns + ", " + eventColumns + ", e.body FROM delivery d" + joinEvent +
	" WHERE d.id = ANY ($1::int8[])", []uint32{oidInt8}}

// take is the request that reads those whose turn came.
func (h *handing) take(ps *positions, ss []*settlement) []request {
	h.to, h.rows = map[int64]*settlement{}, nil
	lines := map[int64]*settlement{}
	for _, st := range ss {
		if st.line != 0 {
			lines[st.line] = st
		}
	}
	var keys []int64
	for id, st := range lines {
		if l := ps.byID[id]; l != nil && ps.freed[l.Head.Key] {
			h.to[l.Head.Key] = st
			keys = append(keys, l.Head.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	return []request{{qHanded, ints(keys), func(rows pgx.Rows) (err error) {
		h.rows, err = claimedRows(rows)
		return err
	}}}
}

// hand gives them out, once that is committed.
func (h *handing) hand(ctx context.Context, s *Store) {
	for i := range h.rows {
		r := &h.rows[i]
		st := h.to[r.d.key]
		e, err := r.e.event(ctx, s.names, true)
		if err != nil || st == nil {
			s.log.Error("delivery not readable", "key", r.d.key, "error", err)
			continue
		}
		c, err := r.claimed(ctx, s.names, e)
		if err != nil {
			s.log.Error("delivery not readable", "key", r.d.key, "error", err)
			continue
		}
		if q, err := s.names.line(ctx, r.d.queue); err != nil || q.lane != st.lane {
			c.Event = nil
		}
		st.Next = &c
	}
}
