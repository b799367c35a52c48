package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

var _ store.Transfer = (*Store)(nil)

// Memos of what the store is, and of how far it is a copy of another.
const (
	memoID     = "id"
	memoOrigin = "origin"
	memoDone   = "copied"
	memoDigest = "digest"
	memoMark   = "mark:" // and the part
)

// exportBytes bounds the bodies of one chunk.
const exportBytes = 4 << 20

var (
	qAddMemo = newQuery("INSERT INTO memo (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
	qMemos   = newQuery("SELECT key, value FROM memo")
	qHolds   = newQuery(`SELECT EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM arrival) OR EXISTS (SELECT 1 FROM action)
		OR EXISTS (SELECT 1 FROM revision) OR EXISTS (SELECT 1 FROM token) OR EXISTS (SELECT 1 FROM gate)
		OR EXISTS (SELECT 1 FROM sealed)`)
)

func (s *Store) Identity(ctx context.Context) (i store.Identity, err error) {
	if err = s.read(ctx, func(c *conn) error { i, err = c.identity(); return err }); err != nil || i.ID != 0 {
		return i, err
	}
	err = s.write(ctx, 64, func(t *txn) error {
		var b [8]byte
		rand.Read(b[:])
		if err := t.use(qAddMemo).word(memoID).int(int64(binary.BigEndian.Uint64(b[:])>>1 | 1)).exec(); err != nil {
			return err
		}
		i, err = t.identity()
		return err
	})
	return i, err
}

func (c *conn) identity() (store.Identity, error) {
	i := store.Identity{Marks: map[store.Part]int64{}}
	memos := map[string]int64{}
	st := c.use(qMemos)
	for st.next() {
		key := st.getText()
		memos[key] = st.getInt()
	}
	if err := st.done(); err != nil {
		return i, err
	}
	i.ID, i.Origin, i.Done, i.Digest = memos[memoID], memos[memoOrigin], memos[memoDone] != 0, memos[memoDigest]
	for _, p := range store.Parts {
		i.Marks[p] = memos[memoMark+string(p)]
	}
	holds, err := one(c.use(qHolds))
	i.Empty = holds == 0
	return i, err
}

func (s *Store) Adopt(ctx context.Context, origin int64) error {
	return s.write(ctx, 64, func(t *txn) error {
		i, err := t.identity()
		switch {
		case err != nil:
			return err
		case i.Origin == origin && !i.Done:
			return nil
		case i.Origin != 0 || !i.Empty:
			return seawall.Errorf(seawall.ErrConflict, "the target holds something of its own, or of another store").
				WithHint("name a store that does not exist yet, or an empty database")
		}
		return t.use(qSetMemo).word(memoOrigin).int(origin).exec()
	})
}

func (s *Store) Finish(ctx context.Context, digest int64) error {
	return s.write(ctx, 64, func(t *txn) error {
		if err := t.use(qSetMemo).word(memoDigest).int(digest).exec(); err != nil {
			return err
		}
		return t.use(qSetMemo).word(memoDone).int(1).exec()
	})
}

func (s *Store) Export(ctx context.Context, p store.Part, after int64, limit int) (store.Chunk, error) {
	out := store.Chunk{Part: p, After: after, Next: after}
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
	qCounter = newQuery("SELECT seq FROM sqlite_sequence WHERE name = ?")
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
		m.Deliveries = append(m.Deliveries, store.MovedDelivery{Delivery: d, Replayed: replayed[d.ID.N()], First: first[key], Attempts: as, Answer: a})
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

func (s *Store) Import(ctx context.Context, c store.Chunk) error {
	events := make([]acceptance, len(c.Events))
	for i := range c.Events {
		e := c.Events[i].Event
		events[i] = acceptance{Acceptance: &store.Acceptance{Event: e}, plan: pack.Plan(e.Decisions), request: pack.Request(e)}
	}
	return s.write(ctx, exportBytes, func(t *txn) error {
		mark, err := one(t.use(qMemo).word(memoMark + string(c.Part)))
		switch {
		case err != nil:
			return err
		case c.Next <= mark:
			return nil
		case c.After != mark:
			return seawall.Errorf(seawall.ErrConflict, "the copy has the source's %s up to %d, and this is what follows on %d", c.Part, mark, c.After)
		}
		// What the writer remembers is read anew once this is committed, or not.
		t.onUndo(t.forget)
		t.onCommit(t.forget)
		for i := range c.Events {
			if err := t.importEvent(&c.Events[i], &events[i]); err != nil {
				return fmt.Errorf("event %s: %w", c.Events[i].Event.ID, err)
			}
		}
		if err := t.importPeople(&c); err != nil {
			return err
		}
		if c.Rest != nil {
			if err := t.importRest(c.Rest); err != nil {
				return err
			}
		}
		return t.use(qSetMemo).word(memoMark + string(c.Part)).int(c.Next).exec()
	})
}

// forget has the writer read all that it keeps in memory before it writes again.
func (w *writer) forget() { w.version = -1 }

var (
	qSetReplayed = map[bool]*query{
		false: newQuery("UPDATE unfinished SET flags = flags | 2 WHERE id = ?"),
		true:  newQuery("UPDATE finished SET flags = flags | 2 WHERE id = ?"),
	}
	qSetOrigin = map[bool]*query{
		false: newQuery("UPDATE unfinished SET origin = ? WHERE id = ?"),
		true:  newQuery("UPDATE finished SET origin = ? WHERE id = ?"),
	}
	qSetLast = newQuery("UPDATE finished SET last = ? WHERE id = ?")
)

func (t *txn) importEvent(m *store.MovedEvent, a *acceptance) error {
	e := m.Event
	source, err := t.name(e.Source)
	if err != nil {
		return err
	}
	if err := t.addEvent(a, source, e.Seq); err != nil {
		return err
	}
	if k := m.Key; k != nil {
		if err := t.use(qAddKey).blob(dedupeKey(source, e.SourceID)).int(e.Seq).blob(k.BodyHash[:]).int(k.Expires.UnixMicro()).exec(); err != nil {
			return err
		}
	}
	if m.Duplicates+m.Conflicts > 0 {
		if err := t.use(qRepeat).int(e.Seq).int(m.Duplicates).int(m.Conflicts).exec(); err != nil {
			return err
		}
	}
	for i := range m.Deliveries {
		if err := t.importDelivery(&m.Deliveries[i], e); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) importDelivery(m *store.MovedDelivery, e *seawall.Event) error {
	d, key := &m.Delivery, deliveryKey(e.Seq, m.Delivery.ID.N())
	if err := t.addDelivery(key, d, e); err != nil {
		return err
	}
	if m.Replayed {
		if err := t.use(qSetReplayed[d.State.Final()]).int(key).exec(); err != nil {
			return err
		}
	}
	if p := m.First; p != nil {
		queue, err := t.queueOf(p.Destination, p.System, p.Shard)
		if err != nil {
			return err
		}
		if err := t.use(qSetOrigin[d.State.Final()]).int(queue).int(key).exec(); err != nil {
			return err
		}
	}
	if a := m.Answer; a != nil {
		if err := t.addAnswer(key, a, pack.Headers(a.Headers)); err != nil {
			return err
		}
	}
	for i := range m.Attempts {
		a := &m.Attempts[i]
		// The one that ended it lies beside it.
		if d.State.Final() && a.N == d.Attempts {
			if err := t.use(qSetLast).blob(pack.Attempt(a)).int(key).exec(); err != nil {
				return err
			}
			continue
		}
		if err := t.use(qAddAttempt).int(key).int(int64(a.N)).blob(pack.Attempt(a)).exec(); err != nil {
			return err
		}
	}
	return nil
}

var (
	qImportArrival = newQuery(`INSERT INTO arrival (id, source, at, verdict, event, status, reason, detail, source_id, proof,
		remote, method, url, body_size, headers, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	qImportAction   = newQuery("INSERT INTO action (id, at, by, what, target, detail) VALUES (?, ?, ?, ?, ?, ?)")
	qImportRevision = newQuery("INSERT INTO revision (number, at, by, text) VALUES (?, ?, ?, ?)")
	qAddCounter     = newQuery("INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)")
	qSetCounter     = newQuery("UPDATE sqlite_sequence SET seq = ? WHERE name = ?")
)

// importPeople writes what is numbered by itself.
func (t *txn) importPeople(c *store.Chunk) error {
	for i := range c.Arrivals {
		a, event := &c.Arrivals[i], int64(0)
		if !a.Event.IsZero() {
			var err error
			if event, err = t.eventSeq(a.Event); err != nil {
				return fmt.Errorf("arrival %d: %w", a.ID, err)
			}
		}
		if err := t.putArrival(t.use(qImportArrival).int(a.ID), a, event); err != nil {
			return fmt.Errorf("arrival %d: %w", a.ID, err)
		}
	}
	for i := range c.Actions {
		a := c.Actions[i]
		detail, err := actionDetail(a)
		if err != nil {
			return err
		}
		if err := t.use(qImportAction).int(a.ID).int(a.At.UnixMicro()).text(a.By).text(a.What).word(a.On).text(detail).exec(); err != nil {
			return fmt.Errorf("action %d: %w", a.ID, err)
		}
	}
	for _, r := range c.Revisions {
		if err := t.use(qImportRevision).int(r.Number).int(r.At.UnixMicro()).text(r.By).blob(r.Text).exec(); err != nil {
			return fmt.Errorf("revision %d: %w", r.Number, err)
		}
	}
	return nil
}

func (t *txn) importRest(r *store.Rest) error {
	for _, g := range r.Gates {
		if err := t.setGate(g); err != nil {
			return err
		}
	}
	for _, tok := range r.Tokens {
		if err := t.addToken(tok); err != nil {
			return err
		}
	}
	for _, l := range r.Lanes {
		if err := t.setLane(l.Lane, laneState{token: l.Token}); err != nil {
			return err
		}
	}
	for _, y := range r.Systems {
		if err := t.setSystem(y); err != nil {
			return err
		}
	}
	for _, l := range r.Rates {
		if err := t.setRate(l); err != nil {
			return err
		}
	}
	for _, v := range r.Sealed {
		if err := t.putSealed(v); err != nil {
			return err
		}
	}
	for name, n := range map[string]int64{"arrival": r.Arrival, "action": r.Action} {
		if err := t.use(qAddCounter).word(name).exec(); err != nil {
			return err
		}
		if err := t.use(qSetCounter).int(n).word(name).exec(); err != nil {
			return err
		}
	}
	return t.use(qSetMemo).word("seq").int(r.Seq).exec()
}
