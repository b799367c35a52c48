package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// Who adds to an entity's line or takes from it locks its position first, all that
// he needs at once and in the order of their ids; what he then reads of its
// deliveries, by a statement of its own, nobody else changes. Locks are taken in
// this order everywhere: dedupe keys, positions, lanes, deliveries, links.

// place is where a line is: at a destination, of an entity.
type place struct {
	destination int32
	entity      string
}

// position is one that is locked, with what was read of its line.
type position struct {
	order.Line
	place
	id    int64
	queue int32

	was        []byte // as the row has it
	wasWaiting int
	wasQueue   int32
	stood      bool // Standing was read
	rivaled    bool // Rivals were
	touched    bool // something joined: whoever deletes it is to see that
	asked      bool // whose turn it is, and nothing came since
	news       bool // patterns of prerequisites were fulfilled
}

// move is what becomes of a delivery that waits.
type move struct {
	key    int64
	state  seawall.State
	reason string
	due    time.Time
	flags  int16  // to add
	rank   []byte // that it is given as it joins; nil: it was in the line
}

// positions are those that a transaction has locked, and what it has decided about
// their deliveries.
type positions struct {
	*session
	now   time.Time
	byID  map[int64]*position
	at    map[place]*position
	moves map[int64]*move
	fresh map[int64]*seawall.Delivery // those that are only being written
	freed map[int64]bool              // those that became pending
}

func (s *session) positions() *positions {
	return &positions{session: s, now: s.s.time(), byID: map[int64]*position{}, at: map[place]*position{}, moves: map[int64]*move{},
		fresh: map[int64]*seawall.Delivery{}, freed: map[int64]bool{}}
}

// which selects positions by three columns: those of deliveries, those of places,
// and those with these ids.
const which = `p.id = ANY (ARRAY(
	SELECT line FROM delivery WHERE id = ANY ($1::int8[]) AND line IS NOT NULL
	UNION ALL SELECT q.id FROM (SELECT unnest($2::int4[]) AS destination, unnest($3::text[]) AS entity) x
		CROSS JOIN LATERAL (SELECT id FROM position WHERE entity = x.entity AND destination = x.destination OFFSET 0) q
	UNION ALL SELECT unnest($4::int8[])))`

var whichTypes = []uint32{oidInt8, oidInt4, oidText, oidInt8}

// pick fills the columns of which.
type pick struct {
	keys   []int64
	places []place
	ids    []int64
}

func (p pick) none() bool { return len(p.keys)+len(p.places)+len(p.ids) == 0 }

func (p pick) fill(cs *columns) {
	for _, k := range p.keys {
		cs.row(0).int8(k)
	}
	for _, at := range p.places {
		cs.row(1).int4(at.destination).word(at.entity)
	}
	for _, id := range p.ids {
		cs.row(3).int8(id)
	}
}

// What is not there is looked for as a value that is NULL: NOT EXISTS would be a join,
// for which a planner that knows a table as empty reads all of it.

const (
	// waits are those that wait for their turn: what the index of turns has.
	waits = "d.state = 1 AND d.reason IN ('earlier', 'settle')"

	// firstOfLine is the first of line l, and nextClock, of what f has of a line, the first
	// of the clock that comes next.
	firstOfLine = `SELECT d.line, d.id, d.rank FROM delivery d WHERE d.line = l.line AND ` + waits + ` ORDER BY d.rank, d.id LIMIT 1`
	nextClock   = `SELECT n.* FROM f CROSS JOIN LATERAL (SELECT d.line, d.id, d.rank FROM delivery d WHERE d.line = f.line AND ` + waits + `
		AND d.rank >= substring(f.rank FROM 1 FOR greatest(position('\x00'::bytea IN f.rank) - 1, 0)) || '\x01'::bytea
		ORDER BY d.rank, d.id LIMIT 1) n`

	memberColumns = `d.line, d.id, d.event, d.part, d.queue, d.state, coalesce(d.reason, ''), d.due, d.flags, d.rank, coalesce(d.awaits, ''),
	coalesce((SELECT e.version FROM event e WHERE e.seq = d.id >> 15 AND e.part = d.part), '')`
)

var (
	qAddPositions = &statement{"seawall_add_positions", `INSERT INTO position (destination, entity, queue, at)
	SELECT x.destination, x.entity, x.queue, x.at FROM (SELECT unnest($1::int4[]) AS destination, unnest($2::text[]) AS entity,
		unnest($3::int4[]) AS queue, unnest($4::timestamptz[]) AS at) x
	WHERE (SELECT p.id FROM position p WHERE p.entity = x.entity AND p.destination = x.destination) IS NULL
	ORDER BY x.entity COLLATE "C", x.destination ON CONFLICT (entity, destination) DO NOTHING`,
		[]uint32{oidInt4, oidText, oidInt4, oidTime}}

	qLockPositions = &statement{"seawall_lock_positions", `SELECT p.id, p.destination, p.entity, p.queue, p.waiting, p.data FROM position p
	WHERE ` + which + ` ORDER BY p.id FOR NO KEY UPDATE OF p`, whichTypes}

	qLockIDs = &statement{"seawall_lock_ids", `SELECT p.id, p.destination, p.entity, p.queue, p.waiting, p.data FROM position p
	WHERE p.id = ANY ($1::int8[]) ORDER BY p.id FOR NO KEY UPDATE OF p`, []uint32{oidInt8}}

	qLockOf = &statement{"seawall_lock_of", `SELECT p.id, p.queue, p.waiting, p.data FROM position p
	WHERE p.id = ANY (ARRAY(SELECT line FROM delivery WHERE id = ANY ($1::int8[]) AND line IS NOT NULL)) ORDER BY p.id FOR NO KEY UPDATE OF p`,
		[]uint32{oidInt8}}

	// What of a delivery is read here does not change.
	qMarks = &statement{"seawall_marks", `SELECT line, id, event, flags, rank FROM delivery WHERE id = ANY ($1::int8[]) AND line IS NOT NULL`,
		[]uint32{oidInt8}}

	// The heads that may lose their place are locked, so that their owners' Begin
	// comes before or after; the others are only looked at.
	qHeads = &statement{"seawall_heads", `WITH h AS MATERIALIZED (SELECT p.id AS line, p.head FROM position p WHERE p.head <> 0 AND ` + which + `),
	l AS MATERIALIZED (SELECT d.id, d.state, d.flags, d.round, d.since, d.due FROM delivery d WHERE d.id = ANY (ARRAY(SELECT head FROM h))
		AND d.state < 2 AND (d.state = 1 OR d.round > 0 OR d.since IS NOT NULL OR d.due < ($5::timestamptz[])[1] - interval '5 seconds')
		ORDER BY d.id FOR UPDATE OF d)
	SELECT 0::int8, l.id, l.state, l.flags, l.round, l.since IS NULL, l.due FROM l
	UNION ALL SELECT h.line, d.id, d.state, d.flags, d.round, d.since IS NULL, d.due FROM h
		LEFT JOIN LATERAL (SELECT * FROM delivery WHERE id = h.head OFFSET 0) d ON true`, append(slices.Clone(whichTypes), oidTime)}

	qRivals = &statement{"seawall_rivals", `SELECT ` + memberColumns + ` FROM position p CROSS JOIN LATERAL (SELECT * FROM delivery d
		WHERE d.line = p.id AND ` + waits + ` AND d.flags & 64::int2 <> 0 ORDER BY d.rank DESC LIMIT 100) d
	WHERE p.waiting > 0 AND ` + which, whichTypes}

	// Of each clock the first one: from one to the next over all that is between.
	qFirsts = &statement{"seawall_firsts", `WITH RECURSIVE f AS (
	SELECT n.* FROM (SELECT unnest($1::int8[]) AS line) l CROSS JOIN LATERAL (` + firstOfLine + `) n
	UNION ALL ` + nextClock + `
	)
	SELECT ` + memberColumns + ` FROM f CROSS JOIN LATERAL (SELECT * FROM delivery WHERE id = f.id OFFSET 0) d`, []uint32{oidInt8}}

	qMembers = &statement{"seawall_members", `SELECT ` + memberColumns + ` FROM delivery d WHERE d.id = ANY ($1::int8[]) AND d.line IS NOT NULL`,
		[]uint32{oidInt8}}

	// Likewise of what has ended: its position is found by its name.
	qEndedMembers = &statement{"seawall_ended_members", `SELECT 0::int8, f.id, f.event, f.part, coalesce(f.origin, f.queue), f.state, coalesce(f.reason, ''),
		f.finished, f.flags, f.rank, '', coalesce((SELECT e.version FROM event e WHERE e.seq = f.id >> 15 AND e.part = f.part), ''), f.entity
	FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int4[]) AS part) x
	CROSS JOIN LATERAL (SELECT * FROM finished WHERE id = x.id AND part IN (x.part, 0) OFFSET 0) f
	WHERE f.flags & ` + fmt.Sprint(pack.FlagsOrder) + `::int2 <> 0 AND f.entity IS NOT NULL`, []uint32{oidInt8, oidInt4}}

	qAwaiting = &statement{"seawall_awaiting", `SELECT ` + memberColumns + ` FROM (SELECT unnest($1::int8[]) AS line) l
	CROSS JOIN LATERAL (SELECT * FROM delivery WHERE line = l.line AND state = 1 AND reason = 'prerequisite' OFFSET 0) d ORDER BY d.id`, []uint32{oidInt8}}

	qSetPositions = &statement{"seawall_set_positions", `UPDATE position p SET queue = x.queue, head = x.head, waiting = x.waiting,
		wake = x.wake, at = x.at, data = x.data
	FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int4[]) AS queue, unnest($3::int8[]) AS head, unnest($4::int4[]) AS waiting,
		unnest($5::timestamptz[]) AS wake, unnest($6::timestamptz[]) AS at, unnest($7::bytea[]) AS data) x
	WHERE p.id = x.id`, []uint32{oidInt8, oidInt4, oidInt8, oidInt4, oidTime, oidTime, oidBytes}}

	qLockMoved = &statement{"seawall_lock_moved", `SELECT FROM delivery d WHERE d.id = ANY ($1::int8[]) ORDER BY d.id FOR UPDATE OF d`, []uint32{oidInt8}}

	qMoved = &statement{"seawall_moved", `UPDATE delivery d SET state = x.state, reason = x.reason, due = x.due, flags = d.flags | x.flags,
		rank = coalesce(x.rank, d.rank), awaits = CASE WHEN x.rank IS NULL THEN d.awaits END
	FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int2[]) AS state, unnest($3::text[]) AS reason, unnest($4::timestamptz[]) AS due,
		unnest($5::int2[]) AS flags, unnest($6::bytea[]) AS rank) x
	WHERE d.id = x.id`, []uint32{oidInt8, oidInt2, oidText, oidTime, oidInt2, oidBytes}}

	qMovedOut = &statement{"seawall_moved_out", `WITH gone AS (
	DELETE FROM delivery d USING (SELECT unnest($1::int8[]) AS id, unnest($2::int2[]) AS state, unnest($3::text[]) AS reason,
		unnest($4::timestamptz[]) AS at, unnest($5::int2[]) AS flags, unnest($6::bytea[]) AS rank) x
	WHERE d.id = x.id RETURNING d.*, x.state AS to_state, x.at AS at, x.reason AS why, x.flags AS more
	)
	INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, since, created,
		reason, entity, rank, origin)
	SELECT part, id, event, queue, to_state, at, size, route, revision, flags & ~12::int2 | more, attempts, round, since, created,
		why, entity, rank, origin FROM gone`, []uint32{oidInt8, oidInt2, oidText, oidTime, oidInt2, oidBytes}}
)

// member is a delivery of a line as the hot table has it.
type member struct {
	order.Member
	line   int64
	part   int32
	queue  int32
	flags  int16
	onWait seawall.WaitPolicy
	entity string // of one that has ended
}

func byKey(ms []member) map[int64]member {
	out := make(map[int64]member, len(ms))
	for _, m := range ms {
		out[m.Key] = m
	}
	return out
}

// turns tells whether it waits for its turn.
func (m *member) turns() bool {
	return m.State == seawall.Held && (m.Reason == seawall.ReasonEarlier || m.Reason == seawall.ReasonSettle)
}

// members collects rows of the memberColumns.
func members(to *[]member) func(pgx.Rows) error { return membersWith(to, false) }

func membersWith(to *[]member, entity bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			var m member
			var event [16]byte
			var state, flags int16
			var awaits string
			into := []any{&m.line, &m.Key, &event, &m.part, &m.queue, &state, &m.Reason, &m.Due, &flags, &m.Rank, &awaits, &m.Version}
			if entity {
				into = append(into, &m.entity)
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			m.Delivery, m.State = seawall.EventID(event).Delivery(keyN(m.Key)), seawall.State(state)
			m.set(flags)
			m.After = patterns(awaits)
			*to = append(*to, m)
		}
		return rows.Err()
	}
}

// set reads the flags of its row.
func (m *member) set(flags int16) {
	m.flags = flags
	var d seawall.Delivery
	pack.SetOrder(&d, int64(flags))
	m.Order, m.OnLate, m.Late, m.Tied, m.onWait = d.Order, d.OnLate, d.Late, d.Tied, d.OnWait
}

// lock is the request that locks positions. Their number tells later whether all
// were there.
func (ps *positions) lock(p pick) request {
	return request{qLockPositions, p.fill, ps.locked}
}

// lockIDs is the same by number.
func (ps *positions) lockIDs(ids []int64) request { return request{qLockIDs, ints(ids), ps.locked} }

// locked reads positions that are locked now.
func (ps *positions) locked(rows pgx.Rows) error {
	var found []*position
	for rows.Next() {
		l := new(position)
		var waiting int32
		if err := rows.Scan(&l.id, &l.destination, &l.entity, &l.queue, &waiting, &l.was); err != nil {
			return err
		}
		if err := ps.take(l, waiting); err != nil {
			return err
		}
		found = append(found, l)
	}
	ps.s.lines.note(found)
	return rows.Err()
}

// take takes a position as its row has it.
func (ps *positions) take(l *position, waiting int32) (err error) {
	if ps.byID[l.id] != nil {
		return nil
	}
	if l.was != nil {
		if l.Position, err = pack.ParsePosition(l.was); err != nil {
			return err
		}
	}
	l.Now, l.Waiting, l.wasWaiting, l.wasQueue = ps.now, int(waiting), int(waiting), l.queue
	ps.byID[l.id] = l
	if l.place != (place{}) {
		ps.at[l.place] = l
	}
	return nil
}

// lineUp locks the positions of deliveries, and of the events that are to join lines
// in the same transaction, and reads the deliveries that belong to lines, ended ones
// too, each with the number of its line.
func (s *session) lineUp(ctx context.Context, ks []keyed, events []*acceptance) (*positions, map[int64]member, error) {
	keys := make([]int64, len(ks))
	for i, k := range ks {
		keys[i] = k.key
	}
	slices.Sort(keys)
	read := func(to *[]member) request {
		return request{qEndedMembers, func(cs *columns) {
			for _, k := range ks {
				cs.row(0).int8(k.key).int4(k.part)
			}
		}, membersWith(to, true)}
	}
	var before, ended, found []member
	if err := s.send(ctx, read(&before)); err != nil {
		return nil, nil, err
	}
	p, add := pick{keys: keys}, planner{seen: map[place]bool{}}
	for i := range before {
		at, err := s.s.placeOf(ctx, &before[i])
		if err != nil {
			return nil, nil, err
		}
		add.add(at, before[i].queue)
	}
	for _, a := range events {
		for _, r := range a.planned {
			add.add(r.line, r.queue)
		}
	}
	p.places = add.places
	ps := s.positions()
	rs := []request{ps.lock(p), {qMembers, ints(keys), members(&found)}, read(&ended)}
	if len(p.places) > 0 {
		rs = append([]request{ps.add(p.places, add.queues)}, rs...)
	}
	if err := s.send(ctx, rs...); err != nil {
		return nil, nil, err
	}
	for i := range ended {
		at, err := s.s.placeOf(ctx, &ended[i])
		if err != nil {
			return nil, nil, err
		}
		l := ps.at[at]
		if l == nil {
			return nil, nil, errMoved // it ended before its position was locked
		}
		ended[i].line = l.id
	}
	return ps, byKey(append(ended, found...)), nil
}

// placeOf is where the line of a delivery is that has ended.
func (s *Store) placeOf(ctx context.Context, m *member) (place, error) {
	q, err := s.names.line(ctx, m.queue)
	if err != nil {
		return place{}, err
	}
	id, err := s.names.id(ctx, q.destination)
	return place{id, m.entity}, err
}

// knownLines are the numbers of positions, which never change: as many as there is
// room for.
type knownLines struct {
	mu sync.Mutex
	of map[place]int64
}

const keptLines = 100_000

// pickedLines are positions that are known, by number, and those that are not, by place.
type pickedLines struct {
	pick
	queues []int32
}

// pick finds the numbers of places.
func (k *knownLines) pick(add planner) (p pickedLines) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, at := range add.places {
		if id, ok := k.of[at]; ok {
			p.ids = append(p.ids, id)
		} else {
			p.places, p.queues = append(p.places, at), append(p.queues, add.queues[i])
		}
	}
	slices.Sort(p.ids)
	return p
}

// note keeps numbers of positions that were there, which may be gone with what made
// them: who finds nothing under one forgets it.
func (k *knownLines) note(ls []*position) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil || len(k.of)+len(ls) > keptLines {
		k.of = map[place]int64{}
	}
	for _, l := range ls {
		k.of[l.place] = l.id
	}
}

func (k *knownLines) forget(at place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, at)
}

// planner gathers places, each once, with a queue that leads there.
type planner struct {
	seen   map[place]bool
	places []place
	queues []int32
}

func (p *planner) add(at place, queue int32) {
	if at != (place{}) && !p.seen[at] {
		p.seen[at] = true
		p.places, p.queues = append(p.places, at), append(p.queues, queue)
	}
}

// heads is the request that reads where heads stand. One that is not there was
// ended by a program that knows no lines: nobody has the turn.
func (ps *positions) heads(p pick) request {
	fill := func(cs *columns) {
		p.fill(cs)
		cs.row(4).time(ps.now)
	}
	return request{qHeads, fill, func(rows pgx.Rows) error {
		locked := map[int64]bool{}
		stands := map[int64]order.Standing{}
		for rows.Next() {
			var line int64
			var key *int64
			var state, flags *int16
			var round *int32
			var fresh *bool
			var due *time.Time
			if err := rows.Scan(&line, &key, &state, &flags, &round, &fresh, &due); err != nil {
				return err
			}
			if line == 0 {
				locked[*key], stands[*key] = true, standingOf(*state, *flags, *round, *fresh, *due)
				continue
			}
			l := ps.byID[line]
			if l == nil || l.stood {
				continue
			}
			l.stood = true
			switch {
			case key == nil:
				l.Head = order.Mark{}
			case locked[*key]:
				l.Standing = stands[*key]
			default:
				if l.Standing = standingOf(*state, *flags, *round, *fresh, *due); l.Standing.State < seawall.Sending {
					l.Standing.Round, l.Standing.Fresh, l.Standing.Due = 0, true, ps.now // it was firm, or was begun this moment
				}
			}
		}
		return rows.Err()
	}}
}

func standingOf(state, flags int16, round int32, fresh bool, due time.Time) order.Standing {
	var m member
	m.set(flags)
	return order.Standing{Order: m.Order, State: seawall.State(state), Step: seawall.Step(flags >> stepShift & stepMask),
		Round: int(round), Fresh: fresh, Due: due.UTC()}
}

// rivals is the request that reads, of the lines in which some wait, those of which
// only the newest matters.
func (ps *positions) rivals(p pick) request {
	return request{qRivals, p.fill, func(rows pgx.Rows) error {
		var found []member
		err := members(&found)(rows)
		for i := range found {
			if l := ps.byID[found[i].line]; l != nil && !l.rivaled {
				l.Rivals = append(l.Rivals, found[i].Member)
			}
		}
		for _, id := range p.ids {
			ps.byID[id].rivaled = true
		}
		for _, at := range p.places {
			if l := ps.at[at]; l != nil {
				l.rivaled = true
			}
		}
		return err
	}}
}

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
		if l.Clear() && !l.asked {
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

// next gives the turn, and returns the lines in which some left without getting it.
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
		changes, more := l.Next(firsts[id])
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
	if len(stay) > 0 && len(gone) > 0 {
		rs = append(rs, request{qLockMoved, ints(keys), nil})
	}
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
func (ps *positions) writePositions() []request {
	type row struct {
		*position
		data []byte
	}
	var rows []row
	for _, l := range ps.byID {
		data := pack.Position(&l.Position)
		if !l.touched && (l.was == nil && l.untouched() || bytes.Equal(data, l.was) && l.Waiting == l.wasWaiting && l.queue == l.wasQueue) {
			continue
		}
		rows = append(rows, row{l, data})
		l.touched, l.was, l.wasWaiting, l.wasQueue = false, data, l.Waiting, l.queue
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	return []request{{qSetPositions, func(cs *columns) {
		for _, r := range rows {
			cs.row(0).int8(r.id).int4(r.queue).int8(r.Head.Key).int4(int32(r.Waiting)).time(wakeOf(&r.Position)).time(ps.now).blob(r.data)
		}
	}, nil}}
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

// ints fills one column of numbers.
func ints(ns []int64) func(*columns) {
	return func(cs *columns) {
		for _, n := range ns {
			cs.row(0).int8(n)
		}
	}
}

// patterns are those that a delivery comes after, as a row has them.
func patterns(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
