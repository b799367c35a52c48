package sqlite

import (
	"context"
	"fmt"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Export(ctx context.Context, p store.Part, after int64, limit int) (store.Chunk, error) {
	out := store.Chunk{Part: p, After: after, Next: after}
	if err := s.show(ctx, everyQueue); err != nil {
		return out, err
	}
	err := s.read(ctx, func(c *conn) error {
		// One moment for all that a row brings along.
		if err := c.exec("BEGIN"); err != nil {
			return err
		}
		defer c.exec("ROLLBACK")
		switch p {
		case store.PartEvents:
			return s.exportEvents(ctx, c, &out, limit)
		case store.PartArrivals:
			return s.exportArrivals(c, &out, limit)
		case store.PartActions:
			return exportActions(c, &out, limit)
		case store.PartRevisions:
			return exportRevisions(c, &out, limit)
		case store.PartLines:
			return s.exportLines(c, &out, limit)
		case store.PartLinks:
			return exportLinks(c, &out, limit)
		case store.PartRest:
			return s.exportRest(c, &out)
		}
		return seawall.Errorf(seawall.ErrInvalid, "a store has no part %q", p)
	})
	return out, err
}

var (
	qExportEvents    = newQuery("SELECT " + eventColumns + ", e.body FROM event e WHERE e.seq > ? ORDER BY e.seq")
	qExportArrivals  = newQuery("SELECT " + arrivalColumns + ", a.headers, a.body FROM arrival a WHERE a.id > ? ORDER BY a.id")
	qExportActions   = newQuery("SELECT id, at, by, what, target, detail FROM action WHERE id > ? ORDER BY id LIMIT ?")
	qExportRevisions = newQuery("SELECT " + revisionColumns + " FROM revision WHERE number > ? ORDER BY number LIMIT ?")
	qReplayedOnes    = newQuery(`SELECT id FROM unfinished WHERE id BETWEEN ?1 AND ?2 AND flags & 2
		UNION ALL SELECT id FROM finished WHERE id BETWEEN ?1 AND ?2 AND flags & 2`)
	qDivertedOnes = newQuery(`SELECT id, origin FROM unfinished WHERE id BETWEEN ?1 AND ?2 AND origin IS NOT NULL
		UNION ALL SELECT id, origin FROM finished WHERE id BETWEEN ?1 AND ?2 AND origin IS NOT NULL`)
	qLinesOfEvent = newQuery("SELECT id, line FROM unfinished WHERE id BETWEEN ? AND ? AND line IS NOT NULL")
	qExportLines  = newQuery("SELECT id, destination, entity, queue, waiting, at, data FROM position WHERE id > ? ORDER BY id LIMIT ?")
	qExportLinks  = newQuery("SELECT " + linkColumns + " FROM link WHERE id > ? ORDER BY id LIMIT ?")
	qCounter      = newQuery("SELECT seq FROM sqlite_sequence WHERE name = ?")
)

func (s *Store) exportEvents(ctx context.Context, c *conn, out *store.Chunk, limit int) error {
	st := c.use(qExportEvents).int(out.After)
	defer st.done()
	for bytes := 0; st.next(); {
		if len(out.Events) >= limit || bytes >= exportBytes {
			out.More = true
			return ctx.Err()
		}
		e, err := s.scanEvent(c, st, true)
		if err != nil {
			return fmt.Errorf("an event after %d: %w", out.Next, err)
		}
		m, err := s.exportEvent(c, e)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
		out.Events = append(out.Events, m)
		out.Next = e.Seq
		bytes += len(e.Body) + m.AnswerBytes()
	}
	return st.done()
}

func (s *Store) exportEvent(c *conn, e *seawall.Event) (m store.MovedEvent, err error) {
	m.Event = e
	if m.Key, err = s.exportKey(c, e); err != nil {
		return m, err
	}
	st := c.use(qRepeats).int(e.Seq)
	if st.next() {
		m.Duplicates, m.Conflicts = st.getInt(), st.getInt()
	}
	if err := st.done(); err != nil {
		return m, err
	}
	from, to := deliveryKey(e.Seq, 0), deliveryKey(e.Seq, seawall.MaxDeliveries)
	ds, err := s.deliveries(c, from, to)
	if err != nil {
		return m, err
	}
	replayed := map[int]bool{}
	st = c.use(qReplayedOnes).int(from).int(to)
	for st.next() {
		replayed[keyN(st.getInt())] = true
	}
	if err := st.done(); err != nil {
		return m, err
	}
	first, err := s.exportPlaces(c, from, to)
	if err != nil {
		return m, err
	}
	lines := map[int64]int64{}
	st = c.use(qLinesOfEvent).int(from).int(to)
	for st.next() {
		key := st.getInt()
		lines[key] = st.getInt()
	}
	if err := st.done(); err != nil {
		return m, err
	}
	if m.Unresolved, err = c.unresolved(e.Seq); err != nil {
		return m, err
	}
	for _, d := range ds {
		key := deliveryKey(e.Seq, d.ID.N())
		as, err := c.attempts(key)
		if err != nil {
			return m, fmt.Errorf("%s: %w", d.ID, err)
		}
		a, err := c.answer(key)
		if err != nil {
			return m, fmt.Errorf("%s: %w", d.ID, err)
		}
		m.Deliveries = append(m.Deliveries, store.MovedDelivery{Delivery: d, Replayed: replayed[d.ID.N()], First: first[key], Line: lines[key], Attempts: as, Answer: a})
	}
	return m, nil
}

// exportPlaces reads where deliveries were before they were diverted.
func (s *Store) exportPlaces(c *conn, from, to int64) (map[int64]*store.Place, error) {
	first := map[int64]*store.Place{}
	st := c.use(qDivertedOnes).int(from).int(to)
	defer st.done()
	for st.next() {
		key := st.getInt()
		l := s.names.line(c, st.getInt())
		first[key] = &store.Place{Lane: l.laneKey, Destination: l.destination}
	}
	return first, st.done()
}

func (s *Store) exportKey(c *conn, e *seawall.Event) (*store.Key, error) {
	source, ok := s.names.id(c, e.Source)
	if e.Keyless || !ok {
		return nil, nil
	}
	st := c.use(qKey).blob(dedupeKey(source, e.SourceID))
	defer st.done()
	if !st.next() || st.getInt() != e.Seq {
		return nil, st.done()
	}
	k := &store.Key{}
	copy(k.BodyHash[:], st.peek())
	k.Expires = st.getTime()
	return k, st.done()
}

func (s *Store) exportArrivals(c *conn, out *store.Chunk, limit int) error {
	st := c.use(qExportArrivals).int(out.After)
	defer st.done()
	for bytes := 0; st.next(); {
		if len(out.Arrivals) >= limit || bytes >= exportBytes {
			out.More = true
			return nil
		}
		a := scanArrival(st)
		var err error
		if a.Headers, err = pack.ParseHeaders(st.peek()); err != nil {
			return fmt.Errorf("arrival %d: %w", a.ID, err)
		}
		a.Body = st.getBlob()
		out.Arrivals = append(out.Arrivals, a)
		out.Next = a.ID
		bytes += len(a.Body)
	}
	return st.done()
}

func exportActions(c *conn, out *store.Chunk, limit int) error {
	st := c.use(qExportActions).int(out.After).int(int64(limit))
	defer st.done()
	for st.next() {
		id, a, err := scanAction(st)
		if err != nil {
			return fmt.Errorf("action %d: %w", id, err)
		}
		out.Actions = append(out.Actions, a)
		out.Next = id
	}
	out.More = len(out.Actions) == limit
	return st.done()
}

func exportRevisions(c *conn, out *store.Chunk, limit int) error {
	limit = min(limit, 20) // each is a whole file
	st := c.use(qExportRevisions).int(out.After).int(int64(limit))
	defer st.done()
	for st.next() {
		number, r, err := scanRevision(st)
		if err != nil {
			return fmt.Errorf("revision %d: %w", number, err)
		}
		out.Revisions = append(out.Revisions, r)
		out.Next = number
	}
	out.More = len(out.Revisions) == limit
	return st.done()
}

func (s *Store) exportRest(c *conn, out *store.Chunk) (err error) {
	if out.After > 0 {
		return nil
	}
	r := &store.Rest{}
	if r.Seq, err = one(c.use(qLastSeq)); err != nil {
		return err
	}
	if r.Arrival, err = one(c.use(qCounter).word("arrival")); err != nil {
		return err
	}
	if r.Action, err = one(c.use(qCounter).word("action")); err != nil {
		return err
	}
	if r.Gates, err = c.gates(); err != nil {
		return err
	}
	if r.Tokens, err = c.tokens(); err != nil {
		return err
	}
	if r.Lanes, err = c.laneTokens(); err != nil {
		return err
	}
	if r.Systems, err = c.systems(); err != nil {
		return err
	}
	if r.Rates, err = c.rates(); err != nil {
		return err
	}
	if r.Sealed, err = c.allSealed(); err != nil {
		return err
	}
	if r.Aliases, err = c.aliases(); err != nil {
		return err
	}
	if r.Merges, err = one(c.use(qMemo).word(memoMerges)); err != nil {
		return err
	}
	out.Rest, out.Next = r, 1
	return nil
}

var qLaneTokens = newQuery("SELECT system, shard, token FROM lane WHERE token > 0 ORDER BY system, shard")

func (c *conn) laneTokens() (out []store.LaneToken, err error) {
	st := c.use(qLaneTokens)
	for st.next() {
		out = append(out, store.LaneToken{Lane: store.Lane{System: st.getText(), Shard: int(st.getInt())}, Token: st.getInt()})
	}
	return out, st.done()
}

// unresolved is the record whose entity an event waits for; nil: none.
func (c *conn) unresolved(seq int64) (r *store.Record, err error) {
	st := c.use(qUnresolved).int(seq)
	defer st.done()
	if st.next() {
		r = &store.Record{Entity: st.getText(), System: st.getText(), Record: st.getText(), Until: st.getTime()}
	}
	return r, st.done()
}

func (s *Store) exportLines(c *conn, out *store.Chunk, limit int) error {
	st := c.use(qExportLines).int(out.After).int(int64(limit))
	defer st.done()
	for st.next() {
		m := store.MovedPosition{ID: st.getInt()}
		m.Destination, m.Entity = s.names.text(c, st.getInt()), st.getText()
		q := s.names.line(c, st.getInt())
		m.Queue = store.Place{Lane: q.laneKey, Destination: q.destination}
		waiting, at := st.getInt(), st.getTime()
		var err error
		if m.Position.Position, err = pack.ParsePosition(st.peek()); err != nil {
			return fmt.Errorf("position %d: %w", m.ID, err)
		}
		m.Waiting, m.At = int(waiting), at
		out.Lines = append(out.Lines, m)
		out.Next = m.ID
	}
	out.More = len(out.Lines) == limit
	return st.done()
}

func exportLinks(c *conn, out *store.Chunk, limit int) error {
	st := c.use(qExportLinks).int(out.After).int(int64(limit))
	defer st.done()
	for st.next() {
		id, l := scanLink(st)
		out.Links = append(out.Links, store.MovedLink{ID: id, Link: l})
		out.Next = id
	}
	out.More = len(out.Links) == limit
	return st.done()
}
