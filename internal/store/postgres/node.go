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
	qBeat = "INSERT INTO node (name, revision, until) VALUES ($3, $4, " + now + ` + $2)
		ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, until = excluded.until`

	// Those that died are forgotten after a while: they are not in the way.
	qForgetNodes = "DELETE FROM node WHERE until < " + now + " - interval '1 hour'"
	qNodes       = "SELECT name, revision FROM node WHERE until > " + now

	qClock = "SELECT " + now
)

// clockApart is from what difference on a node's clock is worth a word: what falls
// due by one node's clock waits as long by another's.
const clockApart = 2 * time.Second

// compareClock logs it when the clocks of this node and of the database have come
// apart, or together again. theirs was read between asked and answered.
func (s *Store) compareClock(theirs, asked, answered time.Time) {
	apart := max(theirs.Sub(answered), asked.Sub(theirs), 0)
	switch off := apart > clockApart; {
	case off == s.clockOff.Swap(off):
	case off:
		s.log.Warn("the clocks of this node and of the database differ: deliveries may wait as long",
			"by", apart.Round(time.Millisecond), "hint", "is the time of both kept by NTP?")
	default:
		s.log.Info("the clocks of this node and of the database agree again")
	}
}

func (s *Store) Beat(ctx context.Context, node store.Node, ttl time.Duration) ([]store.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	b := &pgx.Batch{}
	b.Queue(qBeat, s.clock(), ttl, node.Name, node.Revision)
	b.Queue(qForgetNodes, s.clock())
	b.Queue(qClock, s.clock())
	b.Queue(qNodes, s.clock())
	asked := s.now()
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
	s.compareClock(theirs, asked, s.now())
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
