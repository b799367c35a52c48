package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Replan(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery, a seawall.Action) (added []seawall.Delivery, err error) {
	lines, routes, add := make([]queue, len(ds)), make([]int32, len(ds)), planner{seen: map[place]bool{}}
	at := make([]place, len(ds))
	for i, d := range ds { // outside of the transaction, where names are written at once
		if lines[i], err = s.names.queue(ctx, lineOf(&d)); err != nil {
			return nil, judge(err)
		}
		if routes[i], err = s.names.id(ctx, d.Route); err != nil {
			return nil, judge(err)
		}
		if d.State == seawall.Pending && d.Lined() {
			if at[i], err = s.place(ctx, &d); err != nil {
				return nil, judge(err)
			}
			add.add(at[i], lines[i].id)
			s.lined.add(lines[i].lane)
		}
	}
	err = s.change(ctx, func(tx pgx.Tx) error {
		added = nil
		closing, err := holdDays(ctx, tx)
		if err != nil {
			return err
		}
		e, err := s.replanned(ctx, tx, ev, closing)
		if err != nil {
			return err
		}
		if e.ps, err = s.within(tx).lineUpNew(ctx, add); err != nil {
			return err
		}
		for i, d := range ds {
			ok, err := e.add(ctx, tx, &d, lines[i].id, routes[i], at[i], s.time())
			if err != nil {
				return err
			}
			if ok {
				added = append(added, d)
			}
		}
		if err := e.ps.send(ctx, e.ps.write()...); err != nil {
			return err
		}
		return s.record(ctx, tx, a)
	})
	return added, err
}

// lineUpNew locks the positions of places that deliveries are to join, and reads what
// stands in their way.
func (s *session) lineUpNew(ctx context.Context, add planner) (*positions, error) {
	ps := s.positions()
	if len(add.places) == 0 {
		return ps, nil
	}
	p := pick{places: add.places}
	if err := s.send(ctx, ps.drawFor(add.places), ps.lock(p), ps.heads(p), ps.rivals(p)); err != nil {
		return nil, err
	}
	for i, at := range add.places {
		if _, err := ps.position(at, add.queues[i]); err != nil {
			return nil, err
		}
	}
	return ps, nil
}

// planned is an event that deliveries are added to.
type planned struct {
	*seawall.Event
	part int32
	ps   *positions // that its deliveries join
}

// replanned locks an event, sets what planning made of it, and returns it.
func (s *Store) replanned(ctx context.Context, tx pgx.Tx, ev *seawall.Event, closing int32) (e planned, err error) {
	id := ev.ID
	at, err := find(ctx, tx, id)
	if err != nil {
		return e, err
	}
	_, err = tx.Exec(ctx, "UPDATE event SET routing = $3, plan = $4, entity = $5, version = $6 WHERE seq = $1 AND part = $2",
		at.seq, at.part, int16(ev.Routing), pack.Plan(ev.Decisions), orNull(legible(ev.Entity)), orNull(legible(ev.Version)))
	if err != nil {
		return e, err
	}
	if at.part != 0 && at.part <= closing {
		if err := keep(ctx, tx, at.seq, at.part); err != nil {
			return e, err
		}
		at.part = 0
	}
	var r eventRow
	if err := tx.QueryRow(ctx, qEvent, [16]byte(id), dayOf(id)).Scan(r.into(true)...); err != nil {
		return e, err
	}
	e.part = at.part
	e.Event, err = r.event(ctx, s.names, true)
	return e, err
}

const (
	qRouted = `SELECT id FROM delivery WHERE id BETWEEN $1 AND $2 AND route = $4
		UNION ALL SELECT id FROM finished WHERE id BETWEEN $1 AND $2 AND part = $3 AND route = $4 LIMIT 1`
	qPlanned = `INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, since, created, reason, entity, rank,
		line, awaits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13, $14, $15, $16, $17)`
	qPlannedFinished = `INSERT INTO finished (id, event, part, queue, state, finished, size, route, revision, flags, attempts, round, since, created, reason, entity, rank)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13, $14, $15)`
)

// add adds a delivery to the event, unless its route has one.
func (e planned) add(ctx context.Context, tx pgx.Tx, d *seawall.Delivery, queue, route int32, at place, now time.Time) (bool, error) {
	from, to := deliveryKey(e.Seq, 0), deliveryKey(e.Seq, seawall.MaxDeliveries)
	if has, err := number(ctx, tx, qRouted, from, to, e.part, route); err != nil || has != 0 {
		return false, err
	}
	key, err := nextDelivery(ctx, tx, e.Seq, e.part)
	if err != nil {
		return false, err
	}
	d.ID, d.Source, d.Type = e.ID.Delivery(keyN(key)), e.Source, e.Type
	if d.Created.IsZero() {
		d.Created = now
	}
	if d.Since.IsZero() {
		d.Since = d.Created
	}
	if d.Due.IsZero() {
		d.Due = d.Created
	}
	l := e.ps.at[at]
	if l != nil {
		e.ps.join(l, key, d, e.Version, queue)
	}
	q, when := qPlanned, d.Due
	if d.State.Final() {
		if q, when = qPlannedFinished, d.Finished; when.IsZero() {
			when = d.Created
		}
	}
	args := []any{key, [16]byte(e.ID), e.part, queue, int16(d.State), when, len(e.Body), route, d.Revision, deliveryFlags(d),
		d.Since, d.Created, orNull(legible(d.Reason)), orNull(legible(d.Entity)), d.Rank}
	if !d.State.Final() {
		args = append(args, l.number(), orNull(legible(awaited(d))))
	}
	if l != nil && d.Rank == nil {
		args[14] = []byte{}
	}
	_, err = tx.Exec(ctx, q, args...)
	return err == nil, err
}

// lineOf is the queue that a delivery is for.
func lineOf(d *seawall.Delivery) line {
	l := line{destination: d.Destination}
	l.System, l.Shard = d.System, d.Shard
	return l
}
