package sqlite

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

var (
	qPlan   = newQuery("UPDATE event SET routing = ?, plan = ?, entity = ?, version = ? WHERE seq = ?")
	qRouted = newQuery(`SELECT EXISTS (SELECT 1 FROM unfinished WHERE id BETWEEN ?1 AND ?2 AND route = ?3)
		OR EXISTS (SELECT 1 FROM finished WHERE id BETWEEN ?1 AND ?2 AND route = ?3)`)
)

func (s *Store) Replan(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery, a seawall.Action) (added []seawall.Delivery, err error) {
	plan := pack.Plan(ev.Decisions)
	err = s.write(ctx, len(plan)+128*len(ds), func(t *txn) error {
		added = nil
		seq, err := t.eventSeq(ev.ID)
		if err != nil {
			return err
		}
		e, err := s.event(t.conn, seq)
		if err != nil {
			return err
		}
		e.Entity, e.Version = ev.Entity, ev.Version
		if err := t.use(qPlan).int(int64(ev.Routing)).blob(plan).text(ev.Entity).text(ev.Version).int(seq).exec(); err != nil {
			return err
		}
		for _, d := range ds {
			ok, err := t.plan(e, &d)
			if err != nil {
				return err
			}
			if ok {
				added = append(added, d)
			}
		}
		return t.record(a)
	})
	return added, err
}

// plan adds a delivery to an event, unless its route has one.
func (t *txn) plan(e *seawall.Event, d *seawall.Delivery) (bool, error) {
	route, err := t.name(d.Route)
	if err != nil {
		return false, err
	}
	from, to := deliveryKey(e.Seq, 0), deliveryKey(e.Seq, seawall.MaxDeliveries)
	has, err := one(t.use(qRouted).int(from).int(to).int(route))
	if err != nil || has != 0 {
		return false, err
	}
	key, err := t.nextDelivery(e.Seq)
	if err != nil {
		return false, err
	}
	d.ID, d.Source, d.Type = e.ID.Delivery(keyN(key)), e.Source, e.Type
	if d.Created.IsZero() {
		d.Created = t.s.now()
	}
	if d.Since.IsZero() {
		d.Since = d.Created
	}
	if d.Due.IsZero() {
		d.Due = d.Created
	}
	return true, t.addDelivery(key, d, e)
}
