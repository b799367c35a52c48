package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/seawall"
)

// qKeys gives the keys of deliveries by id, as far as their events are kept, in
// the order of the keys: whoever locks several does so in that order.
const qKeys = `SELECT u.i::integer - 1, (e.seq << 15) + u.n, e.part FROM unnest($1::uuid[], $2::integer[], $3::integer[])
	WITH ORDINALITY u (event, day, n, i)
	CROSS JOIN LATERAL (SELECT seq, part FROM event WHERE id = u.event AND part IN (u.day, 0) LIMIT 1) e ORDER BY 2`

// keyed is a delivery whose event is kept.
type keyed struct {
	id   seawall.DeliveryID
	key  int64
	part int32
	at   int // its place among the ids that were asked for
}

// keysOf finds deliveries by id, in the order of their keys.
func keysOf(ctx context.Context, q querier, ids []seawall.DeliveryID) ([]keyed, error) {
	events, days, ns := make([][16]byte, len(ids)), make([]int32, len(ids)), make([]int32, len(ids))
	for i, id := range ids {
		events[i], days[i], ns[i] = id.Event(), dayOf(id.Event()), int32(id.N())
	}
	rows, err := q.Query(ctx, qKeys, events, days, ns)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k keyed, err error) {
		err = row.Scan(&k.at, &k.key, &k.part)
		if err == nil {
			k.id = ids[k.at]
		}
		return k, err
	})
}

const qCancel = `WITH gone AS (DELETE FROM delivery WHERE id = ANY ($1) RETURNING *)
	INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, since, created, reason, entity, rank, origin)
	SELECT part, id, event, queue, $2, $3, size, route, revision, flags & ~12::int2, attempts, round, since, created, $4, entity, rank, origin
	FROM gone RETURNING id`

// qSkip takes a dead one for canceled.
const qSkip = `UPDATE finished f SET state = $3, finished = $4, reason = $5 FROM unnest($1::int8[], $2::int4[]) x(id, part)
	WHERE f.id = x.id AND f.part IN (x.part, 0) AND f.state = 4 RETURNING f.id`

func (s *Store) Cancel(ctx context.Context, ids []seawall.DeliveryID, reason string, a seawall.Action) (ended []seawall.DeliveryID, err error) {
	return s.end(ctx, ids, reason, false, a)
}

func (s *Store) Skip(ctx context.Context, ids []seawall.DeliveryID, a seawall.Action) ([]seawall.DeliveryID, error) {
	return s.end(ctx, ids, seawall.ReasonSkipped, true, a)
}

// end ends deliveries as canceled, dead ones too if a person says so, and has their
// lines go on.
func (s *Store) end(ctx context.Context, ids []seawall.DeliveryID, reason string, dead bool, a seawall.Action) (ended []seawall.DeliveryID, err error) {
	at := a.At
	if at.IsZero() {
		at = s.time()
	}
	err = s.change(ctx, func(tx pgx.Tx) error {
		ended = nil
		ks, err := keysOf(ctx, tx, ids)
		if err != nil {
			return err
		}
		ps, members, err := s.within(tx).lineUp(ctx, ks, nil)
		if err != nil {
			return err
		}
		keys, parts := make([]int64, len(ks)), make([]int32, len(ks))
		for i, k := range ks {
			keys[i], parts[i] = k.key, k.part
		}
		gone, err := numbers(tx.Query(ctx, qCancel, keys, int16(seawall.Canceled), at, orNull(legible(reason))))
		if err != nil {
			return err
		}
		if dead {
			more, err := numbers(tx.Query(ctx, qSkip, keys, parts, int16(seawall.Canceled), at, orNull(legible(reason))))
			if err != nil {
				return err
			}
			gone = append(gone, more...)
		}
		for _, key := range gone {
			if m, ok := members[key]; ok {
				ps.leave(&m, seawall.Canceled, nil, time.Time{})
			}
		}
		slices.SortFunc(ks, func(a, b keyed) int { return a.at - b.at })
		for _, k := range ks {
			if i := slices.Index(gone, k.key); i >= 0 {
				gone = slices.Delete(gone, i, i+1)
				ended = append(ended, k.id)
			}
		}
		if err := ps.proceed(ctx); err != nil {
			return err
		}
		if err := ps.send(ctx, ps.write()...); err != nil {
			return err
		}
		return s.record(ctx, tx, a)
	})
	return ended, err
}

func numbers(rows pgx.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
