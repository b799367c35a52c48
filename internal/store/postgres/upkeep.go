package postgres

import (
	"context"

	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Ping(ctx context.Context) error {
	wrote, err := number(ctx, s.pool, `INSERT INTO memo (key, value) VALUES ('ping', 1)
		ON CONFLICT (key) DO UPDATE SET value = memo.value + 1 RETURNING value`)
	if err != nil {
		return judge(err)
	}
	read, err := number(ctx, s.pool, "SELECT value FROM memo WHERE key = 'ping'")
	if err == nil && read < wrote {
		return seawall.Errorf(seawall.ErrUnavailable, "store: wrote %d, read back %d", wrote, read)
	}
	return judge(err)
}

// Size counts our own tables: the database may hold others.
func (s *Store) Size(ctx context.Context) (int64, error) {
	n, err := number(ctx, s.pool, `SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
		WHERE relkind = 'r' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'event'::regclass)`)
	return n, judge(err)
}
