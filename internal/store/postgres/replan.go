package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Replan(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery, a seawall.Action) (added []seawall.Delivery, err error) {
	lines, routes := make([]queue, len(ds)), make([]int32, len(ds))
	for i, d := range ds { // outside of the transaction, where names are written at once
		if lines[i], err = s.names.queue(ctx, lineOf(&d)); err != nil {
			return nil, judge(err)
		}
		if routes[i], err = s.names.id(ctx, d.Route); err != nil {
			return nil, judge(err)
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
		for i, d := range ds {
			ok, err := e.add(ctx, tx, &d, lines[i].id, routes[i], s.time())
			if err != nil {
				return err
			}
			if ok {
				added = append(added, d)
			}
		}
		return s.record(ctx, tx, a)
	})
	return added, err
}

// planned is an event that deliveries are added to.
type planned struct {
	*seawall.Event
	part int32
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
	qPlanned = `INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, since, created, reason, entity, rank)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13, $14, $15)`
	qPlannedFinished = `INSERT INTO finished (id, event, part, queue, state, finished, size, route, revision, flags, attempts, round, since, created, reason, entity, rank)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13, $14, $15)`
)

// add adds a delivery to the event, unless its route has one.
func (e planned) add(ctx context.Context, tx pgx.Tx, d *seawall.Delivery, queue, route int32, now time.Time) (bool, error) {
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
	q, at := qPlanned, d.Due
	if d.State.Final() {
		if q, at = qPlannedFinished, d.Finished; at.IsZero() {
			at = d.Created
		}
	}
	_, err = tx.Exec(ctx, q, key, [16]byte(e.ID), e.part, queue, int16(d.State), at, len(e.Body), route, d.Revision, deliveryFlags(d),
		d.Since, d.Created, orNull(legible(d.Reason)), orNull(legible(d.Entity)), d.Rank)
	return err == nil, err
}

// lineOf is the queue that a delivery is for.
func lineOf(d *seawall.Delivery) line {
	l := line{destination: d.Destination}
	l.System, l.Shard = d.System, d.Shard
	return l
}
