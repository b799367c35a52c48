package sqlite

import (
	"context"
	"fmt"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

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
		if err := t.importLines(&c); err != nil {
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
	if err := t.addEvent(a, source, e.Seq, nil); err != nil {
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
	if m.Unresolved != nil {
		return t.addUnresolved(m.Unresolved, e.Seq)
	}
	return nil
}

var (
	qImportLine = newQuery(`INSERT INTO position (id, destination, entity, queue, head, block, waiting, wake, at, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	qImportLink = newQuery("INSERT INTO link (id, entity, system, record, name, at, by) VALUES (?, ?, ?, ?, ?, ?, ?)")
)

// importLines writes positions and links.
func (t *txn) importLines(c *store.Chunk) error {
	for i := range c.Lines {
		m := &c.Lines[i]
		destination, err := t.name(m.Destination)
		if err != nil {
			return err
		}
		queue, err := t.queueOf(m.Queue.Destination, m.Queue.System, m.Queue.Shard)
		if err != nil {
			return err
		}
		p := &m.Position.Position
		err = t.use(qImportLine).int(m.ID).int(destination).word(m.Entity).int(queue).int(p.Head.Key).orNull(p.Block.Key).
			int(int64(p.Waiting)).time(p.Until).int(m.At.UnixMicro()).blob(pack.Position(p)).exec()
		if err != nil {
			return fmt.Errorf("position %d: %w", m.ID, err)
		}
	}
	for _, l := range c.Links {
		name, _ := seawall.EntityName(l.Entity)
		if err := t.use(qImportLink).int(l.ID).word(l.Entity).word(l.System).word(l.Record).word(name).int(l.At.UnixMicro()).text(l.By).exec(); err != nil {
			return fmt.Errorf("link %d: %w", l.ID, err)
		}
		if err := t.use(qToResolve).word(name).word(l.System).word(l.Record).exec(); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) importDelivery(m *store.MovedDelivery, e *seawall.Event) error {
	d, key := &m.Delivery, deliveryKey(e.Seq, m.Delivery.ID.N())
	queue, err := t.queueOf(d.Destination, d.System, d.Shard)
	if err != nil {
		return err
	}
	if err := t.putDelivery(key, queue, m.Line, d, e); err != nil {
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
	for _, a := range r.Aliases {
		if err := t.use(qAddAlias).word(a.Entity).word(a.Into).exec(); err != nil {
			return err
		}
	}
	if r.Merges > 0 {
		if err := t.use(qSetMemo).word(memoMerges).int(r.Merges).exec(); err != nil {
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
