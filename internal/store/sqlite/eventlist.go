package sqlite

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) ListEvents(ctx context.Context, f store.EventFilter, p store.Page) (list store.List[seawall.Event], err error) {
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.Event]{kind: 'e', width: stretch, nearest: "SELECT max(seq) FROM event WHERE seq < ?1"}
		if l.low, l.high, err = c.seqsBetween(f.Since, f.Until); err != nil {
			return err
		}
		if f.After != 0 {
			l.ascending, l.low = true, max(l.low, f.After+1)
			l.nearest = "SELECT min(seq) FROM event WHERE seq > ?1"
		} else if f.SourceID != "" && p.Cursor == "" {
			if err := s.bySourceID(c, f, &l.high); err != nil {
				return err
			}
		}
		from, w := "event e", &where{}
		if f.Routing != nil {
			w.and("e.routing = ?", int64(*f.Routing))
			if *f.Routing != seawall.Routed {
				from, l.width = "event e INDEXED BY event_unrouted", 0
				w.sql.WriteString(" AND e.routing <> 0")
			}
		}
		if f.Entity != "" {
			from, l.width = "event e INDEXED BY event_entity", 0
			w.and("e.entity = ?", f.Entity)
		}
		if f.Source != "" {
			id, ok := s.names.id(c, f.Source)
			if !ok {
				return nil
			}
			w.and("e.source = ?", id)
		}
		if f.SourceID != "" {
			w.and("e.source_id = ?", f.SourceID)
		}
		w.glob("e.type", f.Type)
		w.times("e.received", f.Since, f.Until)
		order := "DESC"
		if l.ascending {
			order = "ASC"
		}
		l.sql = "SELECT " + eventColumns + " FROM " + from + " WHERE e.seq BETWEEN ?1 AND ?2" + w.sql.String() +
			" ORDER BY e.seq " + order + " LIMIT ?3"
		l.args = w.args
		l.scan = func(st *stmt) (int64, seawall.Event, error) {
			e, err := s.scanEvent(c, st, false)
			if err != nil {
				return 0, seawall.Event{}, err
			}
			return e.Seq, *e, nil
		}
		list, err = l.page(c, p)
		return err
	})
	return list, err
}

// bySourceID begins the list at the event that the dedupe table names, so that
// a source event id within the horizon is found at once.
func (s *Store) bySourceID(c *conn, f store.EventFilter, high *int64) error {
	sources := []string{f.Source}
	if f.Source == "" {
		sources = s.names.all()
	}
	var newest int64
	for _, source := range sources {
		id, ok := s.names.id(c, source)
		if !ok {
			continue
		}
		seq, err := one(c.use(qKey).blob(dedupeKey(id, f.SourceID)))
		if err != nil {
			return err
		}
		newest = max(newest, seq)
	}
	if newest > 0 {
		*high = min(*high, newest)
	}
	return nil
}

var (
	qHighestSeq = newQuery("SELECT max(seq) FROM event")
	qSeqBefore  = newQuery("SELECT seq FROM event WHERE uid < ? ORDER BY uid DESC LIMIT 1")
	qSeqAfter   = newQuery("SELECT seq FROM event WHERE uid >= ? ORDER BY uid LIMIT 1")
)

// clockSlack is how far the clock may have jumped while events came in: their
// order by id and by sequence number may differ by so much.
const clockSlack = 2 * time.Hour

// seqsBetween returns the lowest and highest sequence numbers that events
// received between two times can have; zero times do not bound. Ids of one
// millisecond are in no order, so the bounds are events that lie outside by the
// slack, not the outermost ones inside.
func (c *conn) seqsBetween(since, until time.Time) (low, high int64, err error) {
	if high, err = one(c.use(qHighestSeq)); err != nil {
		return 0, 0, err
	}
	if !until.IsZero() {
		id := firstID(until.Add(clockSlack))
		after, err := one(c.use(qSeqAfter).blob(id[:]))
		if err != nil {
			return 0, 0, err
		}
		if after != 0 {
			high = min(high, after-1)
		}
	}
	if !since.IsZero() {
		id := firstID(since.Add(-clockSlack))
		if low, err = one(c.use(qSeqBefore).blob(id[:])); err != nil {
			return 0, 0, err
		}
	}
	return low + 1, high, nil
}

// firstID is not above any id made at or after t.
func firstID(t time.Time) (id seawall.EventID) {
	ms := uint64(max(t.UnixMilli(), 0))
	binary.BigEndian.PutUint64(id[:], ms<<16)
	return id
}
