package sqlite

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// depths counts, for each queue, what waits in it: counting rows on demand
// would cost as much as there is backlog.
type depths struct {
	mu     sync.Mutex
	queues map[int64]*depth
}

type depth struct{ pending, held, dead int64 }

func (d *depth) add(s seawall.State, by int64) {
	switch s {
	case seawall.Pending:
		d.pending += by
	case seawall.Held, seawall.Sending:
		d.held += by
	case seawall.Dead:
		d.dead += by
	}
}

func (d *depths) apply(changes []depthChange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		q := d.queues[c.queue]
		if q == nil {
			q = &depth{}
			d.queues[c.queue] = q
		}
		q.add(c.state, c.by)
	}
}

// snapshot copies the counts.
func (d *depths) snapshot() map[int64]depth {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := make(map[int64]depth, len(d.queues))
	for id, q := range d.queues {
		m[id] = *q
	}
	return m
}

// Each of these reads an index and no row.
var countQueries = map[seawall.State]*query{
	seawall.Pending: newQuery("SELECT queue, count(*) FROM unfinished INDEXED BY unfinished_ready WHERE state = 0 GROUP BY queue"),
	seawall.Held:    newQuery("SELECT queue, count(*) FROM unfinished INDEXED BY unfinished_other WHERE state <> 0 GROUP BY queue"),
	seawall.Dead:    newQuery("SELECT queue, count(*) FROM finished INDEXED BY finished_dead WHERE state = 4 GROUP BY queue"),
}

// loadDepths counts what the file holds.
func (w *writer) loadDepths() error {
	queues := map[int64]*depth{}
	for state, q := range countQueries {
		st := w.use(q)
		for st.next() {
			id := st.getInt()
			if queues[id] == nil {
				queues[id] = &depth{}
			}
			queues[id].add(state, st.getInt())
		}
		if err := st.done(); err != nil {
			return err
		}
	}
	w.s.depths.mu.Lock()
	w.s.depths.queues = queues
	w.s.depths.mu.Unlock()
	return nil
}

var qOldestDue = newQuery(`SELECT due FROM unfinished INDEXED BY unfinished_ready
	WHERE queue = ? AND state = 0 ORDER BY due LIMIT 1`)

func (s *Store) Depths(ctx context.Context) ([]store.Depth, error) {
	s.show(ctx, everyQueue) // for when the oldest is due
	byName := map[string]*store.Depth{}
	err := s.read(ctx, func(c *conn) error {
		for id, n := range s.depths.snapshot() {
			name := s.names.line(c, id).destination
			d := byName[name]
			if d == nil {
				d = &store.Depth{Destination: name}
				byName[name] = d
			}
			d.Pending += n.pending
			d.Held += n.held
			d.Dead += n.dead
			if n.pending == 0 {
				continue
			}
			st := c.use(qOldestDue).int(id)
			var due time.Time
			if st.next() {
				due = st.getTime()
			}
			if err := st.done(); err != nil {
				return err
			}
			if d.OldestDue.IsZero() || !due.IsZero() && due.Before(d.OldestDue) {
				d.OldestDue = due
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]store.Depth, 0, len(byName))
	for _, d := range byName {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b store.Depth) int { return cmp.Compare(a.Destination, b.Destination) })
	return out, nil
}

// Waiting is [Store.Pending]: the counts are at hand.
func (s *Store) Waiting(ctx context.Context) ([]store.PendingQueue, error) {
	out, err := s.Pending(ctx)
	for i := range out {
		out[i].Count = 0
	}
	return out, err
}

func (s *Store) Pending(ctx context.Context) (out []store.PendingQueue, err error) {
	err = s.read(ctx, func(c *conn) error {
		out = nil
		for id, n := range s.depths.snapshot() {
			if n.pending+n.held == 0 {
				continue
			}
			l := s.names.line(c, id)
			out = append(out, store.PendingQueue{Lane: l.laneKey, Destination: l.destination, Count: n.pending + n.held})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.PendingQueue) int {
		return cmp.Or(cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.System, b.System), cmp.Compare(a.Shard, b.Shard))
	})
	return out, err
}
