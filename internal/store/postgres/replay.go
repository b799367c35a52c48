package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Replay(ctx context.Context, ids []seawall.DeliveryID, o store.ReplayOptions, a seawall.Action) (out []seawall.Delivery, err error) {
	err = s.change(ctx, func(tx pgx.Tx) error {
		out = nil
		ks, err := s.locked(ctx, tx, ids)
		if err != nil {
			return err
		}
		ps, members, err := s.within(tx).lineUp(ctx, ks, nil)
		if err != nil {
			return err
		}
		if p := (pick{ids: slices.Sorted(maps.Keys(ps.byID))}); !p.none() {
			if err := ps.send(ctx, ps.heads(p), ps.rivals(p)); err != nil {
				return err
			}
		}
		r := &replaying{s: s, tx: tx, o: o, a: a, ps: ps, members: members, due: o.At}
		slices.SortFunc(ks, func(a, b keyed) int { return a.at - b.at })
		var back []seawall.DeliveryID
		for _, k := range ks {
			n, ok, err := r.one(ctx, k)
			if err != nil {
				return err
			}
			if ok {
				back = append(back, k.id.Event().Delivery(n))
				r.due = r.due.Add(o.Every)
			}
		}
		if err := ps.proceed(ctx); err != nil {
			return err
		}
		if err := ps.send(ctx, ps.write()...); err != nil {
			return err
		}
		for _, id := range back {
			ds, err := s.deliveriesOf(ctx, tx, id.Event(), id.N(), id.N())
			if err != nil {
				return err
			}
			out = append(out, ds...)
		}
		return s.record(ctx, tx, a)
	})
	return out, err
}

// replaying is a replay within its transaction.
type replaying struct {
	s       *Store
	tx      pgx.Tx
	o       store.ReplayOptions
	a       seawall.Action
	ps      *positions
	members map[int64]member
	due     time.Time // of the next
}

// one puts a delivery back, and returns its number: another one, if it is anew. ok is
// false if it is left as it is.
func (r *replaying) one(ctx context.Context, k keyed) (n int, ok bool, err error) {
	was, lined := r.members[k.key]
	if lined && (was.turns() || was.State == seawall.Pending || was.State == seawall.Sending) {
		return 0, false, nil // it waits as it is
	}
	key := k.key
	if r.o.NewID {
		if was.State == seawall.Held {
			return 0, false, nil
		}
		if key, err = r.another(ctx, k); err != nil || key == 0 {
			return 0, false, err
		}
	}
	to := order.Member{State: seawall.Pending, Due: r.due}
	var line any
	if l := r.ps.byID[was.line]; lined && l != nil {
		line, to = was.line, was.Member
		to.Key, to.Delivery = key, k.id.Event().Delivery(keyN(key))
		l.asked = false
		l.Unblock(k.key) // under a new id it would wait for the old one
		ok, _, changes := l.Rejoin(&to, r.o.Force)
		if !ok {
			return 0, false, nil
		}
		l.touched = true
		r.ps.apply(changes)
		if to.State == seawall.Pending {
			to.Due = r.due
		}
	}
	into := []any{int16(to.State), orNull(to.Reason), to.Due, r.due, r.flags(&to), line}
	if r.o.NewID {
		ok, err = r.anew(ctx, k, key, into)
	} else {
		ok, err = r.requeue(ctx, k, into)
	}
	switch {
	case err == nil && lined && !ok:
		err = errMoved
	case lined && !r.o.NewID:
		was.State = seawall.Pending // if it is asked for twice
		r.members[k.key] = was
	}
	return keyN(key), ok, err
}

// flags are those that a replayed delivery is given, beside what it keeps.
func (r *replaying) flags(to *order.Member) int16 {
	return flags(r.o.Pin, r.o.NewID) | int16(pack.OrderFlags(&seawall.Delivery{Late: to.Late, Tied: to.Tied}))
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

// Flags that a replay leaves: that it was made by one, and those of its line.
var kept = fmt.Sprintf("(flags & %d::int2)", flagReplayed|pack.FlagsOrder&^pack.FlagLate)

// replayed are the columns of a delivery that was put back, from $3 on: state, reason,
// due, since, flags, line.
var replayed = "size, route, revision, " + kept + " | $7"

// qRequeue moves a finished delivery back into the hot table, and the attempt
// that ended it to the others, because it will not be the last.
var qRequeue = `WITH back AS (DELETE FROM finished WHERE id = $1 AND part = $2 RETURNING *),
	tried AS (INSERT INTO attempt (part, delivery, n, data) SELECT part, id, attempts, last FROM back WHERE last IS NOT NULL)
	INSERT INTO delivery (id, event, part, queue, state, reason, due, since, size, route, revision, flags, attempts, round, created, entity, rank, line)
	SELECT id, event, part, coalesce(origin, queue), $3, $4, $5, $6, ` + replayed + `, attempts, 0, created, entity,
		CASE WHEN $8::int8 IS NULL THEN rank ELSE coalesce(rank, '') END, $8 FROM back`

func (r *replaying) requeue(ctx context.Context, k keyed, into []any) (bool, error) {
	from, to, err := places(ctx, r.tx, k)
	if err != nil {
		return false, err
	}
	tag, err := r.tx.Exec(ctx, qRequeue, append([]any{k.key, k.part}, into...)...)
	if err == nil && tag.RowsAffected() == 0 {
		tag, err = r.tx.Exec(ctx, qTryAgain, append([]any{k.key, seawall.ReasonRecord + "%"}, into...)...)
	}
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	return true, r.s.readdress(ctx, r.tx, k.key, k.part, from, to)
}

// qTryAgain puts a delivery back that is held for a person.
var qTryAgain = `UPDATE delivery SET state = $3, reason = $4, due = $5, since = $6, round = 0, flags = ` + kept + ` | $7,
	queue = coalesce(origin, queue), origin = NULL, line = coalesce($8::int8, line), awaits = NULL
	WHERE id = $1 AND state = 1 AND (reason IN ('unknown', 'late', 'prerequisite') OR reason LIKE $2)`

func flags(pinned, replayed bool) (f int16) {
	if pinned {
		f |= flagPinned
	}
	if replayed {
		f |= flagReplayed
	}
	return f
}

const qWaits = `SELECT d.id FROM finished f JOIN delivery d ON d.id BETWEEN $3 AND $4 AND d.route = f.route AND d.flags & 2 <> 0
	WHERE f.id = $1 AND f.part = $2 LIMIT 1`

// another returns the key of another delivery of the same event over the same route; 0
// if one that a replay made still waits.
func (r *replaying) another(ctx context.Context, k keyed) (key int64, err error) {
	seq := keyEvent(k.key)
	waits, err := number(ctx, r.tx, qWaits, k.key, k.part, deliveryKey(seq, 0), deliveryKey(seq, seawall.MaxDeliveries))
	if err != nil || waits != 0 {
		return 0, err
	}
	return nextDelivery(ctx, r.tx, seq, k.part)
}

var qAnew = `INSERT INTO delivery (id, event, part, queue, state, reason, due, since, size, route, revision, flags, attempts, round, created, entity, rank, line)
	SELECT $9, event, part, coalesce(origin, queue), $3, $4, $5, $6, ` + replayed + `, 0, 0, $10, entity,
		CASE WHEN $8::int8 IS NULL THEN rank ELSE coalesce(rank, '') END, $8 FROM finished WHERE id = $1 AND part = $2`

func (r *replaying) anew(ctx context.Context, k keyed, key int64, into []any) (bool, error) {
	created := r.a.At
	if created.IsZero() {
		created = r.o.At
	}
	tag, err := r.tx.Exec(ctx, qAnew, append(append([]any{k.key, k.part}, into...), key, created)...)
	return tag.RowsAffected() == 1, err
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
