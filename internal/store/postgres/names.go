package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seawall-dev/seawall/internal/store"
)

// line names a queue: a destination's deliveries in one lane.
type line struct {
	destination string
	store.Lane
}

// queue is a line as the tables know it.
type queue struct {
	line
	id   int32
	lane int32
}

// names are the dictionaries, as far as this node knows them: rows of name, lane
// and queue never change and never go. New ones are written at once, outside of
// any batch, so that nothing that is remembered can be rolled back.
type names struct {
	pool *pgxpool.Pool

	mu     sync.RWMutex
	texts  map[int32]string
	ids    map[string]int32
	queues map[int32]queue
	lines  map[line]queue
	lanes  map[store.Lane]int32
}

func newNames(pool *pgxpool.Pool) *names {
	return &names{pool: pool, texts: map[int32]string{}, ids: map[string]int32{}, queues: map[int32]queue{},
		lines: map[line]queue{}, lanes: map[store.Lane]int32{}}
}

// load reads what there is.
func (n *names) load(ctx context.Context) error {
	rows, err := n.pool.Query(ctx, "SELECT id, text FROM name")
	if err != nil {
		return err
	}
	var id int32
	var text string
	var add []func()
	for rows.Next() {
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		i, t := id, text
		add = append(add, func() { n.texts[i], n.ids[t] = t, i })
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows, err = n.pool.Query(ctx, `SELECT l.id, l.system, l.shard, q.id, q.destination FROM lane l LEFT JOIN queue q ON q.lane = l.id`)
	if err != nil {
		return err
	}
	for rows.Next() {
		var l store.Lane
		var laneID int32
		var queueID *int32
		var destination *string
		if err := rows.Scan(&laneID, &l.System, &l.Shard, &queueID, &destination); err != nil {
			return err
		}
		add = append(add, func() {
			n.lanes[l] = laneID
			if queueID != nil {
				q := queue{line{*destination, l}, *queueID, laneID}
				n.queues[q.id], n.lines[q.line] = q, q
			}
		})
	}
	if err := rows.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range add {
		f()
	}
	return nil
}

// id returns the number of a name, giving it one if it is new.
func (n *names) id(ctx context.Context, text string) (int32, error) {
	if id, ok := n.known(text); ok {
		return id, nil
	}
	if _, err := n.pool.Exec(ctx, "INSERT INTO name (text) VALUES ($1) ON CONFLICT DO NOTHING", text); err != nil {
		return 0, err
	}
	if err := n.load(ctx); err != nil {
		return 0, err
	}
	id, _ := n.known(text)
	return id, nil
}

func (n *names) known(text string) (int32, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.ids[text]
	return id, ok
}

// find returns the number of a name, false if it has none.
func (n *names) find(ctx context.Context, text string) (int32, bool, error) {
	if id, ok := n.known(text); ok {
		return id, true, nil
	}
	if err := n.load(ctx); err != nil {
		return 0, false, err
	}
	id, ok := n.known(text)
	return id, ok, nil
}

// text returns the name behind a number, which another node may have given.
func (n *names) text(ctx context.Context, id int32) (string, error) {
	n.mu.RLock()
	text, ok := n.texts[id]
	n.mu.RUnlock()
	if ok {
		return text, nil
	}
	if err := n.load(ctx); err != nil {
		return "", err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.texts[id], nil
}

// lane returns the number of a lane, creating it if it is new.
func (n *names) lane(ctx context.Context, l store.Lane) (int32, error) {
	n.mu.RLock()
	id, ok := n.lanes[l]
	n.mu.RUnlock()
	if ok {
		return id, nil
	}
	if _, err := n.pool.Exec(ctx, "INSERT INTO lane (system, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING", l.System, l.Shard); err != nil {
		return 0, err
	}
	if err := n.load(ctx); err != nil {
		return 0, err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.lanes[l], nil
}

// queue returns a queue, creating it if it is new.
func (n *names) queue(ctx context.Context, l line) (queue, error) {
	n.mu.RLock()
	q, ok := n.lines[l]
	n.mu.RUnlock()
	if ok {
		return q, nil
	}
	lane, err := n.lane(ctx, l.Lane)
	if err != nil {
		return queue{}, err
	}
	if _, err := n.pool.Exec(ctx, "INSERT INTO queue (destination, lane) VALUES ($1, $2) ON CONFLICT DO NOTHING", l.destination, lane); err != nil {
		return queue{}, err
	}
	if err := n.load(ctx); err != nil {
		return queue{}, err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.lines[l], nil
}

// line returns the queue behind a number.
func (n *names) line(ctx context.Context, id int32) (queue, error) {
	n.mu.RLock()
	q, ok := n.queues[id]
	n.mu.RUnlock()
	if ok {
		return q, nil
	}
	if err := n.load(ctx); err != nil {
		return queue{}, err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.queues[id], nil
}

// of returns the queues that a destination has, or a system, or one in the other.
func (n *names) of(ctx context.Context, destination, system string) (qs []queue, err error) {
	if err := n.load(ctx); err != nil {
		return nil, err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, q := range n.queues {
		if (destination == "" || q.destination == destination) && (system == "" || q.System == system) {
			qs = append(qs, q)
		}
	}
	return qs, nil
}

// findLane returns the number of a lane, 0 if there is none such.
func (n *names) findLane(ctx context.Context, l store.Lane) (int32, error) {
	for _, read := range []bool{false, true} {
		if read {
			if err := n.load(ctx); err != nil {
				return 0, err
			}
		}
		n.mu.RLock()
		id, ok := n.lanes[l]
		n.mu.RUnlock()
		if ok {
			return id, nil
		}
	}
	return 0, nil
}

// findQueue returns a queue, false if there is none such.
func (n *names) findQueue(ctx context.Context, l line) (queue, bool, error) {
	for _, read := range []bool{false, true} {
		if read {
			if err := n.load(ctx); err != nil {
				return queue{}, false, err
			}
		}
		n.mu.RLock()
		q, ok := n.lines[l]
		n.mu.RUnlock()
		if ok {
			return q, true, nil
		}
	}
	return queue{}, false, nil
}
