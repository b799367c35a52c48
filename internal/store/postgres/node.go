package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
)

const (
	qBeat = "INSERT INTO node (name, revision, schema, until) VALUES ($3, $4, 3, " + now + ` + $2)
		ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, schema = excluded.schema, until = excluded.until`

	// Those that died are forgotten after a while: they are not in the way.
	qForgetNodes = "DELETE FROM node WHERE until < " + now + " - interval '1 hour'"
	qNodes       = "SELECT name, revision FROM node WHERE until > " + now
)

func (s *Store) Beat(ctx context.Context, node store.Node, ttl time.Duration) ([]store.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	b := &pgx.Batch{}
	b.Queue(qBeat, s.clock(), ttl, node.Name, node.Revision)
	b.Queue(qForgetNodes, s.clock())
	b.Queue(qClock, s.clock())
	b.Queue(qNodes, s.clock())
	asked := s.own()
	r := s.pool.SendBatch(ctx, b)
	defer r.Close()
	for range 2 {
		if _, err := r.Exec(); err != nil {
			return nil, judge(err)
		}
	}
	var theirs time.Time
	if err := r.QueryRow().Scan(&theirs); err != nil {
		return nil, judge(err)
	}
	s.compareClock(theirs, asked, s.own())
	rows, err := r.Query()
	if err != nil {
		return nil, judge(err)
	}
	nodes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[store.Node])
	if err != nil {
		return nil, judge(err)
	}
	slices.SortFunc(nodes, func(a, b store.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, judge(r.Close())
}

func (s *Store) Leave(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	_, err := s.pool.Exec(ctx, "DELETE FROM node WHERE name = $1", node)
	return judge(err)
}
