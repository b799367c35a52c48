package postgres

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	revisionColumns = "SELECT number, at, coalesce(by, ''), text FROM revision "
	qLatest         = revisionColumns + "ORDER BY number DESC LIMIT 1"
)

func scanRevision(row pgx.CollectableRow) (r seawall.Revision, err error) {
	err = row.Scan(&r.Number, &r.At, &r.By, &r.Text)
	r.At = r.At.UTC()
	return r, err
}

// revision runs a statement that selects one revision; nil if there is none.
func revision(ctx context.Context, q querier, sql string, args ...any) (*seawall.Revision, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRevision)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &r, err
}

func (s *Store) AddRevision(ctx context.Context, at time.Time, by string, text []byte) (out seawall.Revision, err error) {
	err = s.change(ctx, func(tx pgx.Tx) error {
		// One at a time: of two nodes that bring the same text, the second finds
		// the first one's.
		if _, err := tx.Exec(ctx, lockExclusive, lockRevision); err != nil {
			return err
		}
		latest, err := revision(ctx, tx, qLatest)
		if err != nil {
			return err
		}
		out = seawall.Revision{Number: 1, At: time.UnixMicro(at.UnixMicro()).UTC(), By: by, Text: bytes.Clone(text)}
		if latest != nil {
			if bytes.Equal(latest.Text, text) {
				out = *latest
				return nil
			}
			out.Number = latest.Number + 1
		}
		_, err = tx.Exec(ctx, "INSERT INTO revision (number, at, by, text) VALUES ($1, $2, $3, $4)", out.Number, at, orNull(legible(by)), text)
		return err
	})
	return out, err
}

func (s *Store) Revision(ctx context.Context, number int64) (*seawall.Revision, error) {
	r, err := revision(ctx, s.pool, revisionColumns+"WHERE number = $1", number)
	if err == nil && r == nil {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no configuration revision %d", number)
	}
	return r, judge(err)
}

func (s *Store) Latest(ctx context.Context) (*seawall.Revision, error) {
	r, err := revision(ctx, s.pool, qLatest)
	if err == nil && r == nil {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no configuration was accepted yet")
	}
	return r, judge(err)
}

func (s *Store) ListRevisions(ctx context.Context, p store.Page) (store.List[seawall.Revision], error) {
	l := &listing[seawall.Revision]{kind: 'r', low: 1, high: everything,
		sql: revisionColumns + "WHERE number BETWEEN $1 AND $2 ORDER BY number DESC LIMIT $3"}
	l.read = func(rows pgx.Rows) ([]listed[seawall.Revision], error) {
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (listed[seawall.Revision], error) {
			r, err := scanRevision(row)
			return listed[seawall.Revision]{r.Number, r}, err
		})
	}
	return l.page(ctx, s.pool, p)
}
