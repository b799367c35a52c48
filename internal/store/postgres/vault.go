package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	sealedColumns = "SELECT name, key, data, at, version FROM sealed"
	qAllSealed    = sealedColumns + " ORDER BY name"
	qSealed       = sealedColumns + " WHERE name = $1"
	qNewSealed    = "INSERT INTO sealed (name, key, data, at, version) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
	qPutSealed    = "UPDATE sealed SET key = $2, data = $3, at = $4, version = $5 WHERE name = $1 AND version = $5 - 1"
	qSameSealed   = "SELECT count(*) FROM sealed WHERE name = $1 AND key = $2 AND data = $3 AND version = $4"

	qHold = "INSERT INTO hold (until, name, node) VALUES (" + now + ` + $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET node = excluded.node, until = excluded.until WHERE hold.node = $4 OR hold.until <= ` + now
	qUnhold = "DELETE FROM hold WHERE name = $1 AND node = $2"
)

func scanSealed(row pgx.CollectableRow) (v store.Sealed, err error) {
	err = row.Scan(&v.Name, &v.Key, &v.Data, &v.At, &v.Version)
	v.At = v.At.UTC()
	return v, err
}

func allSealed(ctx context.Context, q querier) ([]store.Sealed, error) {
	rows, err := q.Query(ctx, qAllSealed)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSealed)
}

func (s *Store) Sealed(ctx context.Context, name string) (*store.Sealed, error) {
	rows, err := s.pool.Query(ctx, qSealed, name)
	if err != nil {
		return nil, judge(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanSealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no secret %q is kept", name)
	}
	if err != nil {
		return nil, judge(err)
	}
	return &v, nil
}

func (s *Store) ListSealed(ctx context.Context) ([]store.Sealed, error) {
	out, err := allSealed(ctx, s.pool)
	return out, judge(err)
}

func (s *Store) PutSealed(ctx context.Context, in store.Sealed) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	sql := qPutSealed
	if in.Version == 0 {
		sql = qNewSealed
	}
	tag, err := s.pool.Exec(ctx, sql, in.Name, in.Key, in.Data, in.At, in.Version+1)
	if err != nil || tag.RowsAffected() == 1 {
		return err == nil, judge(err)
	}
	same, err := number(ctx, s.pool, qSameSealed, in.Name, in.Key, in.Data, in.Version+1)
	return same == 1, judge(err)
}

func (s *Store) Hold(ctx context.Context, name, node string, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	if ttl <= 0 {
		_, err := s.pool.Exec(ctx, qUnhold, name, node)
		return false, judge(err)
	}
	tag, err := s.pool.Exec(ctx, qHold, s.clock(), ttl, name, node)
	return err == nil && tag.RowsAffected() == 1, judge(err)
}
