package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	qStands   = "SELECT true FROM lane WHERE id = $1 AND node = $2 AND token = $3 FOR SHARE"
	qStanding = `SELECT d.part, d.queue, q.lane, d.attempts, coalesce(d.line, 0), d.state, coalesce(d.reason, '') FROM delivery d JOIN queue q ON q.id = d.queue WHERE d.id = $1 FOR UPDATE OF d`
	qEnded    = `SELECT f.part, f.queue, q.lane, f.attempts, f.state, f.last, f.flags & $3::int2 <> 0 AND f.entity IS NOT NULL
		FROM finished f JOIN queue q ON q.id = f.queue WHERE f.id = $1 AND f.part IN ($2, 0) FOR UPDATE OF f`

	qFinish = `WITH d AS (DELETE FROM delivery WHERE id = $1 RETURNING *)
		INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, since, created,
			reason, entity, rank, last, origin)
		SELECT part, id, event, queue, $2, $3, size, route, revision, flags & ~12::int2, attempts + $4, round + $4, since, created,
			$5, entity, rank, $6, origin FROM d`
	qAgain = `UPDATE delivery SET state = $2, due = $3, attempts = attempts + $4, round = round + $4, reason = $5,
		flags = flags & ~12::int2 | $6 WHERE id = $1`
	qAddAttempt = "INSERT INTO attempt (part, delivery, n, data) VALUES ($1, $2, $3, $4)"
	qTryOf      = "SELECT data FROM attempt WHERE delivery = $1 AND n = $2 AND part = $3"
	qMoveLast   = `INSERT INTO attempt (part, delivery, n, data) SELECT part, id, attempts, last FROM finished
		WHERE id = $1 AND part = $2 AND last IS NOT NULL`
	qTriedEnded = "UPDATE finished SET last = NULL, attempts = attempts + 1, round = round + 1 WHERE id = $1 AND part = $2"
)

// standing is where a delivery stands before it is settled.
type standing struct {
	part, queue, lane, attempts int32
	line                        int64
	state                       int16
	reason                      string
}

// settleOne settles what the statement does not fit. came tells whether this
// call did it: not if the very same was committed before.
func (w *settler) settleOne(ctx context.Context, q querier, st *settlement) (came bool, err error) {
	*st.out, st.answered = store.Fenced, true
	var stands bool
	err = q.QueryRow(ctx, qStands, st.lane, st.Lease.Node, st.Lease.Token).Scan(&stands)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	*st.out = store.Ended
	if st.key == 0 {
		at, err := find(ctx, q, st.Delivery.Event())
		if errors.Is(err, seawall.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		st.key = deliveryKey(at.seq, st.Delivery.N())
	}
	var now standing
	err = q.QueryRow(ctx, qStanding, st.key).Scan(&now.part, &now.queue, &now.lane, &now.attempts, &now.line, &now.state, &now.reason)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return w.settleEnded(ctx, q, st)
	case err != nil:
		return false, err
	case now.lane != st.lane:
		*st.out = store.Fenced
		return false, nil
	case now.line != 0 && w.lines == nil:
		return false, new(linedLane(st.lane))
	case st.over() && (seawall.State(now.state) != seawall.Held || now.reason != st.Reason):
		return false, nil // the wait was over before this was decided
	}
	*st.out = store.Done
	if st.Attempt != nil {
		if same, err := sameTry(ctx, q, st, now); err != nil || same {
			return false, err
		}
	}
	if st.Disable != "" {
		if err := w.s.disable(ctx, q, st, now.queue); err != nil {
			return false, err
		}
	}
	tried, data := st.numbered(now.attempts + 1)
	if st.State.Final() {
		_, err = q.Exec(ctx, qFinish, st.key, int16(st.State), st.At, tried, orNull(legible(st.Reason)), data)
		w.leave(st)
		return true, err
	}
	state, due, reason := st.State, st.due(), st.Reason
	displaced := w.waits(st)
	if displaced { // its place was taken while it was tried; what it does next stays
		state, reason = seawall.Held, seawall.ReasonEarlier
	}
	if _, err = q.Exec(ctx, qAgain, st.key, int16(state), due, tried, orNull(legible(reason)), st.step()); err != nil {
		return true, err
	}
	if tried != 0 {
		if _, err = q.Exec(ctx, qAddAttempt, now.part, st.key, now.attempts+1, data); err != nil {
			return true, err
		}
	}
	if st.Move != nil && !displaced {
		return true, w.s.divert(ctx, q, st, now)
	}
	w.yield(st)
	return true, nil
}

// settleEnded keeps the attempt of a delivery that has ended: someone canceled
// it, or this very settlement was committed and its caller never heard. Of a call that
// was canceled as it was being made, what was answered all the same is kept, too.
func (w *settler) settleEnded(ctx context.Context, q querier, st *settlement) (came bool, err error) {
	var now standing
	var state int16
	var last []byte
	var lined bool
	err = q.QueryRow(ctx, qEnded, st.key, dayOf(st.Delivery.Event()), int16(pack.FlagsOrder)).
		Scan(&now.part, &now.queue, &now.lane, &now.attempts, &state, &last, &lined)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case st.Attempt == nil:
		return false, nil
	case lined && w.lines == nil:
		return false, new(linedLane(st.lane))
	}
	if last != nil && sameAttempt(last, st.Attempt) {
		*st.out = store.Done
		return false, nil
	}
	if same, err := sameTry(ctx, q, st, now); err != nil || same {
		return false, err
	}
	if st.Disable != "" {
		if err := w.s.disable(ctx, q, st, now.queue); err != nil {
			return false, err
		}
	}
	if st.Attempt.Outcome == seawall.OK {
		w.seen(st)
	}
	// The attempt that ended it will not be the last.
	if _, err := q.Exec(ctx, qMoveLast, st.key, now.part); err != nil {
		return false, err
	}
	if _, err := q.Exec(ctx, qTriedEnded, st.key, now.part); err != nil {
		return false, err
	}
	_, data := st.numbered(now.attempts + 1)
	if _, err = q.Exec(ctx, qAddAttempt, now.part, st.key, now.attempts+1, data); err != nil {
		return false, err
	}
	if st.Answer == nil || seawall.State(state) != seawall.Canceled {
		return false, nil
	}
	return false, addAnswers(ctx, q, []*settlement{st})
}

// sameTry tells whether the delivery's last attempt, which did not end it, is
// the very one that is settled.
func sameTry(ctx context.Context, q querier, st *settlement, now standing) (bool, error) {
	var data []byte
	err := q.QueryRow(ctx, qTryOf, st.key, now.attempts, now.part).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil && sameAttempt(data, st.Attempt), err
}

func sameAttempt(packed []byte, a *seawall.Attempt) bool {
	have, err := pack.ParseAttempt(packed)
	return err == nil && have.N == a.N && have.Node == a.Node && have.At.UnixMicro() == a.At.UnixMicro()
}

// numbered returns how many tries a settlement is, and its packed attempt under
// the number that the store counts. The owner counts the same unless people
// stepped in.
func (st *settlement) numbered(n int32) (tries int32, data []byte) {
	switch {
	case st.Attempt == nil:
		return 0, nil
	case int32(st.Attempt.N) == n:
		return 1, st.attempt
	}
	a := *st.Attempt
	a.N = int(n)
	return 1, pack.Attempt(&a)
}

// disable closes the gate of the destination that a settlement speaks for.
func (s *Store) disable(ctx context.Context, q querier, st *settlement, queue int32) error {
	l, err := s.names.line(ctx, queue)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, qSetGate, l.destination, int16(seawall.Disabled), legible(st.Disable), "destination", st.At)
	return err
}
