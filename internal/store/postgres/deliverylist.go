package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// idSlack is how far the time in an event's id may be from when it was received.
const idSlack = time.Minute

const deliveryWidth = int64(stretch) << 15

func (s *Store) ListDeliveries(ctx context.Context, f store.DeliveryFilter, p store.Page) (list store.List[seawall.Delivery], err error) {
	l := &listing[seawall.Delivery]{kind: 'd'}
	if _, err := readCursor(p.Cursor, l.kind); err != nil {
		return list, err
	}
	tables := []string{"delivery", "finished"}
	if f.State != nil {
		if tables = tables[:1]; f.State.Final() {
			tables = []string{"finished"}
		}
	}
	if ok, err := selectDeliveries(ctx, s, l, f, tables); err != nil || !ok {
		return list, err
	}
	l.read = func(rows pgx.Rows) ([]listed[seawall.Delivery], error) {
		found, err := deliveryRows(rows, nil)
		if err != nil {
			return nil, err
		}
		ds, err := s.names.deliveries(ctx, found)
		if err != nil {
			return nil, err
		}
		out := make([]listed[seawall.Delivery], len(ds))
		for i := range ds {
			out[i] = listed[seawall.Delivery]{found[i].key, ds[i]}
		}
		return out, nil
	}
	return l.page(ctx, s.pool, p)
}

func (s *Store) Matching(ctx context.Context, f store.DeliveryFilter, p store.Page) (ids []seawall.DeliveryID, next string, err error) {
	if f.State != nil && !f.State.Final() {
		return nil, "", seawall.Errorf(seawall.ErrInvalid, "a delivery in state %s is not finished", f.State)
	}
	l := &listing[seawall.DeliveryID]{kind: 'm', ascending: true}
	if _, err := readCursor(p.Cursor, l.kind); err != nil {
		return nil, "", err
	}
	if ok, err := selectDeliveries(ctx, s, l, f, []string{"finished"}); err != nil || !ok {
		return nil, "", err
	}
	l.read = func(rows pgx.Rows) ([]listed[seawall.DeliveryID], error) {
		found, err := deliveryRows(rows, nil)
		if err != nil {
			return nil, err
		}
		out := make([]listed[seawall.DeliveryID], len(found))
		for i, r := range found {
			out[i] = listed[seawall.DeliveryID]{r.key, seawall.EventID(r.event).Delivery(keyN(r.key))}
		}
		return out, nil
	}
	list, err := l.page(ctx, s.pool, p)
	return list.Items, list.Next, err
}

// selectDeliveries completes a listing of deliveries; false if nothing can
// match.
func selectDeliveries[T any](ctx context.Context, s *Store, l *listing[T], f store.DeliveryFilter, tables []string) (bool, error) {
	low, high, err := seqsBetween(ctx, s.pool, f.Since, f.Until)
	if err != nil {
		return false, err
	}
	l.low, l.high, l.width = deliveryKey(low, 0), deliveryKey(high, seawall.MaxDeliveries), deliveryWidth
	w := &where{}
	var queues []int32
	if f.Destination != "" || f.System != "" {
		if queues, err = s.queuesOf(ctx, f.Destination, f.System); err != nil || len(queues) == 0 {
			return false, judge(err)
		}
	}
	for _, n := range []struct{ column, text string }{{"e.source = ?", f.Source}, {"d.route = ?", f.Route}} {
		if n.text == "" {
			continue
		}
		id, ok, err := s.names.find(ctx, n.text)
		if err != nil || !ok {
			return false, judge(err)
		}
		w.and(n.column, id)
	}
	if f.Entity != "" {
		w.and("d.entity = ?", legible(f.Entity))
	}
	w.glob("e.type", f.Type)
	w.times("e.received", f.Since, f.Until)
	// The id of the event tells nearly as much, before the event is looked up.
	if !f.Since.IsZero() {
		w.and("d.event >= ?", [16]byte(firstID(f.Since.Add(-idSlack))))
	}
	if !f.Until.IsZero() {
		w.and("d.event < ?", [16]byte(firstID(f.Until.Add(idSlack))))
	}
	if f.State != nil && *f.State == seawall.Dead {
		if l.width = 0; len(w.args) > 0 {
			l.width = picked << 15
		}
		l.deadLetters(w, queues)
		return true, nil
	}
	if f.State != nil {
		w.and("d.state = ?", int16(*f.State))
	}
	if len(queues) > 0 {
		w.and("d.queue = ANY(?)", queues)
	}
	l.tables(tables, w)
	return true, nil
}

// tables writes the statements of a listing over the tables, by id. Each of them
// gives its own first ones, in order, so that neither is read to the end.
func (l *listing[T]) tables(tables []string, w *where) {
	order, past := " DESC", "<"
	if l.ascending {
		order, past = "", ">"
	}
	var rows, near []string
	for _, table := range tables {
		columns := unfinishedColumns
		if table == "finished" {
			columns = finishedColumns
		}
		rows = append(rows, "(SELECT "+columns+", "+ofEventColumns+" FROM "+table+" d"+joinEvent+
			" WHERE d.id BETWEEN $1 AND $2"+w.sql.String()+" ORDER BY d.id"+order+" LIMIT $3)")
		near = append(near, "(SELECT id FROM "+table+" WHERE id "+past+" $1 ORDER BY id"+order+" LIMIT 1)")
	}
	l.sql = "SELECT * FROM (" + strings.Join(rows, " UNION ALL ") + ") r ORDER BY 1" + order + " LIMIT $3"
	l.nearest = "SELECT id FROM (" + strings.Join(near, " UNION ALL ") + ") r ORDER BY 1" + order + " LIMIT 1"
	l.args = w.args
}

// deadLetters writes the statements of a listing of dead letters, each found by
// an index of theirs: over all queues, or over some.
func (l *listing[T]) deadLetters(w *where, queues []int32) {
	order, past := " DESC", "<"
	if l.ascending {
		order, past = "", ">"
	}
	l.nearest = "SELECT id FROM finished WHERE state = 4 AND (state, id) " + past + " (4, $1) ORDER BY state" + order + ", id" + order + " LIMIT 1"
	columns := "SELECT " + finishedColumns + ", " + ofEventColumns + " FROM finished d" + joinEvent + " WHERE d.state = 4 AND "
	if len(queues) == 0 {
		l.sql = columns + "(d.state, d.id) >= (4, $1) AND (d.state, d.id) <= (4, $2)" + w.sql.String() +
			" ORDER BY d.state" + order + ", d.id" + order + " LIMIT $3"
		l.args = w.args
		return
	}
	l.sql = "SELECT r.* FROM unnest(" + w.arg(queues) + "::integer[]) q (id) CROSS JOIN LATERAL (" + columns +
		"(d.queue, d.id) >= (q.id, $1) AND (d.queue, d.id) <= (q.id, $2)" + w.sql.String() +
		" ORDER BY d.queue" + order + ", d.id" + order + " LIMIT $3) r ORDER BY 1" + order + " LIMIT $3"
	l.args = w.args
}

// queuesOf returns the queues that a destination has, or a system, or one in the
// other.
func (s *Store) queuesOf(ctx context.Context, destination, system string) (ids []int32, err error) {
	qs, err := s.names.of(ctx, destination, system)
	for _, q := range qs {
		ids = append(ids, q.id)
	}
	return ids, err
}
