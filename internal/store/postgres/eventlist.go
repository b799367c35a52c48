package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) ListEvents(ctx context.Context, f store.EventFilter, p store.Page) (list store.List[seawall.Event], err error) {
	l := &listing[seawall.Event]{kind: 'e', width: stretch,
		nearest: "SELECT seq FROM event WHERE seq < $1 ORDER BY seq DESC LIMIT 1"}
	if _, err := readCursor(p.Cursor, l.kind); err != nil {
		return list, err
	}
	if l.low, l.high, err = seqsBetween(ctx, s.pool, f.Since, f.Until); err != nil {
		return list, err
	}
	if f.After != 0 {
		settled, err := s.settled(ctx)
		if err != nil {
			return list, err
		}
		l.ascending, l.low, l.high = true, max(l.low, f.After+1), min(l.high, settled)
		l.nearest = "SELECT seq FROM event WHERE seq > $1 ORDER BY seq LIMIT 1"
	} else if f.SourceID != "" && p.Cursor == "" {
		if err := s.bySourceID(ctx, f, &l.high); err != nil {
			return list, err
		}
	}
	if ok, err := s.selectEvents(ctx, l, f); err != nil || !ok {
		return list, err
	}
	l.read = func(rows pgx.Rows) ([]listed[seawall.Event], error) {
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r eventRow, err error) {
			return r, row.Scan(r.into(false)...)
		})
		if err != nil {
			return nil, err
		}
		out := make([]listed[seawall.Event], len(found))
		for i := range found {
			e, err := found[i].event(ctx, s.names, false)
			if err != nil {
				return nil, err
			}
			out[i] = listed[seawall.Event]{e.Seq, *e}
		}
		return out, nil
	}
	return l.page(ctx, s.pool, p)
}

// selectEvents writes the statement of a listing of events; false if nothing can
// match. Where an index selects, the range is written over its columns as a row:
// no other index can then serve it, whatever the planner takes to be likely.
func (s *Store) selectEvents(ctx context.Context, l *listing[seawall.Event], f store.EventFilter) (bool, error) {
	direction := " DESC"
	if l.ascending {
		direction = ""
	}
	w := &where{}
	between, order := "e.seq BETWEEN $1 AND $2", "e.seq"+direction
	by := func(column string, v any, only string) {
		a := w.arg(v)
		between = "(" + column + ", e.seq) >= (" + a + ", $1) AND (" + column + ", e.seq) <= (" + a + ", $2) AND " + only
		order = column + direction + ", e.seq" + direction
		if l.width = 0; f.Source != "" || f.SourceID != "" || f.Type != "" {
			l.width = picked
		}
	}
	switch {
	case f.Entity != "":
		by("e.entity", legible(f.Entity), "e.entity IS NOT NULL")
		if f.Routing != nil {
			w.and("e.routing = ?", int16(*f.Routing))
		}
	case f.Routing != nil && *f.Routing != seawall.Routed:
		by("e.routing", int16(*f.Routing), "e.routing <> 0")
	case f.Routing != nil:
		w.and("e.routing = ?", int16(*f.Routing))
	}
	if f.Source != "" {
		id, ok, err := s.names.find(ctx, f.Source)
		if err != nil || !ok {
			return false, judge(err)
		}
		w.and("e.source = ?", id)
	}
	if f.SourceID != "" {
		w.and("e.source_id = ?", []byte(f.SourceID))
	}
	w.glob("e.type", f.Type)
	w.times("e.received", f.Since, f.Until)
	l.sql = "SELECT " + eventColumns + " FROM event e WHERE " + between + w.sql.String() + " ORDER BY " + order + " LIMIT $3"
	l.args = w.args
	return true, nil
}

// bySourceID begins the list at the event that the dedupe table names, so that
// a source event id within the horizon is found at once.
func (s *Store) bySourceID(ctx context.Context, f store.EventFilter, high *int64) error {
	rows, err := s.pool.Query(ctx, `SELECT d.event FROM name n JOIN dedupe d ON d.source = n.id AND d.key = $1
		WHERE n.text = $2 OR $2 = ''`, dedupeKey(f.SourceID), f.Source)
	if err != nil {
		return judge(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return judge(err)
	}
	var newest int64
	for _, id := range ids {
		seq, err := number(ctx, s.pool, "SELECT seq FROM event WHERE id = $1 AND part IN ($2, 0)", id, dayOf(id))
		if err != nil {
			return judge(err)
		}
		newest = max(newest, seq)
	}
	if newest > 0 {
		*high = min(*high, newest)
	}
	return nil
}

// clockSlack is how far the clocks of the nodes may be apart, or may have jumped
// while events came in: their order by id and by sequence number may differ by
// so much.
const clockSlack = 2 * time.Hour

// seqsBetween returns the lowest and highest sequence numbers that events
// received between two times can have; zero times do not bound. Ids of one
// millisecond are in no order, so the bounds are events that lie outside by the
// slack, not the outermost ones inside.
func seqsBetween(ctx context.Context, q querier, since, until time.Time) (low, high int64, err error) {
	if high, err = number(ctx, q, "SELECT seq FROM event ORDER BY seq DESC LIMIT 1"); err != nil {
		return 0, 0, judge(err)
	}
	if !until.IsZero() {
		id := firstID(until.Add(clockSlack))
		after, err := number(ctx, q, "SELECT seq FROM event WHERE id >= $1 ORDER BY id LIMIT 1", [16]byte(id))
		if err != nil {
			return 0, 0, judge(err)
		}
		if after != 0 {
			high = min(high, after-1)
		}
	}
	if !since.IsZero() {
		id := firstID(since.Add(-clockSlack))
		if low, err = number(ctx, q, "SELECT seq FROM event WHERE id < $1 ORDER BY id DESC LIMIT 1", [16]byte(id)); err != nil {
			return 0, 0, judge(err)
		}
	}
	return low + 1, high, nil
}
