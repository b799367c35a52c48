package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Import(ctx context.Context, c store.Chunk) error {
	rows, err := s.importRows(ctx, &c)
	if err != nil {
		return judge(err)
	}
	return s.change(ctx, func(tx pgx.Tx) error {
		mark, err := number(ctx, tx, qMemo+" FOR UPDATE", memoMark+string(c.Part))
		switch {
		case err != nil:
			return err
		case c.Next <= mark:
			return nil
		case c.After != mark:
			return seawall.Errorf(seawall.ErrConflict, "the copy has the source's %s up to %d, and this is what follows on %d", c.Part, mark, c.After)
		}
		if err := rows.write(ctx, tx); err != nil {
			return err
		}
		if c.Rest != nil {
			if err := s.importRest(ctx, tx, c.Rest); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, qSetMemo, memoMark+string(c.Part), c.Next)
		return err
	})
}

// table is rows on their way into one table.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

type tables []*table

func (ts tables) write(ctx context.Context, tx pgx.Tx) error {
	for _, t := range ts {
		if len(t.rows) == 0 {
			continue
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

// importRows makes the rows of a chunk, with the names and days that they need.
func (s *Store) importRows(ctx context.Context, c *store.Chunk) (tables, error) {
	w := importer{
		s: s, days: map[int32]bool{},
		event: &table{name: "event", columns: []string{"part", "seq", "id", "source", "received", "occurred", "flags", "routing", "revision",
			"depth", "cause", "type", "entity", "version", "source_id", "plan", "request", "body"}},
		dedupe: &table{name: "dedupe", columns: []string{"source", "key", "event", "body", "expires"}},
		repeat: &table{name: "repeat", columns: []string{"event", "duplicates", "conflicts"}},
		delivery: &table{name: "delivery", columns: []string{"id", "event", "part", "queue", "state", "due", "size", "route", "revision", "flags",
			"attempts", "round", "since", "created", "reason", "entity", "rank", "origin", "line", "awaits"}},
		unresolved: &table{name: "unresolved", columns: []string{"event", "name", "system", "record", "until"}},
		answer:     &table{name: "answer", columns: []string{"delivery", "at", "status", "flags", "headers", "body"}},
		finished: &table{name: "finished", columns: []string{"id", "event", "part", "queue", "state", "finished", "size", "route", "revision",
			"flags", "attempts", "round", "since", "created", "reason", "entity", "rank", "origin", "last"}},
		attempt: &table{name: "attempt", columns: []string{"part", "delivery", "n", "data"}},
	}
	for i := range c.Events {
		if err := w.add(ctx, &c.Events[i]); err != nil {
			return nil, fmt.Errorf("event %s: %w", c.Events[i].Event.ID, err)
		}
	}
	lines, err := s.importLines(ctx, c)
	if err != nil {
		return nil, err
	}
	people, err := importPeople(c)
	return slices.Concat(people, lines, tables{w.event, w.dedupe, w.repeat, w.delivery, w.finished, w.attempt, w.answer, w.unresolved}), err
}

type importer struct {
	s    *Store
	days map[int32]bool // with tables

	event, dedupe, repeat, delivery, finished, attempt, answer, unresolved *table
}

// part is where an event goes: a day that has no tables yet is given some.
func (w *importer) part(ctx context.Context, id seawall.EventID) (int32, error) {
	day := dayOf(id)
	if w.s.days.has(day) || w.days[day] {
		return day, nil
	}
	if today := dayAt(w.s.time()); day <= 0 || day > today+daysAhead {
		return 0, nil
	}
	if _, err := w.s.pool.Exec(ctx, "SELECT seawall_add_day($1)", day); err != nil {
		return 0, err
	}
	w.days[day] = true
	return day, w.s.loadDays(ctx)
}

func (w *importer) add(ctx context.Context, m *store.MovedEvent) error {
	e := m.Event
	source, err := w.s.names.id(ctx, e.Source)
	if err != nil {
		return err
	}
	part, err := w.part(ctx, e.ID)
	if err != nil {
		return err
	}
	var flags int16
	if e.Derived {
		flags |= flagDerived
	}
	if e.Keyless {
		flags |= flagKeyless
	}
	body := e.Body
	if small, ok := deflate(e.Body); ok {
		body, flags = small, flags|flagCompressed
	}
	id := pgtype.UUID{Bytes: e.ID, Valid: true}
	w.event.add(part, e.Seq, id, source, e.ReceivedAt, orNull(e.OccurredAt), flags, int16(e.Routing), e.Revision, int16(e.Depth),
		pgtype.UUID{Bytes: e.Cause, Valid: !e.Cause.IsZero()}, orNull(legible(e.Type)), orNull(legible(e.Entity)), orNull(legible(e.Version)),
		bytesOrNull([]byte(e.SourceID)), pack.Plan(e.Decisions), pack.Request(e), bytesOrNull(body))
	if k := m.Key; k != nil {
		w.dedupe.add(source, dedupeKey(e.SourceID), id, k.BodyHash[:], k.Expires)
	}
	if m.Duplicates+m.Conflicts > 0 {
		w.repeat.add(id, m.Duplicates, m.Conflicts)
	}
	if r := m.Unresolved; r != nil {
		w.unresolved.add(id, legible(r.Entity), legible(r.System), legible(r.Record), r.Until)
	}
	for i := range m.Deliveries {
		if err := w.addDelivery(ctx, &m.Deliveries[i], e, id, part); err != nil {
			return err
		}
	}
	return nil
}

func (w *importer) addDelivery(ctx context.Context, m *store.MovedDelivery, e *seawall.Event, id pgtype.UUID, part int32) error {
	d := &m.Delivery
	q, err := w.s.names.queue(ctx, line{d.Destination, store.Lane{System: d.System, Shard: d.Shard}})
	if err != nil {
		return err
	}
	route, err := w.s.names.id(ctx, d.Route)
	if err != nil {
		return err
	}
	var origin any
	if p := m.First; p != nil {
		first, err := w.s.names.queue(ctx, line{p.Destination, p.Lane})
		if err != nil {
			return err
		}
		origin = first.id
	}
	flags := deliveryFlags(d)
	if m.Replayed {
		flags |= flagReplayed
	}
	key, final := deliveryKey(e.Seq, d.ID.N()), d.State.Final()
	if a := m.Answer; a != nil {
		w.answer.add(key, a.At, int32(a.Status), answerFlags(a), bytesOrNull(pack.Headers(a.Headers)), bytesOrNull(a.Body))
	}
	var last []byte
	for i := range m.Attempts {
		// The one that ended it lies beside it.
		if a := &m.Attempts[i]; final && a.N == d.Attempts {
			last = pack.Attempt(a)
		} else {
			w.attempt.add(part, key, int32(a.N), pack.Attempt(a))
		}
	}
	to, at := w.delivery, d.Due
	if final {
		to, at = w.finished, d.Finished
	}
	row := []any{key, id, part, q.id, int16(d.State), at, int32(len(e.Body)), route, d.Revision, flags, int32(d.Attempts), int32(d.Round),
		orNull(unless(d.Since, e.ReceivedAt)), orNull(unless(d.Created, e.ReceivedAt)), orNull(legible(d.Reason)), orNull(legible(d.Entity)),
		bytesOrNull(d.Rank), origin}
	switch {
	case final:
		row = append(row, bytesOrNull(last))
	default:
		row = append(row, orNull(m.Line), orNull(legible(strings.Join(d.After, "\n"))))
		if m.Line != 0 && len(d.Rank) == 0 {
			row[16] = []byte{}
		}
	}
	to.add(row...)
	return nil
}

// bytesOrNull is NULL for none.
func bytesOrNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// importPeople makes the rows of what is numbered by itself.
func importPeople(c *store.Chunk) (tables, error) {
	arrival := &table{name: "arrival", columns: []string{"id", "source", "at", "verdict", "event", "status", "reason", "detail", "source_id", "proof",
		"remote", "method", "url", "body_size", "headers", "body"}}
	for i := range c.Arrivals {
		a := &c.Arrivals[i]
		arrival.add(a.ID, legible(a.Source), a.At, int16(a.Verdict), pgtype.UUID{Bytes: a.Event, Valid: !a.Event.IsZero()}, int32(a.Status),
			orNull(legible(a.Reason)), orNull(legible(a.Detail)), orNull(legible(a.SourceID)), orNull(legible(a.Proof)), orNull(legible(a.Remote)),
			orNull(legible(a.Method)), orNull(legible(a.URL)), a.BodySize, bytesOrNull(pack.Headers(a.Headers)), bytesOrNull(a.Body))
	}
	action := &table{name: "action", columns: []string{"id", "at", "by", "what", "target", "detail"}}
	for _, a := range c.Actions {
		var detail any
		if len(a.Detail) > 0 {
			clean := make(map[string]string, len(a.Detail))
			for k, v := range a.Detail {
				clean[legible(k)] = legible(v)
			}
			detail = clean
		}
		action.add(a.ID, a.At, orNull(legible(a.By)), legible(a.What), legible(a.On), detail)
	}
	revision := &table{name: "revision", columns: []string{"number", "at", "by", "text"}}
	for _, r := range c.Revisions {
		revision.add(r.Number, r.At, orNull(legible(r.By)), r.Text)
	}
	return tables{arrival, action, revision}, nil
}

func (s *Store) importRest(ctx context.Context, tx pgx.Tx, r *store.Rest) error {
	for _, g := range r.Gates {
		if _, err := tx.Exec(ctx, qSetGate, g.Destination, int16(g.Gate), orNull(legible(g.Reason)), orNull(legible(g.By)), g.At); err != nil {
			return err
		}
	}
	for _, t := range r.Tokens {
		if err := addToken(ctx, tx, t); err != nil {
			return err
		}
	}
	for _, l := range r.Lanes {
		_, err := tx.Exec(ctx, `INSERT INTO lane (system, shard, token) VALUES ($1, $2, $3)
			ON CONFLICT (system, shard) DO UPDATE SET token = greatest(lane.token, excluded.token)`, l.System, l.Shard, l.Token)
		if err != nil {
			return err
		}
	}
	for _, y := range r.Systems {
		if _, err := tx.Exec(ctx, qNewSystem, systemRow(y)...); err != nil {
			return err
		}
	}
	for _, l := range r.Rates {
		if _, err := tx.Exec(ctx, "INSERT INTO rate (system, level, at) VALUES ($1, $2, $3)", l.System, l.Level, l.At); err != nil {
			return err
		}
	}
	for _, v := range r.Sealed {
		if _, err := tx.Exec(ctx, qNewSealed, v.Name, v.Key, v.Data, v.At, v.Version); err != nil {
			return err
		}
	}
	if err := importAliases(ctx, tx, r); err != nil {
		return err
	}
	for sequence, n := range counters(r) {
		if *n == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, "SELECT setval($1::regclass, $2)", sequence, *n); err != nil {
			return err
		}
	}
	return nil
}
