package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) AddToken(ctx context.Context, t seawall.Token, a seawall.Action) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		err := addToken(ctx, tx, t)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "23505" {
			return seawall.Errorf(seawall.ErrConflict, "there is a token named %q already", t.Name)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, tx, a)
	})
}

func addToken(ctx context.Context, tx pgx.Tx, t seawall.Token) error {
	scopes, err := json.Marshal(t.Scopes)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO token (name, hash, scopes, created, expires) VALUES ($1, $2, $3, $4, $5)",
		t.Name, t.Hash[:], scopes, t.Created, orNull(t.Expires))
	return err
}

func (s *Store) DeleteToken(ctx context.Context, name string, a seawall.Action) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM token WHERE name = $1", name)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return seawall.Errorf(seawall.ErrNotFound, "no token named %q", name)
		}
		return s.record(ctx, tx, a)
	})
}

func (s *Store) ListTokens(ctx context.Context) ([]seawall.Token, error) {
	ts, err := tokens(ctx, s.pool)
	return ts, judge(err)
}

func tokens(ctx context.Context, q querier) ([]seawall.Token, error) {
	rows, err := q.Query(ctx, "SELECT name, hash, scopes, created, expires FROM token ORDER BY name")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t seawall.Token, err error) {
		var hash, scopes []byte
		var expires pgtype.Timestamptz
		if err := row.Scan(&t.Name, &hash, &scopes, &t.Created, &expires); err != nil {
			return t, err
		}
		copy(t.Hash[:], hash)
		t.Created, t.Expires = t.Created.UTC(), timeOf(expires)
		return t, json.Unmarshal(scopes, &t.Scopes)
	})
}
