package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Replay(ctx context.Context, ids []seawall.DeliveryID, o store.ReplayOptions, a seawall.Action) (out []seawall.Delivery, err error) {
	err = s.change(ctx, func(tx pgx.Tx) error {
		out = nil
		ks, err := s.locked(ctx, tx, ids)
		if err != nil {
			return err
		}
		slices.SortFunc(ks, func(a, b keyed) int { return a.at - b.at })
		due := o.At
		for _, k := range ks {
			n := keyN(k.key)
			ok := false
			if o.NewID {
				n, ok, err = anew(ctx, tx, k, due, o, a)
			} else {
				ok, err = s.requeue(ctx, tx, k, due, o)
			}
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			ds, err := s.deliveriesOf(ctx, tx, k.id.Event(), n, n)
			if err != nil {
				return err
			}
			out = append(out, ds...)
			due = due.Add(o.Every)
		}
		return s.record(ctx, tx, a)
	})
	return out, err
}

// locked finds deliveries by id and locks their events, in order, so that what
// is added to one event is added by one at a time. Those of a day that is being
// given up are kept from now on.
func (s *Store) locked(ctx context.Context, tx pgx.Tx, ids []seawall.DeliveryID) ([]keyed, error) {
	closing, err := holdDays(ctx, tx)
	if err != nil {
		return nil, err
	}
	ks, err := keysOf(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var last int64
	for i := range ks {
		k := &ks[i]
		if keyEvent(k.key) != last {
			last = keyEvent(k.key)
			if _, err := tx.Exec(ctx, "SELECT FROM event WHERE seq = $1 AND part = $2 FOR UPDATE", last, k.part); err != nil {
				return nil, err
			}
			if k.part != 0 && k.part <= closing {
				if err := keep(ctx, tx, last, k.part); err != nil {
					return nil, err
				}
			}
		}
		if k.part <= closing {
			k.part = 0
		}
	}
	return ks, nil
}

// qRequeue moves a finished delivery back into the hot table, and the attempt
// that ended it to the others, because it will not be the last.
const qRequeue = `WITH back AS (DELETE FROM finished WHERE id = $1 AND part = $2 RETURNING *),
	tried AS (INSERT INTO attempt (part, delivery, n, data) SELECT part, id, attempts, last FROM back WHERE last IS NOT NULL)
	INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, since, created, entity, rank)
	SELECT id, event, part, coalesce(origin, queue), 0, $3, size, route, revision, (flags & 2::int2) | $4, attempts, 0, $3, created, entity, rank FROM back`

func (s *Store) requeue(ctx context.Context, tx pgx.Tx, k keyed, due time.Time, o store.ReplayOptions) (bool, error) {
	from, to, err := places(ctx, tx, k)
	if err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, qRequeue, k.key, k.part, due, flags(o.Pin, false))
	if err == nil && tag.RowsAffected() == 0 {
		tag, err = tx.Exec(ctx, qTryAgain, k.key, due, flags(o.Pin, false), seawall.ReasonUnknown)
	}
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	return true, s.readdress(ctx, tx, k.key, k.part, from, to)
}

// qTryAgain makes a delivery pending that is held because its outcome is unknown.
const qTryAgain = `UPDATE delivery SET state = 0, due = $2, since = $2, round = 0, flags = (flags & 2::int2) | $3, reason = NULL,
	queue = coalesce(origin, queue), origin = NULL WHERE id = $1 AND state = 1 AND reason = $4`

func flags(pinned, replayed bool) (f int16) {
	if pinned {
		f |= flagPinned
	}
	if replayed {
		f |= flagReplayed
	}
	return f
}

const (
	qWaits = `SELECT d.id FROM finished f JOIN delivery d ON d.id BETWEEN $3 AND $4 AND d.route = f.route AND d.flags & 2 <> 0
		WHERE f.id = $1 AND f.part = $2 LIMIT 1`
	qAnew = `INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, since, created, entity, rank)
		SELECT $3, event, part, coalesce(origin, queue), 0, $4, size, route, revision, (flags & 2::int2) | $5, 0, 0, $4, $6, entity, rank
		FROM finished WHERE id = $1 AND part = $2`
)

// anew makes another delivery of the same event over the same route, unless one
// that a replay made still waits. It returns its number.
func anew(ctx context.Context, tx pgx.Tx, k keyed, due time.Time, o store.ReplayOptions, a seawall.Action) (n int, ok bool, err error) {
	seq := keyEvent(k.key)
	waits, err := number(ctx, tx, qWaits, k.key, k.part, deliveryKey(seq, 0), deliveryKey(seq, seawall.MaxDeliveries))
	if err != nil || waits != 0 {
		return 0, false, err
	}
	key, err := nextDelivery(ctx, tx, seq, k.part)
	if err != nil {
		return 0, false, err
	}
	created := a.At
	if created.IsZero() {
		created = o.At
	}
	tag, err := tx.Exec(ctx, qAnew, k.key, k.part, key, due, flags(o.Pin, true), created)
	return keyN(key), tag.RowsAffected() == 1, err
}

// nextDelivery returns the key of an event's next delivery.
func nextDelivery(ctx context.Context, tx pgx.Tx, seq int64, part int32) (int64, error) {
	from, to := deliveryKey(seq, 0), deliveryKey(seq, seawall.MaxDeliveries)
	highest, err := number(ctx, tx, `SELECT greatest((SELECT id FROM delivery WHERE id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT 1),
		(SELECT id FROM finished WHERE id BETWEEN $1 AND $2 AND part = $3 ORDER BY id DESC LIMIT 1))`, from, to, part)
	if err != nil {
		return 0, err
	}
	if highest == to {
		return 0, seawall.Errorf(seawall.ErrConflict, "an event has at most %d deliveries", seawall.MaxDeliveries)
	}
	return max(highest, from) + 1, nil
}
