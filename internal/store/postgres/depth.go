package postgres

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/internal/store"
)

// Counting costs as much as there is to count: for some millions, seconds. A
// count that took long, of more than few, is served until it is agedBy times as
// old as it took, so that counting never takes more than a twentieth of a
// processor; and then until the next one is made, so that nobody waits for it.
const (
	long   = 50 * time.Millisecond
	few    = 20_000
	agedBy = 20
)

// countFor bounds a count.
const countFor = "SET LOCAL statement_timeout = '5min'"

// depths is the last count.
type depths struct {
	mu       sync.Mutex
	counting bool // a new one is being made in the background
	queues   map[int32]depth
	took     time.Duration
	at       time.Time // when it was made; zero: never
	total    int64
}

type depth struct{ pending, held, dead int64 }

// Each of these reads an index and no row that has not changed lately.
const qCount = `SELECT queue, 0, count(*) FROM delivery WHERE state = 0 GROUP BY queue
	UNION ALL SELECT queue, 1, count(*) FROM delivery WHERE state <> 0 GROUP BY queue
	UNION ALL SELECT queue, 2, count(*) FROM finished WHERE state = 4 GROUP BY queue`

// counted returns what waits in each queue.
func (s *Store) counted(ctx context.Context) (map[int32]depth, error) {
	d := &s.depths
	d.mu.Lock()
	queues, slow := d.queues, !d.at.IsZero() && d.total > few && d.took > long
	if slow && !d.counting && time.Since(d.at) > agedBy*d.took {
		d.counting = true
		s.background.do(func(ctx context.Context) {
			if _, err := s.count(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("what waits could not be counted", "error", err)
			}
		})
	}
	d.mu.Unlock()
	if slow {
		return queues, nil
	}
	return s.count(ctx)
}

// count counts anew.
func (s *Store) count(ctx context.Context) (map[int32]depth, error) {
	began := time.Now()
	queues, total := map[int32]depth{}, int64(0)
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, countFor); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, qCount)
		if err != nil {
			return err
		}
		var queue, state int32
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&queue, &state, &n}, func() error {
			q := queues[queue]
			*[]*int64{&q.pending, &q.held, &q.dead}[state] += n
			queues[queue] = q
			total += n
			return nil
		})
		return err
	})
	d := &s.depths
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counting = false
	if err != nil {
		return nil, err
	}
	d.queues, d.total, d.took, d.at = queues, total, time.Since(began), time.Now()
	return queues, nil
}

const qOldestDue = `SELECT q.id, d.due FROM unnest($1::integer[]) q (id)
	CROSS JOIN LATERAL (SELECT due FROM delivery WHERE queue = q.id AND state = 0 ORDER BY due LIMIT 1) d`

// oldestDue returns when the first delivery of each queue falls due.
func (s *Store) oldestDue(ctx context.Context, queues []int32) (map[int32]time.Time, error) {
	rows, err := s.pool.Query(ctx, qOldestDue, queues)
	if err != nil {
		return nil, err
	}
	dues := map[int32]time.Time{}
	var queue int32
	var due pgtype.Timestamptz
	_, err = pgx.ForEachRow(rows, []any{&queue, &due}, func() error {
		dues[queue] = timeOf(due)
		return nil
	})
	return dues, err
}

func (s *Store) Depths(ctx context.Context) ([]store.Depth, error) {
	queues, err := s.counted(ctx)
	if err != nil {
		return nil, judge(err)
	}
	var waiting []int32
	for id, n := range queues {
		if n.pending > 0 {
			waiting = append(waiting, id)
		}
	}
	dues, err := s.oldestDue(ctx, waiting)
	if err != nil {
		return nil, judge(err)
	}
	byName := map[string]*store.Depth{}
	for id, n := range queues {
		q, err := s.names.line(ctx, id)
		if err != nil {
			return nil, judge(err)
		}
		d := byName[q.destination]
		if d == nil {
			d = &store.Depth{Destination: q.destination}
			byName[q.destination] = d
		}
		d.Pending += n.pending
		d.Held += n.held
		d.Dead += n.dead
		if due := dues[id]; d.OldestDue.IsZero() || !due.IsZero() && due.Before(d.OldestDue) {
			d.OldestDue = due
		}
	}
	out := make([]store.Depth, 0, len(byName))
	for _, d := range byName {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b store.Depth) int { return cmp.Compare(a.Destination, b.Destination) })
	return out, nil
}

func (s *Store) Pending(ctx context.Context) ([]store.PendingQueue, error) {
	queues, err := s.counted(ctx)
	if err != nil {
		return nil, judge(err)
	}
	var out []store.PendingQueue
	for id, n := range queues {
		if n.pending+n.held == 0 {
			continue
		}
		q, err := s.names.line(ctx, id)
		if err != nil {
			return nil, judge(err)
		}
		out = append(out, store.PendingQueue{Lane: q.Lane, Destination: q.destination, Count: n.pending + n.held})
	}
	sortQueues(out)
	return out, nil
}

func sortQueues(qs []store.PendingQueue) {
	slices.SortFunc(qs, func(a, b store.PendingQueue) int {
		return cmp.Or(cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.System, b.System), cmp.Compare(a.Shard, b.Shard))
	})
}

// The first row of each queue, of those that wait and of the others.
const qWaiting = `SELECT q.id FROM queue q
	LEFT JOIN LATERAL (SELECT true AS one FROM delivery WHERE queue = q.id AND state = 0 ORDER BY due LIMIT 1) p ON true
	LEFT JOIN LATERAL (SELECT true AS one FROM delivery WHERE queue = q.id AND state <> 0 LIMIT 1) h ON true
	WHERE p.one OR h.one`

func (s *Store) Waiting(ctx context.Context) ([]store.PendingQueue, error) {
	rows, err := s.pool.Query(ctx, qWaiting)
	if err != nil {
		return nil, judge(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, judge(err)
	}
	var out []store.PendingQueue
	for _, id := range ids {
		q, err := s.names.line(ctx, id)
		if err != nil {
			return nil, judge(err)
		}
		out = append(out, store.PendingQueue{Lane: q.Lane, Destination: q.destination})
	}
	sortQueues(out)
	return out, nil
}
