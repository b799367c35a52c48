package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// timed are those whose wait ends by itself: what the index of timers has.
	timed = "state = 1 AND reason IN ('earlier', 'settle', 'prerequisite', 'late') AND due < '9999-01-01 00:00:00+00'"

	qRipe  = "SELECT id FROM delivery WHERE queue = $1 AND " + timed + " AND due <= $2 ORDER BY due, id LIMIT $3"
	qWoken = "SELECT id FROM position WHERE queue = $1 AND wake IS NOT NULL AND wake <= $2 ORDER BY wake LIMIT $3"

	// The next of each kind.
	qRipens = "SELECT due FROM (SELECT due FROM delivery WHERE queue = $1 AND " + timed + ` AND due > $2 ORDER BY due LIMIT 1) d
		UNION ALL SELECT wake FROM (SELECT wake FROM position WHERE queue = $1 AND wake IS NOT NULL AND wake > $2 ORDER BY wake LIMIT 1) p`

	qOver = "SELECT " + unfinishedColumns + ", " + ofEventColumns + " FROM delivery d" + joinEvent + " WHERE d.id = ANY ($1)"
)

func (s *Store) Ripen(ctx context.Context, l store.Lease, destination string, now time.Time, limit int) (r store.Ripened, err error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	q, known, err := s.names.findQueue(ctx, line{destination, l.Lane})
	if err != nil || !known {
		return r, judge(err)
	}
	// One that goes on may have another wait for its turn from now on: it is looked
	// again until nothing but what is over is left, by a transaction of its own each
	// time, since positions are locked all at once.
	for range 4 {
		freed, again := r.Freed, false
		err = s.change(ctx, func(tx pgx.Tx) error {
			r, again, err = s.ripen(ctx, tx, q, l, now, max(limit, 1))
			return err
		})
		if r.Freed += freed; err != nil || !again {
			return r, err
		}
	}
	r.Next = now
	return r, nil
}

// ripen has those go on that are ripe. again tells that this may have made others
// ripe.
func (s *Store) ripen(ctx context.Context, tx pgx.Tx, q queue, l store.Lease, now time.Time, limit int) (r store.Ripened, again bool, err error) {
	keys, err := numbers(tx.Query(ctx, qRipe, q.id, now, limit+1))
	if err != nil {
		return r, false, err
	}
	wakes, err := numbers(tx.Query(ctx, qWoken, q.id, now, limit+1))
	if err != nil {
		return r, false, err
	}
	full := len(keys) > limit || len(wakes) > limit
	keys, wakes = keys[:min(len(keys), limit)], wakes[:min(len(wakes), limit)]
	if len(keys)+len(wakes) > 0 {
		if r, err = s.ripenThese(ctx, tx, q, l, now, keys, wakes); err != nil {
			return r, false, err
		}
	}
	if full {
		r.Next = now
		return r, false, nil
	}
	again = len(keys)+len(wakes) > len(r.Over)
	rows, err := tx.Query(ctx, qRipens, q.id, now)
	if err != nil {
		return r, false, err
	}
	times, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	for _, t := range times {
		if t.Before(order.Never) && (r.Next.IsZero() || t.Before(r.Next)) {
			r.Next = t.UTC()
		}
	}
	return r, again, err
}

// ripenThese has deliveries go on, and lines that were held up.
func (s *Store) ripenThese(ctx context.Context, tx pgx.Tx, q queue, l store.Lease, now time.Time, keys, wakes []int64) (r store.Ripened, err error) {
	ps := s.within(tx).positions()
	ps.now = now
	slices.Sort(keys)
	p := pick{keys: keys, ids: wakes}
	if err := ps.send(ctx, ps.lock(p)); err != nil {
		return r, err
	}
	var stands bool
	err = tx.QueryRow(ctx, qStands, q.lane, l.Node, l.Token).Scan(&stands)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	var found []member
	if err := ps.send(ctx, request{qMembers, ints(keys), members(&found)}, ps.heads(p), ps.rivals(p)); err != nil {
		return r, err
	}
	for _, id := range wakes {
		if l := ps.byID[id]; l != nil {
			l.Pass()
		}
	}
	slices.SortFunc(found, func(a, b member) int { return cmp.Compare(a.Key, b.Key) })
	var over []int64
	for i := range found {
		m := &found[i]
		l := ps.byID[m.line]
		if l == nil || m.State != seawall.Held || m.Due.After(now) {
			continue
		}
		switch {
		case m.turns():
			ps.apply([]order.Change{{Key: m.Key, State: seawall.Held, Reason: seawall.ReasonEarlier, Due: order.Never}})
		case m.Reason == seawall.ReasonPrerequisite && m.onWait == seawall.WaitDeliver:
			_, changes := l.Release(&m.Member, true)
			ps.apply(changes)
			ps.joined(m)
		case m.Reason == seawall.ReasonPrerequisite, m.Reason == seawall.ReasonLate:
			over = append(over, m.Key)
		}
	}
	if err := ps.proceed(ctx); err != nil {
		return r, err
	}
	r.Freed = len(ps.freed)
	if err := ps.send(ctx, ps.write()...); err != nil {
		return r, err
	}
	if len(over) == 0 {
		return r, nil
	}
	rows, err := deliveryRows(tx.Query(ctx, qOver, over))
	if err != nil {
		return r, err
	}
	r.Over, err = s.names.deliveries(ctx, rows)
	return r, err
}

const qPositions = `SELECT n.text, p.data, p.waiting, p.at FROM position p JOIN name n ON n.id = p.destination
	WHERE p.entity = $1 AND p.data IS NOT NULL ORDER BY n.text COLLATE "C"`

func (s *Store) Positions(ctx context.Context, entity string) ([]store.Position, error) {
	rows, err := s.pool.Query(ctx, qPositions, legible(entity))
	if err != nil {
		return nil, judge(err)
	}
	ps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p store.Position, err error) {
		var data []byte
		var waiting int32
		if err := row.Scan(&p.Destination, &data, &waiting, &p.At); err != nil {
			return p, err
		}
		p.Position, err = pack.ParsePosition(data)
		p.Waiting, p.At = int(waiting), p.At.UTC()
		return p, err
	})
	return ps, judge(err)
}
