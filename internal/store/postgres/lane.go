package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
)

// margin is how long before its lease runs out an owner must stop.
const margin = 2 * time.Second

// now is the database's clock, which all nodes share, or a test's.
const now = "coalesce($1::timestamptz, clock_timestamp())"

// lockLeases locks the leases that still stand, in the order of their lanes:
// settlements lock several in that order too, and neither then has the other wait
// in a circle.
const lockLeases = `SELECT l.id FROM unnest($%d::int4[], $%d::text[], $%d::int8[]) w(id, node, token) JOIN lane l ON l.id = w.id
	WHERE l.node = w.node AND l.token = w.token AND l.node <> '' ORDER BY l.id FOR NO KEY UPDATE OF l`

var (
	qRenew   = "UPDATE lane SET until = " + now + " + $2 WHERE id = ANY (ARRAY(" + fmt.Sprintf(lockLeases, 3, 4, 5) + ")) RETURNING id"
	qRelease = "UPDATE lane SET node = '', until = '-infinity' WHERE id = ANY (ARRAY(" + fmt.Sprintf(lockLeases, 1, 2, 3) + "))"
)

const (
	// A node waits for its own settlements; of others it takes what is free.
	qKeepLanes = "UPDATE lane SET until = " + now + ` + $2 WHERE id = ANY (ARRAY(SELECT id FROM lane
		WHERE id = ANY($3) AND node = $4 ORDER BY id FOR UPDATE)) AND node = $4 RETURNING id, token, false`
	qTakeLanes = `WITH free AS MATERIALIZED (SELECT id, node FROM lane
		WHERE id = ANY($3) AND node <> $4 AND (node = '' OR until <= ` + now + `) ORDER BY id FOR UPDATE SKIP LOCKED)
		UPDATE lane l SET node = $4, token = token + 1, until = ` + now + ` + $2 FROM free WHERE l.id = free.id
		RETURNING l.id, l.token, free.node <> ''`

	// While a node of the program before lives, which would send what is in doubt,
	// it is held as that program held it.
	qToDoubt = `UPDATE delivery SET state = CASE WHEN old.live THEN 1 ELSE 0 END, flags = flags & ~12::int2 | CASE WHEN old.live THEN 0 ELSE 4 END::int2,
		due = least(due, ` + now + `), reason = 'unknown' FROM (SELECT EXISTS (SELECT FROM node WHERE schema < 2 AND until > ` + now + `) AS live) old
		WHERE queue = ANY (ARRAY(SELECT id FROM queue WHERE lane = ANY($2))) AND state = 2`
)

// until is when an owner must stop: counted from before the store was asked, so
// that a slow answer shortens the lease and never lengthens it.
func until(asked time.Time, ttl time.Duration) time.Time { return asked.Add(ttl - min(margin, ttl/4)) }

func (s *Store) Acquire(ctx context.Context, node string, lanes []store.Lane, ttl time.Duration) ([]store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	ids := make([]int32, len(lanes))
	for i, l := range lanes {
		var err error
		if ids[i], err = s.names.lane(ctx, l); err != nil {
			return nil, judge(err)
		}
	}
	var tokens map[int32]int64
	var unclean map[int32]bool
	var asked time.Time
	err := s.change(ctx, func(tx pgx.Tx) error {
		asked = s.now()
		var taken []int32
		tokens, unclean = map[int32]int64{}, map[int32]bool{}
		for i, sql := range []string{qKeepLanes, qTakeLanes} {
			rows, err := tx.Query(ctx, sql, s.clock(), ttl, ids, node)
			if err != nil {
				return err
			}
			var id int32
			var token int64
			var left bool // by an owner that never gave it back
			_, err = pgx.ForEachRow(rows, []any{&id, &token, &left}, func() error {
				tokens[id], unclean[id] = token, left
				if i == 1 {
					taken = append(taken, id)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(taken) == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, qToDoubt, s.clock(), taken)
		return err
	})
	if err != nil {
		return nil, err
	}
	var leases []store.Lease
	for i, l := range lanes {
		if token, ok := tokens[ids[i]]; ok {
			leases = append(leases, store.Lease{Lane: l, Node: node, Token: token, Until: until(asked, ttl), Unclean: unclean[ids[i]]})
		}
	}
	return leases, nil
}

func (s *Store) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) (renewed []store.Lease, err error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	ids, nodes, tokens, err := s.leased(ctx, leases)
	if err != nil {
		return nil, judge(err)
	}
	asked := s.now()
	rows, err := s.pool.Query(ctx, qRenew, s.clock(), ttl, ids, nodes, tokens)
	if err != nil {
		return nil, judge(err)
	}
	stand, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, judge(err)
	}
	for i, l := range leases {
		if slices.Contains(stand, ids[i]) {
			l.Until = until(asked, ttl)
			renewed = append(renewed, l)
		}
	}
	return renewed, nil
}

func (s *Store) Release(ctx context.Context, leases []store.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	ids, nodes, tokens, err := s.leased(ctx, leases)
	if err != nil {
		return judge(err)
	}
	_, err = s.pool.Exec(ctx, qRelease, ids, nodes, tokens)
	return judge(err)
}

// leased spells out leases as columns.
func (s *Store) leased(ctx context.Context, leases []store.Lease) (ids []int32, nodes []string, tokens []int64, err error) {
	for _, l := range leases {
		id, err := s.names.findLane(ctx, l.Lane)
		if err != nil {
			return nil, nil, nil, err
		}
		ids, nodes, tokens = append(ids, id), append(nodes, l.Node), append(tokens, l.Token)
	}
	return ids, nodes, tokens, nil
}
