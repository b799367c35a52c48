package sqlite

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// settlement is a store.Settlement with what can be computed before the
// writer's turn.
type settlement struct {
	*store.Settlement
	attempt  []byte
	outcomes []acceptance
	headers  []byte // of the answer
	place    int    // in the call
}

func (s *Store) Settle(ctx context.Context, ss []store.Settlement) ([]store.Settled, error) {
	in, size := make([]settlement, len(ss)), 0
	for i := range ss {
		if st := ss[i].State; st == seawall.Sending || ss[i].Delivery.IsZero() {
			return nil, seawall.Errorf(seawall.ErrInvalid, "settle %s: %s is not what an attempt leads to", ss[i].Delivery, st)
		}
		if ss[i].Move != nil && ss[i].State != seawall.Pending {
			return nil, seawall.Errorf(seawall.ErrInvalid, "settle %s: one that is %s goes on in no other queue", ss[i].Delivery, ss[i].State)
		}
		outcomes, n, err := prepare(ss[i].Outcomes)
		if err != nil {
			return nil, err
		}
		in[i] = settlement{Settlement: &ss[i], outcomes: outcomes, place: i}
		if ss[i].Attempt != nil {
			in[i].attempt = pack.Attempt(ss[i].Attempt)
		}
		if a := ss[i].Answer; a != nil {
			in[i].headers = pack.Headers(a.Headers)
			size += len(in[i].headers) + len(a.Body)
		}
		size += n + len(in[i].attempt) + 128
	}
	// Attempts end in any order; rows that are neighbours are written in theirs.
	slices.SortStableFunc(in, func(a, b settlement) int { return cmp.Compare(a.Seq, b.Seq) })
	out := make([]store.Settled, len(ss))
	err := s.writeAlong(ctx, size, func(t *txn) (err error) {
		for i := range in {
			if out[in[i].place], err = t.settle(&in[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var (
	qUnfinishedNow = newQuery("SELECT " + standingColumns + ", reason, line, due FROM unfinished WHERE id = ?")
	qFinishedNow   = newQuery("SELECT " + standingColumns + ", reason, NULL, NULL FROM finished WHERE id = ?")
	qRetry         = newQuery("UPDATE unfinished SET state = ?, due = ?, flags = flags & ~12 | ?, attempts = ?, round = ?, reason = ? WHERE id = ?")
	// One row of values: of what an INSERT with a SELECT changes, which may be many
	// rows, SQLite keeps a copy, to take it back.
	qFinish = newQuery(`INSERT INTO finished (id, queue, state, finished, attempts, round, reason, last, route, revision,
		flags, since, created, entity, rank, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? & ~12, ?, ?, ?, ?, ?)`)
	qUnqueue    = newQuery("DELETE FROM unfinished WHERE id = ?")
	qAddAttempt = newQuery("INSERT INTO attempt (delivery, n, data) VALUES (?, ?, ?)")
	qTriedEnded = newQuery("UPDATE finished SET attempts = attempts + 1, round = round + 1 WHERE id = ?")
)

const standingColumns = "queue, state, attempts, round, route, revision, flags, since, created, entity, rank, origin"

// standing is where a delivery stands before it is settled.
type standing struct {
	queue           int64
	state           seawall.State
	attempts, round int64

	route, revision, flags int64
	since, created, origin int64 // 0: NULL
	entity                 string
	rank                   []byte

	reason    string
	line, due int64 // of unfinished ones
}

// ordering is how it stands to the others of its entity.
func (s *standing) ordering() seawall.Ordering {
	d := seawall.Delivery{}
	pack.SetOrder(&d, s.flags)
	return d.Order
}

// lined tells what [seawall.Delivery.Lined] does.
func (s *standing) lined() bool { return s.entity != "" && s.flags&pack.FlagsOrder != 0 }

// waits tells whether it waits in its line.
func (s *standing) waits() bool {
	return s.state == seawall.Held && (s.reason == seawall.ReasonEarlier || s.reason == seawall.ReasonSettle)
}

// standing reads that from one of the tables.
func (t *txn) standing(q *query, key int64) (s standing, found bool, err error) {
	st := t.use(q).int(key)
	if found = st.next(); found {
		s = standing{
			queue: st.getInt(), state: seawall.State(st.getInt()), attempts: st.getInt(), round: st.getInt(),
			route: st.getInt(), revision: st.getInt(), flags: st.getInt(), since: st.getInt(), created: st.getInt(),
			entity: st.getText(), rank: st.getBlob(), origin: st.getInt(),
			reason: st.getText(), line: st.getInt(), due: st.getInt(),
		}
	}
	return s, found, st.done()
}

// unfinished is where a delivery stands that has not ended. Unless it ends now, it is
// not fresh any longer.
func (t *txn) unfinished(key int64, ends bool) (standing, bool, error) {
	if f, ok := t.fresh.rows[key]; ok && ends {
		return f.standing(), true, nil
	}
	if err := t.makeRow(key); err != nil {
		return standing{}, false, err
	}
	return t.standing(qUnfinishedNow, key)
}

func (t *txn) settle(in *settlement) (store.Settled, error) {
	in.Next = nil
	if !t.stands(in.Lease) {
		return store.Fenced, nil
	}
	key, ok, err := deliveryKey(in.Seq, in.Delivery.N()), in.Seq != 0, error(nil)
	if !ok {
		key, ok, err = t.keyOf(in.Delivery)
	}
	if err != nil || !ok {
		return store.Ended, err
	}
	now, found, err := t.unfinished(key, in.State.Final())
	if err != nil {
		return 0, err
	}
	if found && t.linesByID[now.queue].laneKey != in.Lease.Lane {
		return store.Fenced, nil
	}
	if !found {
		return store.Ended, t.settleEnded(in, key)
	}
	if in.Attempt == nil && in.State == seawall.Held && (in.Reason == seawall.ReasonLate || in.Reason == seawall.ReasonPrerequisite) &&
		(now.state != seawall.Held || now.reason != in.Reason) {
		return store.Ended, nil // its wait was over before this was decided
	}
	if in.Disable != "" {
		if err := t.disable(in, now.queue); err != nil {
			return 0, err
		}
	}
	before, after := now.state, in.State
	if in.Attempt != nil {
		now.attempts++
		now.round++
	}
	switch {
	case in.State.Final():
		err = t.finish(in, key, now)
	case now.waits():
		after, err = t.displaced(in, key, now)
	default:
		err = t.again(in, key, now)
	}
	if err != nil {
		return 0, err
	}
	to := now.queue
	if in.Move != nil && after == seawall.Pending {
		if to, err = t.divert(in, key, now); err != nil {
			return 0, err
		}
	}
	if before != after || to != now.queue {
		t.moved(now.queue, before, -1)
		t.moved(to, after, 1)
	}
	if now.lined() {
		if err := t.follow(in, key, &now); err != nil {
			return 0, err
		}
	}
	if err := t.learn(in); err != nil {
		return 0, err
	}
	if in.Answer != nil {
		if err := t.addAnswer(key, in.Answer, in.headers); err != nil {
			return 0, err
		}
	}
	for i := range in.outcomes {
		if _, err := t.accept(&in.outcomes[i]); err != nil {
			return 0, err
		}
	}
	return store.Done, nil
}

// follow has the line go on after one of its deliveries was settled.
func (t *txn) follow(in *settlement, key int64, now *standing) (err error) {
	var p *position
	switch {
	case in.State.Final():
		p, err = t.leave(key, now, in.State, in.Done, in.Pass)
	case in.Move == nil: // at its fallback it keeps its turn
		p, err = t.yield(key, now)
	}
	if err != nil {
		return err
	}
	return t.handOver(in, p)
}

// finish moves a delivery out of the hot table. The attempt that ended it goes
// into the same row: most deliveries need one attempt, and so one insert.
func (t *txn) finish(in *settlement, key int64, now standing) error {
	err := t.use(qFinish).int(key).int(now.queue).int(int64(in.State)).int(in.At.UnixMicro()).
		int(now.attempts).int(now.round).text(in.Reason).blob(t.numbered(in, now.attempts)).
		int(now.route).int(now.revision).int(now.flags).orNull(now.since).orNull(now.created).
		text(now.entity).blob(now.rank).orNull(now.origin).exec()
	if err != nil {
		return err
	}
	if _, ok := t.takeFresh(key); ok {
		return nil
	}
	return t.use(qUnqueue).int(key).exec()
}

// again leaves a delivery in the hot table, due at another time or held.
func (t *txn) again(in *settlement, key int64, now standing) error {
	return t.againAs(in, key, now, stepFlags(in))
}

func (t *txn) againAs(in *settlement, key int64, now standing, step int64) error {
	due := in.Due
	switch {
	case due.IsZero() && in.State == seawall.Held:
		due = order.Never
	case due.IsZero():
		due = in.At
	}
	err := t.use(qRetry).int(int64(in.State)).int(due.UnixMicro()).int(step).int(now.attempts).int(now.round).
		text(in.Reason).int(key).exec()
	if err != nil || in.Attempt == nil {
		return err
	}
	return t.use(qAddAttempt).int(key).int(now.attempts).blob(t.numbered(in, now.attempts)).exec()
}

// stepFlags are the flags of what the next attempt does.
func stepFlags(in *settlement) int64 {
	if in.State != seawall.Pending {
		return 0
	}
	return int64(in.Step) << stepShift
}

// settleEnded keeps the attempt of a delivery that someone ended meanwhile, and of a
// call that was canceled as it was being made what was answered all the same.
func (t *txn) settleEnded(in *settlement, key int64) error {
	now, found, err := t.standing(qFinishedNow, key)
	if err != nil || !found {
		return err
	}
	if in.Disable != "" {
		if err := t.disable(in, now.queue); err != nil {
			return err
		}
	}
	if in.Answer != nil && now.state == seawall.Canceled {
		if err := t.addAnswer(key, in.Answer, in.headers); err != nil {
			return err
		}
	}
	// What reached the destination was seen there, whatever became of it meanwhile.
	if in.State == seawall.Delivered && now.lined() && now.state != seawall.Delivered {
		p, err := t.leave(key, &now, in.State, in.Done, in.Pass)
		if err == nil {
			err = t.handOver(in, p)
		}
		if err != nil {
			return err
		}
	}
	if err := t.learn(in); err != nil || in.Attempt == nil {
		return err
	}
	if err := t.lastToAttempts(key); err != nil {
		return err
	}
	if err := t.use(qTriedEnded).int(key).exec(); err != nil {
		return err
	}
	n := now.attempts + 1
	return t.use(qAddAttempt).int(key).int(n).blob(t.numbered(in, n)).exec()
}

var (
	qMoveLast  = newQuery("INSERT INTO attempt (delivery, n, data) SELECT id, attempts, last FROM finished WHERE id = ? AND last IS NOT NULL")
	qClearLast = newQuery("UPDATE finished SET last = NULL WHERE id = ? AND last IS NOT NULL")
)

// lastToAttempts moves the attempt that ended a delivery to the others, because
// it will not be the last.
func (t *txn) lastToAttempts(key int64) error {
	if err := t.use(qMoveLast).int(key).exec(); err != nil {
		return err
	}
	return t.use(qClearLast).int(key).exec()
}

// numbered returns the packed attempt under the number that the store counts.
// The owner counts the same unless people stepped in.
func (t *txn) numbered(in *settlement, n int64) []byte {
	if in.Attempt == nil || int64(in.Attempt.N) == n {
		return in.attempt
	}
	a := *in.Attempt
	a.N = int(n)
	return pack.Attempt(&a)
}

// keyOf returns a delivery's key, false if its event is gone.
func (t *txn) keyOf(id seawall.DeliveryID) (key int64, ok bool, err error) {
	key, err = t.deliveryKey(id)
	if errors.Is(err, seawall.ErrNotFound) {
		return 0, false, nil
	}
	return key, err == nil, err
}
