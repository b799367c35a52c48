package sqlite

import (
	"context"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// keptFlags are those that a replay leaves as they are; whether a delivery is late
// is found out anew.
var keptFlags = strconv.FormatInt(flagReplayed|pack.FlagsOrder&^pack.FlagLate, 10)

var (
	qRequeue = newQuery(`INSERT INTO unfinished (id, queue, state, due, route, revision, flags, attempts, round,
		since, created, reason, entity, rank) SELECT id, ifnull(origin, queue), 0, ?1, route, revision, (flags & ` + keptFlags + `) | ?2, attempts, 0,
		?1, created, NULL, entity, rank FROM finished WHERE id = ?3`)
	qUnfinish = newQuery("DELETE FROM finished WHERE id = ?")
	qTryAgain = newQuery("UPDATE unfinished SET state = 0, due = ?1, since = ?1, round = 0, flags = (flags & " + keptFlags + `) | ?2, reason = NULL,
		queue = ifnull(origin, queue), origin = NULL, line = NULL, awaits = NULL WHERE id = ?3`)
	qRejoined = newQuery("UPDATE unfinished SET state = ?, due = ?, reason = ?, flags = flags | ?, rank = ?, line = ? WHERE id = ?")

	qRouteOf = newQuery(`SELECT route FROM finished WHERE id = ?1 UNION ALL SELECT route FROM unfinished WHERE id = ?1`)
	qWaits   = newQuery("SELECT 1 FROM unfinished WHERE id BETWEEN ? AND ? AND route = ? AND flags & 2 LIMIT 1")
	qHighest = newQuery(`SELECT max(ifnull((SELECT max(id) FROM unfinished WHERE id BETWEEN ?1 AND ?2), 0),
		ifnull((SELECT max(id) FROM finished WHERE id BETWEEN ?1 AND ?2), 0))`)
	qAnew = newQuery(`INSERT INTO unfinished (id, queue, state, due, route, revision, flags, attempts, round,
		since, created, reason, entity, rank) SELECT ?1, ifnull(origin, queue), 0, ?2, route, revision, (flags & ` + keptFlags + `) | ?3, 0, 0,
		?2, ?4, NULL, entity, rank FROM finished WHERE id = ?5`)
)

func (s *Store) Replay(ctx context.Context, ids []seawall.DeliveryID, o store.ReplayOptions, a seawall.Action) (out []seawall.Delivery, err error) {
	err = s.write(ctx, 256*len(ids), func(t *txn) error {
		out = nil
		due := o.At
		for _, id := range ids {
			key, ok, err := t.keyOf(id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if o.NewID {
				key, ok, err = t.anew(key, due, o, a)
			} else {
				ok, err = t.requeue(key, due, o)
			}
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			ds, err := s.deliveries(t.conn, key, key)
			if err != nil {
				return err
			}
			out = append(out, ds...)
			due = due.Add(o.Every)
		}
		return t.record(a)
	})
	return out, err
}

// requeue moves a finished delivery back into the hot table.
func (t *txn) requeue(key int64, due time.Time, o store.ReplayOptions) (ok bool, err error) {
	now, found, err := t.standing(qFinishedNow, key)
	if err != nil {
		return false, err
	}
	if !found {
		return t.repeat(key, due, o)
	}
	p, m, ok, err := t.rejoin(key, key, &now, o)
	if err != nil || !ok {
		return false, err
	}
	if err := t.lastToAttempts(key); err != nil {
		return false, err
	}
	to, err := t.firstQueue(key, now.queue, qFinishedOrigin)
	if err != nil {
		return false, err
	}
	if err := t.readdress(key, now.queue, to); err != nil {
		return false, err
	}
	if err := t.use(qRequeue).int(due.UnixMicro()).bool(o.Pin).int(key).exec(); err != nil {
		return false, err
	}
	if err := t.use(qUnfinish).int(key).exec(); err != nil {
		return false, err
	}
	t.moved(now.queue, now.state, -1)
	t.moved(to, seawall.Pending, 1)
	return true, t.rejoined(p, m, to, due)
}

// repeat makes a delivery pending that is held for a person.
func (t *txn) repeat(key int64, due time.Time, o store.ReplayOptions) (ok bool, err error) {
	now, found, err := t.standing(qUnfinishedNow, key)
	if d := (seawall.Delivery{State: now.state, Reason: now.reason}); err != nil || !found || !d.Replayable() {
		return false, err
	}
	p, m, ok, err := t.rejoin(key, key, &now, o)
	if err != nil || !ok {
		return false, err
	}
	first, err := t.firstQueue(key, now.queue, qUnfinishedOrigin)
	if err != nil {
		return false, err
	}
	if err := t.use(qTryAgain).int(due.UnixMicro()).bool(o.Pin).int(key).exec(); err != nil {
		return false, err
	}
	if err := t.readdress(key, now.queue, first); err != nil {
		return false, err
	}
	t.moved(now.queue, seawall.Held, -1)
	t.moved(first, seawall.Pending, 1)
	return true, t.rejoined(p, m, first, due)
}

// rejoined is what a line said of a delivery that comes back to it.
type rejoined struct {
	order.Member
	changes []order.Change
}

// rejoin puts a delivery back into its line, of which nothing is written yet. p is
// nil if it has none, ok false if it is to be left as it is. was is the number of the
// one that is replayed, where key is another.
func (t *txn) rejoin(key, was int64, now *standing, o store.ReplayOptions) (p *position, m rejoined, ok bool, err error) {
	if now.entity == "" || now.ordering() == seawall.Unordered {
		return nil, m, true, nil
	}
	if p, err = t.lineOf(now); err != nil {
		return nil, m, false, err
	}
	if m.Member, err = t.member(p, key, now); err != nil {
		return nil, m, false, err
	}
	if err = t.ready(p, m.Order); err != nil {
		return nil, m, false, err
	}
	p.Unblock(was) // under a new id it would wait for the old one
	ok, _, m.changes = p.Rejoin(&m.Member, o.Force)
	return p, m, ok, nil
}

// rejoined writes it, of a delivery that is pending in its queue now.
func (t *txn) rejoined(p *position, m rejoined, queue int64, due time.Time) error {
	if p == nil {
		return nil
	}
	if m.State == seawall.Pending || m.Reason == seawall.ReasonSettle && due.After(m.Due) {
		m.Due = due // replays may be spaced
	}
	d := seawall.Delivery{Late: m.Late, Tied: m.Tied}
	err := t.use(qRejoined).int(int64(m.State)).int(m.Due.UnixMicro()).text(m.Reason).int(pack.OrderFlags(&d)).blob(m.Rank).int(p.id).int(m.Key).exec()
	if err != nil {
		return err
	}
	if m.State != seawall.Pending {
		t.moved(queue, seawall.Pending, -1)
		t.moved(queue, m.State, 1)
	}
	if err := t.change(p, m.changes); err != nil {
		return err
	}
	return t.goOn(p)
}

// anew makes another delivery of the same event over the same route, unless one
// that a replay made still waits.
func (t *txn) anew(key int64, due time.Time, o store.ReplayOptions, a seawall.Action) (made int64, ok bool, err error) {
	now, found, err := t.standing(qFinishedNow, key)
	if err != nil || !found {
		return 0, false, err
	}
	from, to := deliveryKey(keyEvent(key), 0), deliveryKey(keyEvent(key), seawall.MaxDeliveries)
	route, err := one(t.use(qRouteOf).int(key))
	if err != nil {
		return 0, false, err
	}
	waits, err := one(t.use(qWaits).int(from).int(to).int(route))
	if err != nil || waits != 0 {
		return 0, false, err
	}
	if made, err = t.nextDelivery(keyEvent(key)); err != nil {
		return 0, false, err
	}
	p, m, ok, err := t.rejoin(made, key, &now, o)
	if err != nil || !ok {
		return 0, false, err
	}
	flags := int64(flagReplayed)
	if o.Pin {
		flags |= flagPinned
	}
	created := a.At
	if created.IsZero() {
		created = o.At
	}
	err = t.use(qAnew).int(made).int(due.UnixMicro()).int(flags).int(created.UnixMicro()).int(key).exec()
	if err != nil {
		return 0, false, err
	}
	first, err := t.firstQueue(key, now.queue, qFinishedOrigin)
	if err != nil {
		return 0, false, err
	}
	t.moved(first, seawall.Pending, 1)
	return made, true, t.rejoined(p, m, first, due)
}

// nextDelivery returns the key of an event's next delivery.
func (t *txn) nextDelivery(seq int64) (int64, error) {
	from, to := deliveryKey(seq, 0), deliveryKey(seq, seawall.MaxDeliveries)
	highest, err := one(t.use(qHighest).int(from).int(to))
	if err != nil {
		return 0, err
	}
	if highest == to {
		return 0, seawall.Errorf(seawall.ErrConflict, "an event has at most %d deliveries", seawall.MaxDeliveries)
	}
	return max(highest, from) + 1, nil
}

// one runs a statement that selects one number; 0 if it selects none.
func one(st *stmt) (n int64, err error) {
	if st.next() {
		n = st.getInt()
	}
	return n, st.done()
}
