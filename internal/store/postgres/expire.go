package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
)

// What is past its retention goes in one of two ways. A day that is past it as a
// whole is looked through once: what must stay moves to part 0, the dedupe keys
// of the rest are deleted, and then its tables are dropped. In part 0, and where
// the retention is shorter than a day or two, rows are deleted.

// sweep is how far deletion of rows has come. What is found that may not go yet
// (still waiting, or a dead letter) is left behind the mark and not looked at
// again until the next sweep, or a large backlog would be read through each time.
type sweep struct {
	mu      sync.Mutex
	mark    int64     // highest sequence number looked at
	began   time.Time // when the sweep began
	resting bool      // all that is old enough was looked at

	day     int32     // that is being given up; 0: none
	dayMark int64     // highest sequence number of it that was looked at
	looked  bool      // through to its end
	busy    time.Time // when its tables were last not to be had

	lineMark int64     // highest position looked at
	lines    time.Time // when the sweep of positions began
	rested   bool      // all were looked at
}

// sweepEvery is how long what was left behind waits for the next sweep, and
// dropEvery how long a day whose tables were not to be had.
const (
	sweepEvery = time.Hour
	dropEvery  = time.Minute
)

const (
	expireChunk = 200 // events deleted in one transaction unless the caller says so
	lookFactor  = 5   // events looked at for each that may be deleted

	// wholeDays is the retention from which on days are dropped as a whole;
	// below it rows are deleted as they come of age.
	wholeDays = 48 * time.Hour
)

func (s *Store) Expire(ctx context.Context, o store.Expiry) (deleted int, more bool, err error) {
	if o.Limit <= 0 {
		o.Limit = expireChunk
	}
	w := &s.sweep
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := s.addDays(ctx); err != nil {
		return 0, false, err
	}
	if o, err = s.notAhead(ctx, o); err != nil {
		return 0, false, err
	}
	if day, ok := s.pastDay(w, o); ok {
		deleted, went, err := s.giveUp(ctx, w, day, o)
		if err != nil || went {
			return deleted, true, judge(err)
		}
	}
	if deleted, more, err = s.sweepOn(ctx, w, o); err != nil || more || o.Lines.IsZero() {
		return deleted, more, err
	}
	more, err = s.sweepLines(ctx, w, o)
	return deleted, more, judge(err)
}

const (
	qLines = "SELECT id FROM position WHERE id > $1 ORDER BY id LIMIT $2"

	// What joins a line writes its position, under a lock that this waits for.
	qDropLines = `DELETE FROM position p WHERE p.id = ANY ($1) AND p.at < $2 AND p.head = 0 AND p.waiting = 0 AND p.wake IS NULL
		AND (SELECT d.id FROM delivery d WHERE d.line = p.id AND d.state = 1 AND d.reason = 'prerequisite' LIMIT 1) IS NULL`
)

// sweepLines deletes positions that have not changed for long, a stretch at a time.
func (s *Store) sweepLines(ctx context.Context, w *sweep, o store.Expiry) (more bool, err error) {
	if w.lines.IsZero() || w.rested && o.Now.Sub(w.lines) >= sweepEvery {
		w.lineMark, w.lines, w.rested = 0, o.Now, false
	}
	if w.rested {
		return false, nil
	}
	look := o.Limit * lookFactor
	ids, err := numbers(s.pool.Query(ctx, qLines, w.lineMark, look))
	if err != nil {
		return false, err
	}
	if len(ids) > 0 {
		if _, err := s.pool.Exec(ctx, qDropLines, ids, o.Lines); err != nil {
			return false, err
		}
		w.lineMark = ids[len(ids)-1]
	}
	w.rested = len(ids) < look
	return !w.rested, nil
}

// notAhead goes by the database's clock if this node's is ahead of it: one that is
// a month ahead would delete what the others still need, dedupe keys too.
func (s *Store) notAhead(ctx context.Context, o store.Expiry) (store.Expiry, error) {
	var theirs time.Time
	if err := s.pool.QueryRow(ctx, "SELECT "+now, s.clock()).Scan(&theirs); err != nil {
		return o, judge(err)
	}
	if ahead := o.Now.Sub(theirs); ahead > 0 {
		o.Now, o.Events, o.Dead = o.Now.Add(-ahead), o.Events.Add(-ahead), o.Dead.Add(-ahead)
		if !o.Lines.IsZero() {
			o.Lines = o.Lines.Add(-ahead)
		}
	}
	return o, nil
}

// pastDay returns the oldest day that is past its retention as a whole.
func (s *Store) pastDay(w *sweep, o store.Expiry) (int32, bool) {
	if o.Now.Sub(w.busy) < dropEvery && !w.busy.After(o.Now) {
		return 0, false
	}
	for _, day := range s.days.sorted() {
		return day, day < dayAt(o.Now)-daysBehind && !dayEnd(day).After(o.Events)
	}
	return 0, false
}

// giveUp takes the next step in giving up a day; false if its tables are not to
// be had now.
func (s *Store) giveUp(ctx context.Context, w *sweep, day int32, o store.Expiry) (deleted int, went bool, err error) {
	if w.day != day {
		if err := s.closeDay(ctx, day); err != nil {
			return 0, false, err
		}
		w.day, w.dayMark, w.looked = day, 0, false
	}
	if !w.looked {
		var last int64
		err := s.change(ctx, func(tx pgx.Tx) error {
			deleted, last = 0, w.dayMark
			olds, err := s.olds(ctx, tx, qOldOfDay, w.dayMark, o.Limit, day)
			if err != nil || len(olds) == 0 {
				return err
			}
			last = olds[len(olds)-1].seq
			going, staying, err := s.judgeOld(ctx, tx, olds, o)
			if err != nil {
				return err
			}
			deleted = len(going)
			if err := keepAll(ctx, tx, staying, day); err != nil {
				return err
			}
			return dropKeys(ctx, tx, going)
		})
		if err != nil {
			return 0, false, err
		}
		w.looked, w.dayMark = last == w.dayMark, last
		return deleted, true, nil
	}
	dropped, busy, err := s.dropDay(ctx, day, w.dayMark)
	switch {
	case err != nil:
		return 0, false, err
	case busy:
		w.busy = o.Now
		return 0, false, nil
	case !dropped:
		w.looked = false // some came meanwhile
	default:
		s.log.Info("day dropped", "day", dayEnd(day-1).Format(time.DateOnly))
	}
	return 0, true, nil
}

// closeDay says that a day is being given up. When it returns, nothing is put
// back into the queue out of that day any more but into part 0.
func (s *Store) closeDay(ctx context.Context, day int32) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO memo (key, value) VALUES ('closing', $1)
		ON CONFLICT (key) DO UPDATE SET value = greatest(memo.value, excluded.value)`, int64(day))
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, lockExclusive, lockDays) // those who did not see it are done
	return err
}

// sweepOn deletes rows: of part 0 or, while the retention is short, of all.
func (s *Store) sweepOn(ctx context.Context, w *sweep, o store.Expiry) (deleted int, more bool, err error) {
	if w.began.IsZero() || w.resting && o.Now.Sub(w.began) >= sweepEvery {
		w.mark, w.began, w.resting = 0, o.Now, false
	}
	sql := qOldKept
	if o.Now.Sub(o.Events) < wholeDays {
		sql = qOld
	}
	look, mark := o.Limit*lookFactor, w.mark
	err = s.change(ctx, func(tx pgx.Tx) error {
		deleted, mark, more = 0, w.mark, false
		olds, err := s.olds(ctx, tx, sql, w.mark, look)
		if err != nil {
			return err
		}
		more = len(olds) == look
		for i, e := range olds {
			if !e.received.Before(o.Events) {
				olds, more = olds[:i], false
				break
			}
		}
		if len(olds) == 0 {
			return nil
		}
		going, _, err := s.judgeOld(ctx, tx, olds, o)
		if err != nil {
			return err
		}
		mark = olds[len(olds)-1].seq
		if len(going) > o.Limit {
			mark, more = going[o.Limit].seq-1, true
			going = going[:o.Limit]
		}
		deleted = len(going)
		return drop(ctx, tx, going)
	})
	if err != nil {
		return 0, false, err
	}
	w.mark, w.resting = mark, !more
	return deleted, more, nil
}

// old is an event that may have come of age.
type old struct {
	seq         int64
	part        int32
	id          [16]byte
	received    time.Time
	source      int32
	sourceID    []byte
	flags       int16
	waits, dead bool
}

const (
	selectOld = `SELECT e.seq, e.part, e.id, e.received, e.source, e.source_id, e.flags,
		EXISTS (SELECT FROM delivery d WHERE d.id BETWEEN e.seq << 15 AND (e.seq << 15) + 32767),
		EXISTS (SELECT FROM finished d WHERE d.state = 4 AND d.id BETWEEN e.seq << 15 AND (e.seq << 15) + 32767 AND d.part = e.part)
		FROM event e WHERE e.seq > $1`
	qOld      = selectOld + " ORDER BY e.seq LIMIT $2"
	qOldKept  = selectOld + " AND e.part = 0 ORDER BY e.seq LIMIT $2"
	qOldOfDay = selectOld + " AND e.part = $3 ORDER BY e.seq LIMIT $2"
)

// olds returns events past the mark. Nothing is put back into the queue until
// the transaction ends.
func (s *Store) olds(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]old, error) {
	if _, err := tx.Exec(ctx, lockExclusive, lockDays); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e old, err error) {
		return e, row.Scan(&e.seq, &e.part, &e.id, &e.received, &e.source, &e.sourceID, &e.flags, &e.waits, &e.dead)
	})
}

// judgeOld tells which events may go. One whose key is within its horizon stays,
// since a duplicate is answered with its id.
func (s *Store) judgeOld(ctx context.Context, tx pgx.Tx, olds []old, o store.Expiry) (going, staying []old, err error) {
	held, err := heldKeys(ctx, tx, olds, o.Now)
	if err != nil {
		return nil, nil, err
	}
	blocks, err := s.blocks(ctx, tx, olds, held, o)
	if err != nil {
		return nil, nil, err
	}
	for i, e := range olds {
		if e.waits || !e.received.Before(o.Events) || e.dead && (!e.received.Before(o.Dead) || blocks[e.seq]) || held[i] {
			staying = append(staying, e)
		} else {
			going = append(going, e)
		}
	}
	return going, staying, nil
}

const qBlocks = `SELECT f.id, coalesce(f.origin, f.queue), f.entity FROM unnest($1::int8[], $2::int4[]) u (seq, part)
	CROSS JOIN LATERAL (SELECT * FROM finished f WHERE f.state = 4 AND f.id BETWEEN u.seq << 15 AND (u.seq << 15) + 32767 AND f.part = u.part OFFSET 0) f
	WHERE f.flags & 96::int2 = 32 AND f.entity IS NOT NULL`

// blocks are the events, by their numbers, whose dead delivery holds others up: it
// stays, or nobody could say that they are to go on. One that holds nobody up is
// forgotten in its position.
func (s *Store) blocks(ctx context.Context, tx pgx.Tx, olds []old, held map[int]bool, o store.Expiry) (map[int64]bool, error) {
	var seqs []int64
	var parts []int32
	for i, e := range olds {
		if e.dead && e.received.Before(o.Dead) && !held[i] {
			seqs, parts = append(seqs, e.seq), append(parts, e.part)
		}
	}
	if len(seqs) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, qBlocks, seqs, parts)
	if err != nil {
		return nil, err
	}
	at, add := map[int64]place{}, planner{seen: map[place]bool{}}
	queues := map[int64]int32{}
	var key int64
	var queue int32
	var entity string
	_, err = pgx.ForEachRow(rows, []any{&key, &queue, &entity}, func() error {
		at[key], queues[key] = place{entity: entity}, queue
		return nil
	})
	if err != nil || len(at) == 0 {
		return nil, err
	}
	for key, p := range at {
		l, err := s.names.line(ctx, queues[key])
		if err != nil {
			return nil, err
		}
		if p.destination, err = s.names.id(ctx, l.destination); err != nil {
			return nil, err
		}
		at[key] = p
		add.add(p, queues[key])
	}
	ps := s.within(tx).positions()
	if err := ps.send(ctx, ps.lock(pick{places: add.places})); err != nil {
		return nil, err
	}
	out := map[int64]bool{}
	for key, p := range at {
		l := ps.at[p]
		switch {
		case l == nil || !l.Blocks(key):
		case l.Waiting > 0:
			out[keyEvent(key)] = true
		default:
			l.Unblock(key)
		}
	}
	return out, ps.send(ctx, ps.write()...)
}

// keyColumns are the dedupe keys of events, by column.
func keyColumns(olds []old) (sources []int32, keys [][]byte, events [][16]byte) {
	for _, e := range olds {
		var key []byte // NULL, and equal to none, for what has no key
		if e.flags&flagKeyless == 0 {
			key = dedupeKey(string(e.sourceID))
		}
		sources, keys, events = append(sources, e.source), append(keys, key), append(events, e.id)
	}
	return sources, keys, events
}

const ofKeys = `unnest($1::integer[], $2::bytea[], $3::uuid[]) WITH ORDINALITY u (source, key, event, i)`

// heldKeys tells which events have a key within its horizon.
func heldKeys(ctx context.Context, tx pgx.Tx, olds []old, now time.Time) (map[int]bool, error) {
	sources, keys, events := keyColumns(olds)
	rows, err := tx.Query(ctx, `SELECT u.i::integer - 1 FROM `+ofKeys+`
		JOIN dedupe d ON d.source = u.source AND d.key = u.key WHERE d.event = u.event AND d.expires > $4`, sources, keys, events, now)
	if err != nil {
		return nil, err
	}
	held := map[int]bool{}
	var i int
	_, err = pgx.ForEachRow(rows, []any{&i}, func() error { held[i] = true; return nil })
	return held, err
}

// dropKeys deletes what refers to events from outside of their part: keys,
// arrivals, counts of repeats and answers.
func dropKeys(ctx context.Context, tx pgx.Tx, olds []old) error {
	if len(olds) == 0 {
		return nil
	}
	sources, keys, events := keyColumns(olds)
	seqs := make([]int64, len(olds))
	for i, e := range olds {
		seqs[i] = e.seq
	}
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM dedupe d USING `+ofKeys+` WHERE d.source = u.source AND d.key = u.key AND d.event = u.event`, sources, keys, events)
	b.Queue("DELETE FROM arrival WHERE event IS NOT NULL AND event = ANY ($1)", events)
	b.Queue("DELETE FROM repeat WHERE event = ANY ($1)", events)
	b.Queue("DELETE FROM unresolved WHERE event = ANY ($1)", events)
	b.Queue("DELETE FROM answer a USING unnest($1::bigint[]) u (seq) WHERE a.delivery BETWEEN u.seq << 15 AND (u.seq << 15) + 32767", seqs)
	return tx.SendBatch(ctx, b).Close()
}

// drop deletes events with all that belongs to them.
func drop(ctx context.Context, tx pgx.Tx, olds []old) error {
	if err := dropKeys(ctx, tx, olds); err != nil || len(olds) == 0 {
		return err
	}
	seqs, parts := make([]int64, len(olds)), make([]int32, len(olds))
	for i, e := range olds {
		seqs[i], parts[i] = e.seq, e.part
	}
	b := &pgx.Batch{}
	const of = " USING unnest($1::bigint[], $2::integer[]) u (seq, part) WHERE "
	b.Queue("DELETE FROM finished d"+of+"d.id BETWEEN u.seq << 15 AND (u.seq << 15) + 32767 AND d.part = u.part", seqs, parts)
	b.Queue("DELETE FROM attempt d"+of+"d.delivery BETWEEN u.seq << 15 AND (u.seq << 15) + 32767 AND d.part = u.part", seqs, parts)
	b.Queue("DELETE FROM event d"+of+"d.seq = u.seq AND d.part = u.part", seqs, parts)
	return tx.SendBatch(ctx, b).Close()
}

// keepAll moves events of a day to part 0, with all that belongs to them. The
// unfinished deliveries go first: whoever settles one now either has done so,
// and the statements after see it, or waits and finds part 0 in its row.
func keepAll(ctx context.Context, tx pgx.Tx, olds []old, day int32) error {
	if len(olds) == 0 {
		return nil
	}
	seqs := make([]int64, len(olds))
	for i, e := range olds {
		seqs[i] = e.seq
	}
	b := &pgx.Batch{}
	const of = " SET part = 0 FROM unnest($1::bigint[]) u (seq) WHERE "
	b.Queue("UPDATE delivery d"+of+"d.id BETWEEN u.seq << 15 AND (u.seq << 15) + 32767", seqs)
	b.Queue("UPDATE finished d"+of+"d.id BETWEEN u.seq << 15 AND (u.seq << 15) + 32767 AND d.part = $2", seqs, day)
	b.Queue("UPDATE attempt d"+of+"d.delivery BETWEEN u.seq << 15 AND (u.seq << 15) + 32767 AND d.part = $2", seqs, day)
	b.Queue("UPDATE event d"+of+"d.seq = u.seq AND d.part = $2", seqs, day)
	return tx.SendBatch(ctx, b).Close()
}

// keep moves one event of a day to part 0.
func keep(ctx context.Context, tx pgx.Tx, seq int64, day int32) error {
	return keepAll(ctx, tx, []old{{seq: seq}}, day)
}
