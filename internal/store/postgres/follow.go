package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A sequence number is given before its event is committed, so that a lower one
// may appear after a higher one has been read. Who draws a number holds a lock
// on the sequence until his transaction ends (PostgreSQL takes it by itself).
// Once all who held it after a number was the last are gone, nothing can appear
// at or below that number any more: up to there it is settled.

const (
	// followWait is how long a follower waits for those who write just now, and
	// followLook how often it looks.
	followWait = 100 * time.Millisecond
	followLook = 2 * time.Millisecond
)

// horizon is what is known to be settled.
type horizon struct {
	mu      sync.Mutex
	seq     int64
	next    int64           // settled once all of writers are gone
	writers map[string]bool // nil: none was looked at
}

const qDrawn = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_seq"

const qDrawing = `SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'event_seq'::regclass
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'RowExclusiveLock'`

// settled returns the highest sequence number up to which no event can appear
// any more. It waits a moment for those who write; behind one that takes longer
// it returns what was settled before.
func (s *Store) settled(ctx context.Context) (int64, error) {
	h := &s.horizon
	h.mu.Lock()
	defer h.mu.Unlock()
	began, fresh := time.Now(), false
	for {
		fresh = fresh || h.writers == nil
		if err := s.look(ctx, h); err != nil {
			return 0, judge(err)
		}
		if fresh && h.writers == nil || time.Since(began) > followWait {
			return h.seq, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(followLook):
		}
	}
}

// look sees whether those who wrote are gone; if none is looked at, it begins
// with who writes now.
func (s *Store) look(ctx context.Context, h *horizon) error {
	fresh := h.writers == nil
	if fresh {
		if err := s.pool.QueryRow(ctx, qDrawn).Scan(&h.next); err != nil {
			return err
		}
		if h.next == h.seq {
			return nil
		}
	}
	rows, err := s.pool.Query(ctx, qDrawing)
	if err != nil {
		return err
	}
	now, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, w := range now {
		if fresh || h.writers[w] {
			left[w] = true
		}
	}
	if h.writers = left; len(left) == 0 {
		h.seq, h.writers = h.next, nil
	}
	return nil
}
