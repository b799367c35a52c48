package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// qReady is served by one index, in its order. What is not due yet tells
	// when to look again.
	qReady = `SELECT id, event, due, size FROM delivery WHERE queue = $1 AND state = 0 AND (due, id) > ($2, $3)
		ORDER BY due, id LIMIT $4`

	qClaimed = "SELECT " + unfinishedColumns + ", " + eventColumns + ", e.body FROM delivery d" + joinEvent + " WHERE d.id = ANY($1)"
)

// trail is how far a cursor stays behind: what is committed late, after others
// that fall due at the same time, is not skipped.
const trail = 5 * time.Second

// cursor is where the next claim of a queue goes on. What lies before it has
// been handed out under the same lease. It spares reading what the settled ones
// left in the index, which stays there as long as anybody's snapshot is held.
type cursor struct {
	token int64
	due   time.Time
	id    int64
}

// cursors are those of the queues that this node claims from.
type cursors struct {
	mu sync.Mutex
	of map[int32]cursor
}

// from returns where to begin.
func (c *cursors) from(queue int32, token int64, rescan bool) cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.of[queue]; at.token == token && !rescan {
		return at
	}
	return cursor{token: token}
}

func (c *cursors) set(queue int32, at cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[int32]cursor{}
	}
	c.of[queue] = at
}

// readyRow is a delivery that may be due, as far as the choice needs it.
type readyRow struct {
	id    int64
	event [16]byte
	due   time.Time
	size  int32
}

func (s *Store) Claim(ctx context.Context, l store.Lease, cl store.Claim) (due []store.Claimed, next time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	queue, known, err := s.names.findQueue(ctx, line{cl.Destination, l.Lane})
	if err != nil {
		return nil, time.Time{}, judge(err)
	}
	if !known {
		return nil, time.Time{}, nil // nothing was ever planned for it
	}
	from := s.cursors.from(queue.id, l.Token, cl.Rescan)
	chosen, next, to, err := s.choose(ctx, queue.id, from, cl)
	if err != nil {
		return nil, time.Time{}, judge(err)
	}
	if due, err = s.claimed(ctx, queue.lane, chosen); err != nil {
		return nil, time.Time{}, judge(err)
	}
	if limit := cl.Now.Add(-trail); to.due.After(limit) {
		to.due, to.id = limit, 0
	}
	if to.due.After(from.due) || to.due.Equal(from.due) && to.id > from.id || cl.Rescan {
		s.cursors.set(queue.id, to)
	}
	return due, next, nil
}

// choose reads on from a cursor until there is enough, and returns what to take,
// when what comes after it falls due, and where the next claim goes on.
func (s *Store) choose(ctx context.Context, queue int32, from cursor, cl store.Claim) (chosen []readyRow, next time.Time, to cursor, err error) {
	bytes, limit := 0, cl.Limit+cl.BusyCount+1
	to = from
	for at := from; ; {
		rows, err := s.ready(ctx, queue, at, limit)
		if err != nil {
			return nil, next, to, err
		}
		for _, r := range rows {
			at.due, at.id = r.due, r.id
			if cl.Busy != nil && cl.Busy(seawall.EventID(r.event).Delivery(keyN(r.id))) {
				to = at
				continue
			}
			if r.due.After(cl.Now) || len(chosen) >= cl.Limit || cl.Bytes != 0 && bytes > cl.Bytes {
				return chosen, r.due.UTC(), to, nil
			}
			chosen, to = append(chosen, r), at
			bytes += int(r.size)
		}
		if len(rows) < limit {
			return chosen, time.Time{}, to, nil
		}
	}
}

func (s *Store) ready(ctx context.Context, queue int32, at cursor, limit int) ([]readyRow, error) {
	after := at.due
	if after.IsZero() {
		after = longAgo
	}
	rows, err := s.pool.Query(ctx, qReady, queue, after, at.id, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r readyRow, err error) {
		return r, row.Scan(&r.id, &r.event, &r.due, &r.size)
	})
}

// longAgo is before all that falls due.
var longAgo = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// claimed reads the chosen deliveries with their events, in their order. One
// that ended meanwhile is left out, and so is one that cannot be read: it harms
// itself alone (G7).
func (s *Store) claimed(ctx context.Context, lane int32, chosen []readyRow) ([]store.Claimed, error) {
	if len(chosen) == 0 {
		return nil, nil
	}
	ids, at := make([]int64, len(chosen)), make(map[int64]int, len(chosen))
	for i, r := range chosen {
		ids[i], at[r.id] = r.id, i
	}
	rows, err := s.pool.Query(ctx, qClaimed, ids)
	if err != nil {
		return nil, err
	}
	found, err := claimedRows(rows)
	if err != nil {
		return nil, err
	}
	pairs := make([]*claimedRow, len(chosen))
	for i := range found {
		pairs[at[found[i].d.key]] = &found[i]
	}
	out := make([]store.Claimed, 0, len(chosen))
	for i, p := range pairs {
		id := seawall.EventID(chosen[i].event).Delivery(keyN(chosen[i].id))
		if p == nil {
			s.log.Debug("delivery not claimed: it ended, or its event is not there", "delivery", id)
			continue
		}
		e, err := p.e.event(ctx, s.names, true)
		if err != nil {
			s.log.Error("delivery not readable", "delivery", id, "error", err)
			continue
		}
		c, err := p.claimed(ctx, s.names, e)
		if err != nil {
			return nil, err
		}
		if p.d.line != 0 {
			s.lined.add(lane)
		}
		out = append(out, c)
	}
	return out, nil
}

// claimedRow is a delivery with its event.
type claimedRow struct {
	d deliveryRow
	e eventRow
}

// claimedRows reads what qClaimed selects.
func claimedRows(rows pgx.Rows) ([]claimedRow, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r claimedRow, err error) {
		return r, row.Scan(append(r.d.into(false), r.e.into(true)...)...)
	})
}

// claimed makes the delivery, of that event.
func (r *claimedRow) claimed(ctx context.Context, n *names, e *seawall.Event) (c store.Claimed, err error) {
	r.d.source, r.d.received, r.d.kind = r.e.source, r.e.received, r.e.kind
	c.Event = e
	c.Delivery, err = r.d.delivery(ctx, n)
	return c, err
}

// keysOf returns the keys of deliveries whose events are there, in order.
func (s *Store) keysOf(ctx context.Context, ids []seawall.DeliveryID) (keys []int64, err error) {
	events, parts, numbers := make([][16]byte, len(ids)), make([]int32, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		events[i], parts[i], numbers[i] = id.Event(), dayOf(id.Event()), int64(id.N())
	}
	rows, err := s.pool.Query(ctx, `SELECT e.seq << 15 | x.n FROM unnest($1::uuid[], $2::int4[], $3::int8[]) x(id, part, n)
		CROSS JOIN LATERAL (SELECT seq FROM event WHERE id = x.id AND part IN (x.part, 0) OFFSET 0) e ORDER BY 1`, events, parts, numbers)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
