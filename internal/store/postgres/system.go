package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	systemColumns = "SELECT name, breaker, since, until, coalesce(node, ''), opens, coalesce(why, ''), hold, version FROM system"
	qSystems      = systemColumns + " ORDER BY name"
	qSystem       = systemColumns + " WHERE name = $1"
	qNewSystem    = `INSERT INTO system (name, breaker, since, until, node, opens, why, hold, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`
	qSetSystem = `UPDATE system SET breaker = $2, since = $3, until = $4, node = $5, opens = $6, why = $7, hold = $8, version = $9
		WHERE name = $1 AND version = $9 - 1`
)

func scanSystem(row pgx.CollectableRow) (y store.SystemState, err error) {
	var breaker int16
	var opens int32
	var since, until, hold pgtype.Timestamptz
	err = row.Scan(&y.System, &breaker, &since, &until, &y.Node, &opens, &y.Why, &hold, &y.Version)
	y.Breaker, y.Opens = seawall.Breaker(breaker), int(opens)
	y.Since, y.Until, y.Hold = timeOf(since), timeOf(until), timeOf(hold)
	return y, err
}

func (s *Store) SystemStates(ctx context.Context) ([]store.SystemState, error) {
	out, err := systems(ctx, s.pool)
	return out, judge(err)
}

func systems(ctx context.Context, q querier) ([]store.SystemState, error) {
	rows, err := q.Query(ctx, qSystems)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSystem)
}

// systemRow are the columns of a state.
func systemRow(y store.SystemState) []any {
	return []any{y.System, int16(y.Breaker), orNull(y.Since), orNull(y.Until), orNull(legible(y.Node)), int32(y.Opens), orNull(legible(y.Why)),
		orNull(y.Hold), y.Version}
}

func (s *Store) SetSystem(ctx context.Context, next store.SystemState, outcomes []store.Acceptance) (now store.SystemState, done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	as, _, err := s.prepare(ctx, outcomes, make([]store.Accepted, len(outcomes)))
	if err != nil {
		return now, false, judge(err)
	}
	// What is accepted goes by a statement of its own: see session.
	w := &session{s: s}
	defer w.end(ctx)
	events := make([]*acceptance, len(as))
	for i := range as {
		events[i] = &as[i]
	}
	planned := keepPlans(events)
	known, again := next.Version, false
	next.Version++
	err = w.transaction(ctx, func(q querier) error {
		done = false
		sql := qSetSystem
		if known == 0 {
			sql = qNewSystem
		}
		tag, err := q.Exec(ctx, sql, systemRow(next)...)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			rows, err := q.Query(ctx, qSystem, next.System)
			if err != nil {
				return err
			}
			now, err = pgx.CollectExactlyOneRow(rows, scanSystem)
			if errors.Is(err, pgx.ErrNoRows) {
				now, err = store.SystemState{System: next.System}, nil
			}
			return err
		}
		planned.restore()
		for i := range as {
			if again { // perhaps because a day was given up this moment
				as[i].part = 0
			}
		}
		again = true
		now, done = next, true
		if len(events) == 0 {
			return nil
		}
		repeats, err := w.acceptWithin(ctx, nil, events)
		if err != nil || len(repeats) == 0 {
			return err
		}
		return w.repeated(ctx, q, repeats)
	})
	return now, done && err == nil, judge(err)
}

const qTake = "SELECT permits, wait FROM seawall_take($2, $3, $4, $5, $1)"

func (s *Store) Take(ctx context.Context, system string, r store.Rate, want int) (permits int, wait time.Duration, err error) {
	every := r.Every.Microseconds()
	if want <= 0 || every <= 0 {
		return max(want, 0), 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	var n, us int64
	err = s.pool.QueryRow(ctx, qTake, s.clock(), system, every, int64(max(r.Burst, 1)), int64(want)).Scan(&n, &us)
	return int(n), time.Duration(us) * time.Microsecond, judge(err)
}

const (
	qForgetShares = "DELETE FROM share WHERE until <= " + now
	qShares       = "SELECT system, node, part, want, turns FROM share WHERE system = ANY ($1)"
	qSetShare     = "INSERT INTO share (until, system, node, part, want, turns) VALUES (" + now + ` + $2, $3, $4, $5, $6, $7)
		ON CONFLICT (system, node) DO UPDATE SET until = excluded.until, part = excluded.part, want = excluded.want, turns = excluded.turns`
	qDropShare = "DELETE FROM share WHERE system = $1 AND node = $2"
)

// Share has all who ask wait for each other: it takes a moment and is rare.
func (s *Store) Share(ctx context.Context, node string, wants []store.Share, ttl time.Duration) (out []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	names := make([]string, len(wants))
	for i, w := range wants {
		names[i] = w.System
	}
	err = s.change(ctx, func(tx pgx.Tx) error {
		out = make([]int, len(wants))
		b := &pgx.Batch{}
		b.Queue(lockExclusive, lockShares)
		b.Queue(qForgetShares, s.clock())
		b.Queue(qShares, names)
		r := tx.SendBatch(ctx, b)
		for range 2 {
			if _, err := r.Exec(); err != nil {
				r.Close()
				return err
			}
		}
		others, mine := map[string][]store.Sharer{}, map[string]store.Sharer{}
		rows, _ := r.Query()
		var system string
		var h store.Sharer
		_, err := pgx.ForEachRow(rows, []any{&system, &h.Node, &h.Part, &h.Want, &h.Turns}, func() error {
			if h.Node == node {
				mine[system] = h
			} else {
				others[system] = append(others[system], h)
			}
			return nil
		})
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		b = &pgx.Batch{}
		for i, w := range wants {
			had, have := mine[w.System]
			had.Node = node
			share, next := store.Divide(w, had, others[w.System])
			switch out[i] = share; {
			case next.Want > 0 || next.Part > 0:
				b.Queue(qSetShare, s.clock(), ttl, w.System, node, next.Part, next.Want, next.Turns)
			case have:
				b.Queue(qDropShare, w.System, node)
			}
		}
		if b.Len() == 0 {
			return nil
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return out, err
}
