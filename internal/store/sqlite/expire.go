package sqlite

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// sweep is how far deletion has come. What is found that may not go yet (still
// waiting, or a dead letter) is left behind the mark and not looked at again
// until the next sweep, or a large backlog would be read through each time.
type sweep struct {
	mark    int64     // highest sequence number looked at
	began   time.Time // when the sweep began
	lines   int64     // highest number of a position looked at
	resting bool      // all that is old enough was looked at
}

// sweepEvery is how long what was left behind waits for the next sweep.
const sweepEvery = time.Hour

const (
	expireChunk = 200 // events deleted in one transaction unless the caller says so
	lookFactor  = 5   // events looked at for each that may be deleted
	vacuumChunk = 100 // pages given back in one transaction
)

var (
	qOld = newQuery(`SELECT e.seq, e.received, e.source, e.source_id, e.flags,
		EXISTS (SELECT 1 FROM unfinished WHERE id BETWEEN e.seq << 15 AND (e.seq << 15) + 32767),
		EXISTS (SELECT 1 FROM finished WHERE state = 4 AND id BETWEEN e.seq << 15 AND (e.seq << 15) + 32767)
		FROM event e WHERE e.seq > ? ORDER BY e.seq LIMIT ?`)
	qOldLines = newQuery(`SELECT id, at, head <> 0 OR waiting <> 0 OR block IS NOT NULL
		OR EXISTS (SELECT 1 FROM unfinished INDEXED BY unfinished_aside WHERE line = p.id AND state = 1 AND line IS NOT NULL AND reason NOT IN ('earlier', 'settle'))
		FROM position p WHERE id > ? ORDER BY id LIMIT ?`)
	qDropLine   = newQuery("DELETE FROM position WHERE id = ?")
	qDeadInLine = newQuery("SELECT id FROM finished WHERE id BETWEEN ? AND ? AND state = 4 AND flags & 96 = 32")

	qDropKey      = newQuery("DELETE FROM dedupe WHERE key = ? AND event = ?")
	qDropEvent    = newQuery("DELETE FROM event WHERE seq = ?")
	qDropFinished = newQuery("DELETE FROM finished WHERE id BETWEEN ? AND ?")
	qDropAttempts = newQuery("DELETE FROM attempt WHERE delivery BETWEEN ? AND ?")
	qDropArrivals = newQuery("DELETE FROM arrival WHERE event = ?")
	qDropAnswers  = newQuery("DELETE FROM answer WHERE delivery BETWEEN ? AND ?")
	qDropRepeat   = newQuery("DELETE FROM repeat WHERE event = ?")
	qDeadOf       = newQuery("SELECT queue, count(*) FROM finished WHERE id BETWEEN ? AND ? AND state = 4 GROUP BY queue")
)

// old is an event that its age alone allows to delete.
type old struct {
	seq, source int64
	sourceID    string
	keyless     bool
	waits, dead bool
	received    time.Time
}

func (s *Store) Expire(ctx context.Context, o store.Expiry) (deleted int, more bool, err error) {
	if o.Limit <= 0 {
		o.Limit = expireChunk
	}
	err = s.write(ctx, 0, func(t *txn) error {
		deleted, more = 0, false
		if err := t.sweepOn(o, &deleted, &more); err != nil {
			return err
		}
		if more {
			return nil
		}
		more, err = t.vacuum()
		return err
	})
	return deleted, more, err
}

func (t *txn) sweepOn(o store.Expiry, deleted *int, more *bool) error {
	before := t.sweep
	t.onUndo(func() { t.sweep = before })
	if t.sweep.began.IsZero() || t.sweep.resting && o.Now.Sub(t.sweep.began) >= sweepEvery {
		t.sweep = sweep{began: o.Now}
	}
	look := o.Limit * lookFactor
	olds, err := t.olds(o, look)
	if err != nil {
		return err
	}
	for _, e := range olds {
		if *deleted == o.Limit {
			*more = true
			return nil
		}
		t.sweep.mark = e.seq
		gone, err := t.drop(e, o)
		if err != nil {
			return err
		}
		if gone {
			*deleted++
		}
	}
	if *more = len(olds) == look; *more || t.sweep.resting {
		return nil
	}
	if *more, err = t.dropLines(o, look); err != nil {
		return err
	}
	t.sweep.resting = !*more
	return nil
}

// dropLines deletes positions that nothing has changed for long and that nothing
// refers to.
func (t *txn) dropLines(o store.Expiry, look int) (more bool, err error) {
	if o.Lines.IsZero() {
		return false, nil
	}
	var ids []int64
	st := t.use(qOldLines).int(t.sweep.lines).int(int64(look))
	n := 0
	for ; st.next(); n++ {
		t.sweep.lines = st.getInt()
		if at := st.getInt(); at < o.Lines.UnixMicro() && st.getInt() == 0 {
			ids = append(ids, t.sweep.lines)
		}
	}
	if err := st.done(); err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := t.use(qDropLine).int(id).exec(); err != nil {
			return false, err
		}
		t.seen.forget(id)
	}
	return n == look, nil
}

// holdsUp tells whether others wait for a person to say what becomes of one of an
// event's dead letters. free are the lines of those that nobody waits for: they hold
// nobody up any more once they are gone.
func (t *txn) holdsUp(seq int64, free *[]*position) (bool, error) {
	var keys []int64
	st := t.use(qDeadInLine).int(deliveryKey(seq, 0)).int(deliveryKey(seq, seawall.MaxDeliveries))
	for st.next() {
		keys = append(keys, st.getInt())
	}
	if err := st.done(); err != nil {
		return false, err
	}
	for _, key := range keys {
		now, _, err := t.standing(qFinishedNow, key)
		if err != nil {
			return false, err
		}
		p, err := t.position(t.destination(&now), now.entity)
		if err != nil {
			return false, err
		}
		for _, f := range *free { // or two of one line would undo each other
			if p != nil && f.id == p.id {
				p = f
			}
		}
		if p == nil || !p.Blocks(key) {
			continue
		}
		if p.Waiting > 0 {
			return true, nil
		}
		p.Unblock(key)
		*free = append(*free, p)
	}
	return false, nil
}

// olds returns what lies past the mark and is old enough.
func (t *txn) olds(o store.Expiry, limit int) (olds []old, err error) {
	st := t.use(qOld).int(t.sweep.mark).int(int64(limit))
	for st.next() {
		e := old{seq: st.getInt(), received: st.getTime(), source: st.getInt(), sourceID: st.getText()}
		e.keyless = st.getInt()&flagKeyless != 0
		e.waits, e.dead = st.getInt() != 0, st.getInt() != 0
		if !e.received.Before(o.Events) {
			break
		}
		olds = append(olds, e)
	}
	return olds, st.done()
}

// drop deletes an event with all that belongs to it, if it may go.
func (t *txn) drop(e old, o store.Expiry) (bool, error) {
	if e.waits || e.dead && !e.received.Before(o.Dead) {
		return false, nil
	}
	var free []*position
	if e.dead {
		held, err := t.holdsUp(e.seq, &free)
		if err != nil || held {
			return false, err
		}
	}
	if !e.keyless {
		ok, err := t.dropKey(e, o)
		if err != nil || !ok {
			return false, err
		}
	}
	for _, p := range free {
		if err := t.save(p); err != nil {
			return false, err
		}
	}
	from, to := deliveryKey(e.seq, 0), deliveryKey(e.seq, seawall.MaxDeliveries)
	if e.dead {
		st := t.use(qDeadOf).int(from).int(to)
		for st.next() {
			t.moved(st.getInt(), seawall.Dead, -st.getInt())
		}
		if err := st.done(); err != nil {
			return false, err
		}
	}
	if e.seq == t.seq {
		// Its number must not be given again.
		if err := t.use(qSetMemo).word("seq").int(e.seq).exec(); err != nil {
			return false, err
		}
	}
	// Each is run before the next is bound: one that is bound and not run would
	// keep its arguments for its next use.
	for _, q := range []*query{qDropFinished, qDropAttempts, qDropAnswers} {
		if err := t.use(q).int(from).int(to).exec(); err != nil {
			return false, err
		}
	}
	for _, q := range []*query{qDropArrivals, qDropRepeat, qDropUnresolved, qDropEvent} {
		if err := t.use(q).int(e.seq).exec(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// dropKey deletes the event's dedupe key, unless the horizon still holds it:
// then the event stays as well, since a duplicate is answered with its id.
func (t *txn) dropKey(e old, o store.Expiry) (bool, error) {
	key := dedupeKey(e.source, e.sourceID)
	st := t.use(qKey).blob(key)
	if !st.next() {
		return true, st.done()
	}
	event, _, expires := st.getInt(), st.peek(), st.getTime()
	if err := st.done(); err != nil {
		return false, err
	}
	if event != e.seq {
		return true, nil // a later event took the key over
	}
	if expires.After(o.Now) {
		return false, nil
	}
	return true, t.use(qDropKey).blob(key).int(e.seq).exec()
}

var (
	qPages  = newQuery("PRAGMA page_count")
	qFree   = newQuery("PRAGMA freelist_count")
	qVacuum = newQuery("PRAGMA incremental_vacuum(100)")
)

// vacuum gives pages back once more than a tenth of the file is unused. Less is
// what the next events will use: giving it back would only have the file grow
// again.
func (t *txn) vacuum() (more bool, err error) {
	pages, err := one(t.use(qPages))
	if err != nil {
		return false, err
	}
	free, err := one(t.use(qFree))
	if err != nil || free <= max(pages/10, vacuumChunk/2) {
		return false, err
	}
	t.onCommit(func() { t.shrink = true }) // a checkpoint is what truncates the file
	return true, t.use(qVacuum).exec()
}
