package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var _ store.Transfer = (*Store)(nil)

// Memos of what the store is, and of how far it is a copy of another.
const (
	memoID     = "id"
	memoOrigin = "origin"
	memoDone   = "copied"
	memoDigest = "digest"
	memoMark   = "mark:" // and the part

	qSetMemo = "INSERT INTO memo (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
	qMemo    = "SELECT value FROM memo WHERE key = $1"
)

func (s *Store) Identity(ctx context.Context) (store.Identity, error) {
	i, err := identity(ctx, s.pool)
	if err != nil || i.ID != 0 {
		return i, judge(err)
	}
	var b [8]byte
	rand.Read(b[:])
	_, err = s.pool.Exec(ctx, "INSERT INTO memo (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", memoID, int64(binary.BigEndian.Uint64(b[:])>>1|1))
	if err == nil {
		i, err = identity(ctx, s.pool)
	}
	return i, judge(err)
}

const qHolds = `SELECT NOT EXISTS (SELECT FROM event) AND NOT EXISTS (SELECT FROM arrival) AND NOT EXISTS (SELECT FROM action)
	AND NOT EXISTS (SELECT FROM revision) AND NOT EXISTS (SELECT FROM token) AND NOT EXISTS (SELECT FROM gate)
	AND NOT EXISTS (SELECT FROM sealed) AND NOT EXISTS (SELECT FROM link) AND NOT EXISTS (SELECT FROM alias)`

func identity(ctx context.Context, q querier) (store.Identity, error) {
	i := store.Identity{Marks: map[store.Part]int64{}}
	memos := map[string]int64{}
	rows, err := q.Query(ctx, "SELECT key, value FROM memo")
	if err != nil {
		return i, err
	}
	var key string
	var value int64
	if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error { memos[key] = value; return nil }); err != nil {
		return i, err
	}
	i.ID, i.Origin, i.Done, i.Digest = memos[memoID], memos[memoOrigin], memos[memoDone] != 0, memos[memoDigest]
	for _, p := range store.Parts {
		i.Marks[p] = memos[memoMark+string(p)]
	}
	return i, q.QueryRow(ctx, qHolds).Scan(&i.Empty)
}

func (s *Store) Adopt(ctx context.Context, origin int64) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		i, err := identity(ctx, tx)
		switch {
		case err != nil:
			return err
		case i.Origin == origin && !i.Done:
			return nil
		case i.Origin != 0 || !i.Empty:
			return seawall.Errorf(seawall.ErrConflict, "the target holds something of its own, or of another store").
				WithHint("name a store that does not exist yet, or an empty database")
		}
		_, err = tx.Exec(ctx, qSetMemo, memoOrigin, origin)
		return err
	})
}

func (s *Store) Finish(ctx context.Context, digest int64) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, qSetMemo, memoDigest, digest); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, qSetMemo, memoDone, 1)
		return err
	})
}
