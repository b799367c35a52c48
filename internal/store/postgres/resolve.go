package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	qUnresolved = "SELECT id FROM delivery WHERE id = ANY ($1) AND state = 1 AND reason = 'unresolved' ORDER BY id FOR UPDATE"

	// Of its own row a delivery keeps what it was tried, and that a person made it.
	qResolved = `UPDATE delivery SET queue = $2, state = $3, reason = $4, due = $5, route = $6, revision = $7, flags = flags & 2::int2 | $8,
		entity = $9, rank = $10, line = $11, awaits = $12 WHERE id = $1`
	qResolvedFinished = `WITH gone AS (DELETE FROM delivery WHERE id = $1 RETURNING *)
		INSERT INTO finished (part, id, event, queue, state, reason, finished, size, route, revision, flags, attempts, round, since, created, entity, rank, origin)
		SELECT part, id, event, $2, $3, $4, $5, size, $6, $7, flags & 2::int2 | $8, attempts, round, since, created, $9, $10, origin FROM gone`
)

func (s *Store) Resolve(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery) (done bool, err error) {
	type row struct {
		queue, route int32
		at           place
	}
	rows, add := make([]row, len(ds)), planner{seen: map[place]bool{}}
	for i := range ds { // outside of the transaction, where names are written at once
		d, r := &ds[i], &rows[i]
		q, err := s.names.queue(ctx, lineOf(d))
		if err != nil {
			return false, judge(err)
		}
		if r.queue = q.id; d.State == seawall.Pending && d.Lined() {
			if r.at, err = s.place(ctx, d); err != nil {
				return false, judge(err)
			}
			add.add(r.at, q.id)
			s.lined.add(q.lane)
		}
		if r.route, err = s.names.id(ctx, d.Route); err != nil {
			return false, judge(err)
		}
	}
	planned := keepPlan(ds)
	err = s.change(ctx, func(tx pgx.Tx) error {
		done = false
		planned.restore()
		if _, err := holdDays(ctx, tx); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "DELETE FROM unresolved WHERE event = $1", [16]byte(ev.ID))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		at, err := find(ctx, tx, ev.ID)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE event SET routing = $3, plan = $4, entity = $5, version = $6 WHERE seq = $1 AND part = $2",
			at.seq, at.part, int16(ev.Routing), pack.Plan(ev.Decisions), orNull(legible(ev.Entity)), orNull(legible(ev.Version)))
		if err != nil {
			return err
		}
		ps, err := s.within(tx).lineUpNew(ctx, add)
		if err != nil {
			return err
		}
		keys := make([]int64, len(ds))
		for i := range ds {
			keys[i] = deliveryKey(at.seq, ds[i].ID.N())
		}
		held, err := numbers(tx.Query(ctx, qUnresolved, keys))
		if err != nil {
			return err
		}
		waits := map[int64]bool{}
		for _, key := range held {
			waits[key] = true
		}
		for i := range ds {
			d, r, key := &ds[i], rows[i], keys[i]
			if !waits[key] {
				continue // it was canceled meanwhile
			}
			l := ps.at[r.at]
			if l != nil {
				ps.join(l, key, d, ev.Version, r.queue)
			}
			sql, when := qResolved, d.Due
			if d.State.Final() {
				if sql, when = qResolvedFinished, d.Finished; when.IsZero() {
					when = ps.now
				}
			}
			if when.IsZero() {
				when = ps.now
			}
			rank := d.Rank
			if l != nil && rank == nil {
				rank = []byte{}
			}
			args := []any{key, r.queue, int16(d.State), orNull(legible(d.Reason)), when, r.route, d.Revision, deliveryFlags(d), orNull(legible(d.Entity)), rank}
			if !d.State.Final() {
				args = append(args, l.number(), orNull(legible(awaited(d))))
			}
			if _, err := tx.Exec(ctx, sql, args...); err != nil {
				return err
			}
		}
		done = true
		return ps.send(ctx, ps.write()...)
	})
	if err != nil || !done {
		planned.restore()
		done = false
	}
	return done, judge(err)
}
