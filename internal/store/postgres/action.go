package postgres

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// record writes an action; one that does not say what was done is none.
func (s *Store) record(ctx context.Context, q querier, a seawall.Action) error {
	if a.What == "" {
		return nil
	}
	var detail []byte
	if len(a.Detail) > 0 {
		var err error
		if detail, err = json.Marshal(a.Detail); err != nil {
			return err
		}
	}
	at := a.At
	if at.IsZero() {
		at = s.time()
	}
	_, err := q.Exec(ctx, "INSERT INTO action (at, by, what, target, detail) VALUES ($1, $2, $3, $4, $5)",
		at, orNull(legible(a.By)), legible(a.What), legible(a.On), detail)
	return err
}

func (s *Store) Record(ctx context.Context, a seawall.Action) error {
	return judge(s.record(ctx, s.pool, a))
}

func (s *Store) ListActions(ctx context.Context, on string, p store.Page) (store.List[seawall.Action], error) {
	l := &listing[seawall.Action]{kind: 'c', low: 1, high: everything}
	const columns = "SELECT id, at, coalesce(by, ''), coalesce(what, ''), target, detail FROM action WHERE "
	if l.sql = columns + "id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT $3"; on != "" {
		l.sql = columns + "(target, id) >= ($4, $1) AND (target, id) <= ($4, $2) ORDER BY target DESC, id DESC LIMIT $3"
		l.args = []any{legible(on)}
	}
	l.read = func(rows pgx.Rows) ([]listed[seawall.Action], error) {
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l listed[seawall.Action], err error) {
			a, detail := &l.item, []byte(nil)
			if err := row.Scan(&a.ID, &a.At, &a.By, &a.What, &a.On, &detail); err != nil {
				return l, err
			}
			l.id, a.At = a.ID, a.At.UTC()
			if detail != nil {
				err = json.Unmarshal(detail, &a.Detail)
			}
			return l, err
		})
	}
	return l.page(ctx, s.pool, p)
}
