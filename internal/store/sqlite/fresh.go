package sqlite

import (
	"context"
	"slices"
	"sync"

	"github.com/seawall-dev/seawall/seawall"
)

// Most deliveries end within milliseconds of being accepted. A row in the hot table,
// written with the event and deleted with the outcome, would be four of the nine
// changes to trees that such an event makes. So one that may be sent at once is fresh
// at first: its event's row says what its own would say, the writer has it in memory,
// and it gets its row only when something is to be said of it other than that it has
// ended, when somebody looks, or when many came after it.
//
// Up to the mark nothing is fresh. Whoever opens the store next makes the rows that
// are missing of the events after it (recover.go).

const (
	// freshSpan is how many events later a delivery gets its row at the latest. It
	// bounds what is in memory, and what the next process looks through.
	freshSpan = 1024
	// freshEach bounds the fresh deliveries of one event.
	freshEach = 8
	// markStep is by how much the mark moves at least: each move writes a row.
	markStep = 256
)

// fresh is a delivery without a row: pending, never tried, due since its event came.
type fresh struct {
	queue, route, flags int64
	revision, due       int64
	entity              string
}

func (f *fresh) standing() standing {
	return standing{queue: f.queue, state: seawall.Pending, route: f.route, revision: f.revision, flags: f.flags, entity: f.entity, due: f.due}
}

// freshOnes are those that the writer holds.
type freshOnes struct {
	rows map[int64]fresh // by key
	keys []int64         // as they came; some may have gone
	mark int64           // as it is written
}

// freshChange is one that came or went in a transaction.
type freshChange struct {
	key  int64
	it   fresh
	came bool
}

// isFresh tells whether a delivery has no row yet.
func (t *txn) isFresh(key int64) bool {
	_, ok := t.fresh.rows[key]
	return ok
}

func (t *txn) addFresh(key int64, f fresh) {
	t.fresh.rows[key] = f
	t.fresh.keys = append(t.fresh.keys, key)
	t.renewed = append(t.renewed, freshChange{key, f, true})
}

// takeFresh makes a delivery fresh no longer; false if it was not.
func (t *txn) takeFresh(key int64) (f fresh, ok bool) {
	if f, ok = t.fresh.rows[key]; ok {
		delete(t.fresh.rows, key)
		t.renewed = append(t.renewed, freshChange{key, f, false})
	}
	return f, ok
}

// undoFresh takes back what changed since.
func (t *txn) undoFresh(since int) {
	for i := len(t.renewed) - 1; i >= since; i-- {
		if c := t.renewed[i]; c.came {
			delete(t.fresh.rows, c.key)
			t.fresh.keys = t.fresh.keys[:len(t.fresh.keys)-1]
		} else {
			t.fresh.rows[c.key] = c.it
		}
	}
	t.renewed = t.renewed[:since]
}

// holdBack makes fresh those of an event's deliveries that may be, and returns what
// the event's row is to say of them.
func (t *txn) holdBack(a *acceptance, seq int64) (said []byte, err error) {
	if !t.s.holdsBack || len(a.Deliveries) > freshEach {
		return nil, nil
	}
	e := a.Event
	for i := range a.Deliveries {
		d := &a.Deliveries[i]
		if !plain(d, e) {
			continue
		}
		f := fresh{flags: deliveryFlags(d), revision: d.Revision, due: e.ReceivedAt.UnixMicro(), entity: d.Entity}
		if f.queue, err = t.queueOf(d.Destination, d.System, d.Shard); err != nil {
			return nil, err
		}
		if f.route, err = t.name(d.Route); err != nil {
			return nil, err
		}
		key := deliveryKey(seq, d.ID.N())
		if t.isFresh(key) {
			return nil, seawall.Errorf(seawall.ErrConflict, "accept %s: it has two deliveries %s", e.ID, d.ID)
		}
		t.addFresh(key, f)
		t.moved(f.queue, seawall.Pending, 1)
		said = appendFresh(said, d.ID.N(), &f)
	}
	return said, nil
}

// plain tells whether a delivery is what its event says and no more.
func plain(d *seawall.Delivery, e *seawall.Event) bool {
	return d.State == seawall.Pending && d.Reason == "" && d.Attempts == 0 && d.Round == 0 &&
		!d.Lined() && len(d.Rank) == 0 && len(d.After) == 0 &&
		d.Revision == e.Revision && (d.Entity == "" || d.Entity == e.Entity) &&
		unless(d.Due, e.ReceivedAt).IsZero() && unless(d.Since, e.ReceivedAt).IsZero() && unless(d.Created, e.ReceivedAt).IsZero()
}

var qMakeRow = newQuery(`INSERT INTO unfinished (id, queue, state, due, route, revision, flags, attempts, round, entity)
	VALUES (?, ?, 0, ?, ?, ?, ?, 0, 0, ?) ON CONFLICT DO NOTHING`)

// makeRow gives a delivery its row, if it is fresh. Where one is there already, which
// only a damaged store has, it stands: the others go on (G7).
func (t *txn) makeRow(key int64) error {
	f, ok := t.takeFresh(key)
	if !ok {
		return nil
	}
	err := t.use(qMakeRow).int(key).int(f.queue).int(f.due).int(f.route).int(f.revision).int(f.flags).text(f.entity).exec()
	if err == nil && t.changes() == 0 {
		t.moved(f.queue, seawall.Pending, -1)
		var id seawall.EventID
		if id, err = t.eventID(keyEvent(key)); err == nil {
			t.s.log.Error("a delivery that was just accepted has a row already, and may not be sent: run seawall doctor", "delivery", id.Delivery(keyN(key)).String())
		}
	}
	return err
}

// everyQueue is the number of no queue.
const everyQueue = 0

// makeRows does so for all that are fresh in a queue, or in every one.
func (t *txn) makeRows(queue int64) error {
	if len(t.fresh.rows) == 0 {
		return nil
	}
	for _, key := range t.fresh.keys {
		if f, ok := t.fresh.rows[key]; ok && (queue == everyQueue || f.queue == queue) {
			if err := t.makeRow(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// age gives those their row that have been fresh for long, and moves the mark. It
// comes before all else in a transaction: what has gone by then does not come back. A
// process beside the one that serves knows nothing of what is fresh.
func (t *txn) age() error {
	if !t.s.holdsBack {
		return nil
	}
	o := &t.fresh
	gone := 0
	for gone < len(o.keys) && !t.isFresh(o.keys[gone]) {
		gone++
	}
	o.keys = slices.Delete(o.keys, 0, gone)
	oldest := t.seq + 1
	for _, key := range o.keys {
		if !t.isFresh(key) {
			continue
		}
		if oldest = keyEvent(key); t.seq-oldest < freshSpan {
			break
		}
		if err := t.makeRow(key); err != nil {
			return err
		}
		oldest = t.seq + 1
	}
	if oldest-1-o.mark < markStep {
		return nil
	}
	return t.setMark(oldest - 1)
}

// setMark says that no delivery of an event up to seq is fresh.
func (t *txn) setMark(seq int64) error {
	o, before := &t.fresh, t.fresh.mark
	t.onUndo(func() { o.mark = before })
	o.mark = seq
	return t.use(qSetMemo).word(memoFresh).int(seq).exec()
}

// clearFresh leaves none.
func (t *txn) clearFresh() error {
	if err := t.makeRows(everyQueue); err != nil {
		return err
	}
	return t.setMark(t.seq)
}

// freshCount counts what is fresh in each queue, as far as it is committed.
type freshCount struct {
	mu     sync.Mutex
	queues map[int64]int
	all    int
}

func (n *freshCount) apply(changes []freshChange) {
	if len(changes) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range changes {
		by := -1
		if changes[i].came {
			by = 1
		}
		n.queues[changes[i].it.queue] += by
		n.all += by
	}
}

func (n *freshCount) of(queue int64) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if queue == everyQueue {
		return n.all
	}
	return n.queues[queue]
}

// show has fresh deliveries get their rows, a queue's or all: who reads the hot table
// asks for it first. Where nothing can be written, what has a row is still to be seen.
func (s *Store) show(ctx context.Context, queue int64) error {
	if s.fresh.of(queue) == 0 {
		return nil
	}
	err := s.do(ctx, &op{size: 1024, along: true, urgent: true, run: func(t *txn) error { return t.makeRows(queue) }})
	if err != nil && ctx.Err() == nil {
		s.log.Debug("deliveries that came just now are not shown", "error", err)
	}
	return err
}
