package postgres

import (
	"context"
	"fmt"
	"slices"
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
	made       bool    // there is no row yet
	stood      bool    // Standing was read
	rivaled    bool    // Rivals were
	touched    bool    // something joined: whoever deletes it is to see that
	asked      bool    // whose turn it is, and nothing came since
	tried      *member // the head, which was tried in vain: it may have to yield
	news       bool    // patterns of prerequisites were fulfilled
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
	drawn map[place]int64             // numbers for positions, in case they are not there
	made  []*position                 // that there was no row of
}

func (s *session) positions() *positions {
	return &positions{session: s, now: s.s.time(), byID: map[int64]*position{}, at: map[place]*position{}, moves: map[int64]*move{},
		fresh: map[int64]*seawall.Delivery{}, freed: map[int64]bool{}, drawn: map[place]int64{}}
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
	d.round, d.since IS NULL, coalesce((SELECT e.version FROM event e WHERE e.seq = d.id >> 15 AND e.part = d.part), '')`
)

var positionTypes = []uint32{oidInt8, oidInt4, oidInt8, oidInt4, oidTime, oidTime, oidBytes}

var (
	// Numbers for positions that may be missing, one for each of them.
	qDrawPositions = &statement{"seawall_draw_positions", "SELECT nextval('position_id_seq') FROM unnest($1::int4[])", []uint32{oidInt4}}

	// Where another transaction makes one of them first, this one begins anew.
	qInsertPositions = &statement{"seawall_insert_positions", `INSERT INTO position (id, queue, head, waiting, wake, at, data, destination, entity)
	OVERRIDING SYSTEM VALUE
	SELECT x.* FROM (SELECT unnest($1::int8[]), unnest($2::int4[]), unnest($3::int8[]), unnest($4::int4[]), unnest($5::timestamptz[]),
		unnest($6::timestamptz[]), unnest($7::bytea[]), unnest($8::int4[]), unnest($9::text[])) x`,
		slices.Concat(positionTypes, []uint32{oidInt4, oidText})}

	qLockPositions = &statement{"seawall_lock_positions", `SELECT p.id, p.destination, p.entity, p.queue, p.waiting, p.data FROM position p
	WHERE ` + which + ` ORDER BY p.id FOR NO KEY UPDATE OF p`, whichTypes}

	qLockIDs = &statement{"seawall_lock_ids", `SELECT p.id, p.destination, p.entity, p.queue, p.waiting, p.data FROM position p
	WHERE p.id = ANY ($1::int8[]) ORDER BY p.id FOR NO KEY UPDATE OF p`, []uint32{oidInt8}}

	qLockOf = &statement{"seawall_lock_of", `SELECT FROM position p
	WHERE p.id = ANY (ARRAY(SELECT line FROM delivery WHERE id = ANY ($1::int8[]) AND line IS NOT NULL)) ORDER BY p.id FOR NO KEY UPDATE OF p`,
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
		f.finished, f.flags, f.rank, '', f.round, f.since IS NULL, coalesce((SELECT e.version FROM event e WHERE e.seq = f.id >> 15 AND e.part = f.part), ''), f.entity
	FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int4[]) AS part) x
	CROSS JOIN LATERAL (SELECT * FROM finished WHERE id = x.id AND part IN (x.part, 0) OFFSET 0) f
	WHERE f.flags & ` + fmt.Sprint(pack.FlagsOrder) + `::int2 <> 0 AND f.entity IS NOT NULL`, []uint32{oidInt8, oidInt4}}

	qAwaiting = &statement{"seawall_awaiting", `SELECT ` + memberColumns + ` FROM (SELECT unnest($1::int8[]) AS line) l
	CROSS JOIN LATERAL (SELECT * FROM delivery WHERE line = l.line AND state = 1 AND reason = 'prerequisite' OFFSET 0) d ORDER BY d.id`, []uint32{oidInt8}}

	// Each row is looked up by its number and then written where it is: a join with
	// the table might be planned to read all of it for each row, or all that is to be
	// written, by who thinks that it is one. The rows are locked: none moves meanwhile.
	qSetPositions = &statement{"seawall_set_positions", `UPDATE position p SET queue = x.queue, head = x.head, waiting = x.waiting,
		wake = x.wake, at = x.at, data = x.data
	FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int4[]) AS queue, unnest($3::int8[]) AS head, unnest($4::int4[]) AS waiting,
		unnest($5::timestamptz[]) AS wake, unnest($6::timestamptz[]) AS at, unnest($7::bytea[]) AS data) x
	CROSS JOIN LATERAL (SELECT ctid AS place FROM position WHERE id = x.id OFFSET 0) there
	WHERE p.ctid = there.place`, positionTypes}

	// They are locked and then looked up one by one, as positions are.
	qLockMoved = &statement{"seawall_lock_moved", `SELECT FROM delivery d WHERE d.id = ANY ($1::int8[]) ORDER BY d.id FOR UPDATE OF d`, []uint32{oidInt8}}

	qMoved = &statement{"seawall_moved", `UPDATE delivery d SET state = x.state, reason = x.reason, due = x.due, flags = d.flags | x.flags,
		rank = coalesce(x.rank, d.rank), awaits = CASE WHEN x.rank IS NULL THEN d.awaits END
	FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int2[]) AS state, unnest($3::text[]) AS reason, unnest($4::timestamptz[]) AS due,
		unnest($5::int2[]) AS flags, unnest($6::bytea[]) AS rank) x
	CROSS JOIN LATERAL (SELECT ctid AS place FROM delivery WHERE id = x.id OFFSET 0) there
	WHERE d.ctid = there.place`, []uint32{oidInt8, oidInt2, oidText, oidTime, oidInt2, oidBytes}}

	qMovedOut = &statement{"seawall_moved_out", `WITH gone AS (
	DELETE FROM delivery d USING (SELECT unnest($1::int8[]) AS id, unnest($2::int2[]) AS state, unnest($3::text[]) AS reason,
		unnest($4::timestamptz[]) AS at, unnest($5::int2[]) AS flags, unnest($6::bytea[]) AS rank) x
	CROSS JOIN LATERAL (SELECT ctid AS place FROM delivery WHERE id = x.id OFFSET 0) there
	WHERE d.ctid = there.place RETURNING d.*, x.state AS to_state, x.at AS at, x.reason AS why, x.flags AS more
	)
	INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, since, created,
		reason, entity, rank, origin)
	SELECT part, id, event, queue, to_state, at, size, route, revision, flags & ~12::int2 | more, attempts, round, since, created,
		why, entity, rank, origin FROM gone`, []uint32{oidInt8, oidInt2, oidText, oidTime, oidInt2, oidBytes}}
)

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

// drawFor is the request that draws numbers for places whose positions may be missing.
func (ps *positions) drawFor(places []place) request {
	fill := func(cs *columns) {
		for _, at := range places {
			cs.row(0).int4(at.destination)
		}
	}
	return request{qDrawPositions, fill, func(rows pgx.Rows) error {
		ids, err := numbers(rows, nil)
		if err == nil && len(ids) != len(places) {
			err = errRows
		}
		if err != nil {
			return err
		}
		for i, at := range places {
			ps.drawn[at] = ids[i]
		}
		return nil
	}}
}

// position is one of those that were looked for. Where there is none it is made: it is
// not locked but written when the transaction ends, and whoever else makes it comes
// before or after.
func (ps *positions) position(at place, queue int32) (*position, error) {
	if l := ps.at[at]; l != nil {
		return l, nil
	}
	id, ok := ps.drawn[at]
	if !ok {
		return nil, errMoved // it has expired, or ended before its position was locked
	}
	l := &position{place: at, id: id, queue: queue, made: true}
	l.Now = ps.now
	ps.byID[id], ps.at[at] = l, l
	ps.made = append(ps.made, l)
	return l, nil
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
		rs = append([]request{ps.drawFor(p.places)}, rs...)
	}
	if err := s.send(ctx, rs...); err != nil {
		return nil, nil, err
	}
	for i := range ended {
		at, err := s.s.placeOf(ctx, &ended[i])
		if err != nil {
			return nil, nil, err
		}
		l, err := ps.position(at, ended[i].queue)
		if err != nil {
			return nil, nil, err
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
			if l := ps.byID[id]; l != nil { // else it has expired
				l.rivaled = true
			}
		}
		for _, at := range p.places {
			if l := ps.at[at]; l != nil {
				l.rivaled = true
			}
		}
		return err
	}}
}

// ints fills one column of numbers.
func ints(ns []int64) func(*columns) {
	return func(cs *columns) {
		for _, n := range ns {
			cs.row(0).int8(n)
		}
	}
}
