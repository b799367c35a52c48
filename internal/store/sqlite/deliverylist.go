package sqlite

import (
	"context"
	"strconv"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const deliveryWidth = int64(stretch) << 15

func (s *Store) ListDeliveries(ctx context.Context, f store.DeliveryFilter, p store.Page) (list store.List[seawall.Delivery], err error) {
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.Delivery]{kind: 'd', nearest: `SELECT max(ifnull((SELECT max(id) FROM unfinished WHERE id < ?1), 0),
			ifnull((SELECT max(id) FROM finished WHERE id < ?1), 0))`}
		l.scan = func(st *stmt) (int64, seawall.Delivery, error) {
			key, d := s.scanDelivery(c, st)
			return key, d, nil
		}
		tables := []string{"unfinished", "finished"}
		if f.State != nil {
			if tables = tables[:1]; f.State.Final() {
				tables = []string{"finished"}
			}
		}
		if ok, err := selectDeliveries(s, c, l, f, tables, "DESC"); err != nil || !ok {
			return err
		}
		list, err = l.page(c, p)
		return err
	})
	return list, err
}

func (s *Store) Matching(ctx context.Context, f store.DeliveryFilter, p store.Page) (ids []seawall.DeliveryID, next string, err error) {
	if f.State != nil && !f.State.Final() {
		return nil, "", seawall.Errorf(seawall.ErrInvalid, "a delivery in state %s is not finished", f.State)
	}
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.DeliveryID]{kind: 'm', ascending: true, nearest: "SELECT min(id) FROM finished WHERE id > ?1"}
		l.scan = func(st *stmt) (int64, seawall.DeliveryID, error) {
			key, d := s.scanDelivery(c, st)
			return key, d.ID, nil
		}
		if ok, err := selectDeliveries(s, c, l, f, []string{"finished"}, "ASC"); err != nil || !ok {
			return err
		}
		list, err := l.page(c, p)
		ids, next = list.Items, list.Next
		return err
	})
	return ids, next, err
}

// selectDeliveries completes a listing of deliveries; false if nothing can
// match.
func selectDeliveries[T any](s *Store, c *conn, l *listing[T], f store.DeliveryFilter, tables []string, order string) (bool, error) {
	low, high, err := c.seqsBetween(f.Since, f.Until)
	if err != nil {
		return false, err
	}
	l.low, l.high, l.width = deliveryKey(low, 0), deliveryKey(high, seawall.MaxDeliveries), deliveryWidth
	w := &where{}
	if f.State != nil {
		w.and("d.state = ?", int64(*f.State))
	}
	for _, n := range []struct{ column, text string }{{"e.source = ?", f.Source}, {"d.route = ?", f.Route}} {
		if n.text == "" {
			continue
		}
		id, ok := s.names.id(c, n.text)
		if !ok {
			return false, nil
		}
		w.and(n.column, id)
	}
	if f.Destination != "" {
		in := ""
		for _, id := range s.names.queues(f.Destination) {
			w.args = append(w.args, id)
			in += ",?" + strconv.Itoa(3+len(w.args))
		}
		if in == "" {
			return false, nil
		}
		w.sql.WriteString(" AND d.queue IN (" + in[1:] + ")")
	}
	if f.Entity != "" {
		w.and("d.entity = ?", f.Entity)
	}
	w.glob("e.type", f.Type)
	w.times("e.received", f.Since, f.Until)
	for i, table := range tables {
		columns := unfinishedColumns
		if table == "finished" {
			columns = finishedColumns
		}
		if i > 0 {
			l.sql += " UNION ALL "
		}
		l.sql += "SELECT " + columns + ", " + ofEventColumns + " FROM " + table +
			" d CROSS JOIN event e ON e.seq = d.id >> 15 WHERE d.id BETWEEN ?1 AND ?2" + w.sql.String()
	}
	l.sql += " ORDER BY 1 " + order + " LIMIT ?3"
	l.args = w.args
	return true, nil
}
