package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store/pack"
)

const (
	qDivert = `UPDATE delivery SET queue = $2, origin = coalesce(origin, queue), round = 0, since = $3, flags = flags | 16::int2
		WHERE id = $1`
	qPlaces = `SELECT queue, coalesce(origin, queue) FROM delivery WHERE id = $1
		UNION ALL SELECT queue, coalesce(origin, queue) FROM finished WHERE id = $1 AND part = $2`

	qTries  = "SELECT n, data FROM attempt WHERE delivery = $1 AND part = $2"
	qSetTry = "UPDATE attempt SET data = $4 WHERE delivery = $1 AND part = $2 AND n = $3"
)

// divert moves a delivery that was just settled as pending into another queue.
func (s *Store) divert(ctx context.Context, q querier, st *settlement, now standing) error {
	if _, err := q.Exec(ctx, qDivert, st.key, st.to.id, st.At); err != nil {
		return err
	}
	return s.readdress(ctx, q, st.key, now.part, now.queue, st.to.id)
}

// places are the queue that a delivery is in, and the one it was in before it was
// diverted: the same, if it was not.
func places(ctx context.Context, q querier, k keyed) (now, first int32, err error) {
	err = q.QueryRow(ctx, qPlaces, k.key, k.part).Scan(&now, &first)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return now, first, err
}

// readdress says in a delivery's attempts where they were made to, as the delivery
// goes from one queue to another.
func (s *Store) readdress(ctx context.Context, q querier, key int64, part, from, to int32) error {
	if from == to {
		return nil
	}
	before, err := s.names.line(ctx, from)
	if err != nil {
		return err
	}
	after, err := s.names.line(ctx, to)
	if err != nil || before.destination == after.destination {
		return err
	}
	rows, err := q.Query(ctx, qTries, key, part)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	var n int32
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&n, &data}, func() error {
		changed, err := pack.Readdress(data, before.destination, after.destination)
		b.Queue(qSetTry, key, part, n, changed)
		return err
	})
	if err != nil || b.Len() == 0 {
		return err
	}
	return q.SendBatch(ctx, b).Close()
}
