package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const flagFallback = 1

const (
	qAddAnswer = `INSERT INTO answer (delivery, at, status, flags, headers, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (delivery) DO UPDATE SET at = excluded.at, status = excluded.status, flags = excluded.flags,
		headers = excluded.headers, body = excluded.body`
	qAnswers = `SELECT delivery, at, status, flags, headers, body FROM answer WHERE delivery = ANY ($1)`
)

func answerFlags(a *seawall.Answer) int16 {
	if a.Fallback {
		return flagFallback
	}
	return 0
}

// addAnswers keeps the answers that come with settlements.
func addAnswers(ctx context.Context, q querier, ss []*settlement) error {
	if len(ss) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, st := range ss {
		a := st.Answer
		b.Queue(qAddAnswer, st.key, a.At, int32(a.Status), answerFlags(a), st.headers, bytesOrNull(a.Body))
	}
	return q.SendBatch(ctx, b).Close()
}

func (s *Store) Answers(ctx context.Context, ids []seawall.DeliveryID) (map[seawall.DeliveryID]*seawall.Answer, error) {
	ks, err := keysOf(ctx, s.pool, ids)
	if err != nil {
		return nil, judge(err)
	}
	keys, of := make([]int64, len(ks)), map[int64]seawall.DeliveryID{}
	for i, k := range ks {
		keys[i], of[k.key] = k.key, k.id
	}
	out := map[seawall.DeliveryID]*seawall.Answer{}
	err = answers(ctx, s.pool, qAnswers, []any{keys}, func(key int64, a *seawall.Answer) { out[of[key]] = a })
	if err != nil {
		return nil, judge(err)
	}
	return out, nil
}

// answers calls f for each answer that a statement selects.
func answers(ctx context.Context, q querier, sql string, args []any, f func(key int64, a *seawall.Answer)) error {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key int64
		var at time.Time
		var status int32
		var flags int16
		var headers, body []byte
		if err := rows.Scan(&key, &at, &status, &flags, &headers, &body); err != nil {
			return err
		}
		a := &seawall.Answer{At: at.UTC(), Status: int(status), Fallback: flags&flagFallback != 0}
		if len(body) > 0 {
			a.Body = body
		}
		if a.Headers, err = pack.ParseHeaders(headers); err != nil {
			return err
		}
		f(key, a)
	}
	return rows.Err()
}
