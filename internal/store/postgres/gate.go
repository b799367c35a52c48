package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Gates(ctx context.Context) ([]store.GateState, error) {
	gs, err := gates(ctx, s.pool)
	return gs, judge(err)
}

func gates(ctx context.Context, q querier) ([]store.GateState, error) {
	rows, err := q.Query(ctx, "SELECT destination, gate, coalesce(reason, ''), coalesce(by, ''), at FROM gate ORDER BY destination")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (g store.GateState, err error) {
		var gate int16
		err = row.Scan(&g.Destination, &gate, &g.Reason, &g.By, &g.At)
		g.Gate, g.At = seawall.Gate(gate), g.At.UTC()
		return g, err
	})
}

const qSetGate = `INSERT INTO gate (destination, gate, reason, by, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (destination) DO UPDATE
	SET gate = excluded.gate, reason = excluded.reason, by = excluded.by, at = excluded.at`

func (s *Store) SetGate(ctx context.Context, g store.GateState, a seawall.Action) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, qSetGate, g.Destination, int16(g.Gate), orNull(legible(g.Reason)), orNull(legible(g.By)), g.At)
		if err != nil {
			return err
		}
		return s.record(ctx, tx, a)
	})
}
