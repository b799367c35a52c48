package sqlite

import (
	"context"
	"strconv"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const deliveryWidth = int64(stretch) << 15

func (s *Store) ListDeliveries(ctx context.Context, f store.DeliveryFilter, p store.Page) (list store.List[seawall.Delivery], err error) {
	if f.State == nil || !f.State.Final() {
		s.show(ctx, everyQueue)
	}
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.Delivery]{kind: 'd'}
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
		if ok, err := selectDeliveries(s, c, l, f, tables); err != nil || !ok {
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
		l := &listing[seawall.DeliveryID]{kind: 'm', ascending: true}
		l.scan = func(st *stmt) (int64, seawall.DeliveryID, error) {
			key, d := s.scanDelivery(c, st)
			return key, d.ID, nil
		}
		if ok, err := selectDeliveries(s, c, l, f, []string{"finished"}); err != nil || !ok {
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
func selectDeliveries[T any](s *Store, c *conn, l *listing[T], f store.DeliveryFilter, tables []string) (bool, error) {
	low, high, err := c.seqsBetween(f.Since, f.Until)
	if err != nil {
		return false, err
	}
	l.low, l.high, l.width = deliveryKey(low, 0), deliveryKey(high, seawall.MaxDeliveries), deliveryWidth
	w := &where{}
	using := ""
	if f.State != nil {
		w.and("d.state = ?", int64(*f.State))
		if *f.State == seawall.Dead {
			using = " INDEXED BY finished_letters"
			w.sql.WriteString(" AND d.state = 4")
		}
	}
	if ok := s.whereNames(c, w, f); !ok {
		return false, nil
	}
	if f.Entity != "" {
		w.and("d.entity = ?", f.Entity)
	}
	w.glob("e.type", f.Type)
	w.times("e.received", f.Since, f.Until)
	l.deliverySQL(tables, using, w)
	return true, nil
}

// whereNames adds the conditions on source, route and destination; false if one
// of them names nothing.
func (s *Store) whereNames(c *conn, w *where, f store.DeliveryFilter) bool {
	for _, n := range []struct{ column, text string }{{"e.source = ?", f.Source}, {"d.route = ?", f.Route}} {
		if n.text == "" {
			continue
		}
		id, ok := s.names.id(c, n.text)
		if !ok {
			return false
		}
		w.and(n.column, id)
	}
	if f.Destination == "" && f.System == "" {
		return true
	}
	in := ""
	for _, id := range s.names.queues(f.Destination, f.System) {
		w.args = append(w.args, id)
		in += ",?" + strconv.Itoa(3+len(w.args))
	}
	if in == "" {
		return false
	}
	w.sql.WriteString(" AND +d.queue IN (" + in[1:] + ")") // + : by id, not by queue
	return true
}

// deliverySQL writes the statements of a listing over the tables.
func (l *listing[T]) deliverySQL(tables []string, using string, w *where) {
	order, past, nearest := "DESC", "<", "max"
	if l.ascending {
		order, past, nearest = "ASC", ">", "min"
	}
	only := ""
	if using != "" {
		only = " AND state = 4"
	}
	l.sql, l.nearest = "", ""
	for i, table := range tables {
		columns := unfinishedColumns
		if table == "finished" {
			columns = finishedColumns
		}
		if i > 0 {
			l.sql += " UNION ALL "
			l.nearest += " UNION ALL "
		}
		l.sql += "SELECT " + columns + ", " + ofEventColumns + " FROM " + table + " d" + using +
			" CROSS JOIN event e ON e.seq = d.id >> 15 WHERE d.id BETWEEN ?1 AND ?2" + w.sql.String()
		l.nearest += "SELECT " + nearest + "(id) AS id FROM " + table + using + " WHERE id " + past + " ?1" + only
	}
	l.sql += " ORDER BY 1 " + order + " LIMIT ?3"
	l.nearest = "SELECT " + nearest + "(id) FROM (" + l.nearest + ")"
	l.args = w.args
}
