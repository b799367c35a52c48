package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

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

	qSetMemo = "INSERT INTO memo (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
	qMemo    = "SELECT value FROM memo WHERE key = $1"
)

// exportBytes bounds the bodies of one chunk.
const exportBytes = 4 << 20

func (s *Store) Identity(ctx context.Context) (store.Identity, error) {
	i, err := identity(ctx, s.pool)
	if err != nil || i.ID != 0 {
		return i, judge(err)
	}
	var b [8]byte
	rand.Read(b[:])
	_, err = s.pool.Exec(ctx, "INSERT INTO memo (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", memoID, int64(binary.BigEndian.Uint64(b[:])>>1|1))
	if err == nil {
		i, err = identity(ctx, s.pool)
	}
	return i, judge(err)
}

const qHolds = `SELECT NOT EXISTS (SELECT FROM event) AND NOT EXISTS (SELECT FROM arrival) AND NOT EXISTS (SELECT FROM action)
	AND NOT EXISTS (SELECT FROM revision) AND NOT EXISTS (SELECT FROM token) AND NOT EXISTS (SELECT FROM gate)`

func identity(ctx context.Context, q querier) (store.Identity, error) {
	i := store.Identity{Marks: map[store.Part]int64{}}
	memos := map[string]int64{}
	rows, err := q.Query(ctx, "SELECT key, value FROM memo")
	if err != nil {
		return i, err
	}
	var key string
	var value int64
	if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error { memos[key] = value; return nil }); err != nil {
		return i, err
	}
	i.ID, i.Origin, i.Done, i.Digest = memos[memoID], memos[memoOrigin], memos[memoDone] != 0, memos[memoDigest]
	for _, p := range store.Parts {
		i.Marks[p] = memos[memoMark+string(p)]
	}
	return i, q.QueryRow(ctx, qHolds).Scan(&i.Empty)
}

func (s *Store) Adopt(ctx context.Context, origin int64) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		i, err := identity(ctx, tx)
		switch {
		case err != nil:
			return err
		case i.Origin == origin && !i.Done:
			return nil
		case i.Origin != 0 || !i.Empty:
			return seawall.Errorf(seawall.ErrConflict, "the target holds something of its own, or of another store").
				WithHint("name a store that does not exist yet, or an empty database")
		}
		_, err = tx.Exec(ctx, qSetMemo, memoOrigin, origin)
		return err
	})
}

func (s *Store) Finish(ctx context.Context, digest int64) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, qSetMemo, memoDigest, digest); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, qSetMemo, memoDone, 1)
		return err
	})
}

func (s *Store) Export(ctx context.Context, p store.Part, after int64, limit int) (out store.Chunk, err error) {
	var read func(context.Context, pgx.Tx, *store.Chunk, int) error
	switch p {
	case store.PartEvents:
		read = s.exportEvents
	case store.PartArrivals:
		read = exportArrivals
	case store.PartActions:
		read = exportActions
	case store.PartRevisions:
		read = exportRevisions
	case store.PartRest:
		read = exportRest
	default:
		return out, seawall.Errorf(seawall.ErrInvalid, "a store has no part %q", p)
	}
	// One moment for all that a row brings along.
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		out = store.Chunk{Part: p, After: after, Next: after}
		return read(ctx, tx, &out, limit)
	})
	return out, judge(err)
}

func (s *Store) exportEvents(ctx context.Context, tx pgx.Tx, out *store.Chunk, limit int) error {
	rows, err := tx.Query(ctx, "SELECT "+eventColumns+", e.body FROM event e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2", out.After, limit+1)
	if err != nil {
		return err
	}
	var found []eventRow
	for bytes := 0; rows.Next(); {
		if len(found) == limit || bytes >= exportBytes {
			out.More = true
			break
		}
		var r eventRow
		if err := rows.Scan(r.into(true)...); err != nil {
			return err
		}
		found = append(found, r)
		bytes += len(r.body)
	}
	rows.Close()
	if err := rows.Err(); err != nil || len(found) == 0 {
		return err
	}
	at := map[int64]int{} // by sequence number
	for i := range found {
		e, err := found[i].event(ctx, s.names, true)
		if err != nil {
			return fmt.Errorf("event %s: %w", seawall.EventID(found[i].id), err)
		}
		at[e.Seq] = i
		out.Events = append(out.Events, store.MovedEvent{Event: e})
		out.Next = e.Seq
	}
	if err := exportKeys(ctx, tx, found, out.Events); err != nil {
		return err
	}
	if err := exportRepeats(ctx, tx, found, out.Events); err != nil {
		return err
	}
	from, to := deliveryKey(found[0].seq, 0), deliveryKey(out.Next, seawall.MaxDeliveries)
	if err := s.exportDeliveries(ctx, tx, found, at, from, to, out.Events); err != nil {
		return err
	}
	return exportAttempts(ctx, tx, at, from, to, out.Events)
}

const qExportKeys = `SELECT k.i, d.body, d.expires FROM unnest($1::int4[], $2::bytea[], $3::uuid[]) WITH ORDINALITY k(source, key, event, i)
	JOIN dedupe d ON d.source = k.source AND d.key = k.key AND d.event = k.event`

func exportKeys(ctx context.Context, tx pgx.Tx, found []eventRow, out []store.MovedEvent) error {
	sources, keys, ids := make([]int32, len(found)), make([][]byte, len(found)), make([]pgtype.UUID, len(found))
	for i := range found {
		sources[i], ids[i] = found[i].source, pgtype.UUID{Bytes: found[i].id, Valid: true}
		if !out[i].Event.Keyless {
			keys[i] = dedupeKey(out[i].Event.SourceID)
		}
	}
	rows, err := tx.Query(ctx, qExportKeys, sources, keys, ids)
	if err != nil {
		return err
	}
	var i int64
	var body []byte
	var expires pgtype.Timestamptz
	_, err = pgx.ForEachRow(rows, []any{&i, &body, &expires}, func() error {
		k := &store.Key{Expires: timeOf(expires)}
		copy(k.BodyHash[:], body)
		out[i-1].Key = k
		return nil
	})
	return err
}

func exportRepeats(ctx context.Context, tx pgx.Tx, found []eventRow, out []store.MovedEvent) error {
	ids, at := make([]pgtype.UUID, len(found)), map[[16]byte]int{}
	for i := range found {
		ids[i], at[found[i].id] = pgtype.UUID{Bytes: found[i].id, Valid: true}, i
	}
	rows, err := tx.Query(ctx, "SELECT event, duplicates, conflicts FROM repeat WHERE event = ANY ($1::uuid[])", ids)
	if err != nil {
		return err
	}
	var id [16]byte
	var duplicates, conflicts int64
	_, err = pgx.ForEachRow(rows, []any{&id, &duplicates, &conflicts}, func() error {
		out[at[id]].Duplicates, out[at[id]].Conflicts = duplicates, conflicts
		return nil
	})
	return err
}

const qExportDeliveries = "SELECT " + unfinishedColumns + " FROM delivery d WHERE d.id BETWEEN $1 AND $2 UNION ALL SELECT " +
	finishedColumns + " FROM finished d WHERE d.id BETWEEN $1 AND $2 ORDER BY 1"

func (s *Store) exportDeliveries(ctx context.Context, tx pgx.Tx, events []eventRow, at map[int64]int, from, to int64, out []store.MovedEvent) error {
	rows, err := tx.Query(ctx, qExportDeliveries, from, to)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r deliveryRow, err error) {
		return r, row.Scan(r.into(false)...)
	})
	if err != nil {
		return err
	}
	for i := range found {
		r := &found[i]
		n, ok := at[keyEvent(r.key)]
		if !ok {
			continue
		}
		r.source, r.received, r.kind = events[n].source, events[n].received, events[n].kind
		d, err := r.delivery(ctx, s.names)
		if err != nil {
			return fmt.Errorf("delivery %d: %w", r.key, err)
		}
		out[n].Deliveries = append(out[n].Deliveries, store.MovedDelivery{Delivery: d, Replayed: r.flags&flagReplayed != 0})
	}
	return nil
}

const qExportAttempts = `SELECT delivery, n, data FROM attempt WHERE delivery BETWEEN $1 AND $2
	UNION ALL SELECT id, attempts, last FROM finished WHERE id BETWEEN $1 AND $2 AND last IS NOT NULL ORDER BY 1, 2`

func exportAttempts(ctx context.Context, tx pgx.Tx, at map[int64]int, from, to int64, out []store.MovedEvent) error {
	rows, err := tx.Query(ctx, qExportAttempts, from, to)
	if err != nil {
		return err
	}
	var key int64
	var n int32
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &n, &data}, func() error {
		i, ok := at[keyEvent(key)]
		if !ok {
			return nil
		}
		a, err := pack.ParseAttempt(data)
		if err != nil {
			return fmt.Errorf("attempt %d of delivery %d: %w", n, key, err)
		}
		for j := range out[i].Deliveries {
			if d := &out[i].Deliveries[j]; d.Delivery.ID.N() == keyN(key) {
				d.Attempts = append(d.Attempts, a)
			}
		}
		return nil
	})
	return err
}

func exportArrivals(ctx context.Context, tx pgx.Tx, out *store.Chunk, limit int) error {
	limit = min(limit, 200) // each may have 64 KiB of a body
	rows, err := tx.Query(ctx, "SELECT "+arrivalColumns+", a.headers, a.body FROM arrival a WHERE a.id > $1 ORDER BY a.id LIMIT $2", out.After, limit)
	if err != nil {
		return err
	}
	out.Arrivals, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (seawall.Arrival, error) {
		var headers, body []byte
		a, err := scanArrival(row, &headers, &body)
		if err != nil {
			return a, err
		}
		if len(body) > 0 {
			a.Body = body
		}
		a.Headers, err = pack.ParseHeaders(headers)
		return a, err
	})
	if n := len(out.Arrivals); n > 0 {
		out.Next, out.More = out.Arrivals[n-1].ID, n == limit
	}
	return err
}

func exportActions(ctx context.Context, tx pgx.Tx, out *store.Chunk, limit int) error {
	rows, err := tx.Query(ctx, "SELECT id, at, coalesce(by, ''), coalesce(what, ''), target, detail FROM action WHERE id > $1 ORDER BY id LIMIT $2", out.After, limit)
	if err != nil {
		return err
	}
	out.Actions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a seawall.Action, err error) {
		var detail []byte
		if err := row.Scan(&a.ID, &a.At, &a.By, &a.What, &a.On, &detail); err != nil {
			return a, err
		}
		a.At = a.At.UTC()
		if detail != nil {
			err = json.Unmarshal(detail, &a.Detail)
		}
		return a, err
	})
	if n := len(out.Actions); n > 0 {
		out.Next, out.More = out.Actions[n-1].ID, n == limit
	}
	return err
}

func exportRevisions(ctx context.Context, tx pgx.Tx, out *store.Chunk, limit int) error {
	limit = min(limit, 20) // each is a whole file
	rows, err := tx.Query(ctx, revisionColumns+"WHERE number > $1 ORDER BY number LIMIT $2", out.After, limit)
	if err != nil {
		return err
	}
	out.Revisions, err = pgx.CollectRows(rows, scanRevision)
	if n := len(out.Revisions); n > 0 {
		out.Next, out.More = out.Revisions[n-1].Number, n == limit
	}
	return err
}

// qCounter reads the last number that a sequence gave.
const qCounter = "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM "

func exportRest(ctx context.Context, tx pgx.Tx, out *store.Chunk, _ int) (err error) {
	if out.After > 0 {
		return nil
	}
	r := &store.Rest{}
	for sequence, to := range counters(r) {
		if *to, err = number(ctx, tx, qCounter+sequence); err != nil {
			return err
		}
	}
	if r.Gates, err = gates(ctx, tx); err != nil {
		return err
	}
	if r.Tokens, err = tokens(ctx, tx); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, "SELECT system, shard, token FROM lane WHERE token > 0")
	if err != nil {
		return err
	}
	r.Lanes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l store.LaneToken, err error) {
		return l, row.Scan(&l.System, &l.Shard, &l.Token)
	})
	out.Rest, out.Next = r, 1
	return err
}

// counters are the sequences, each with its place.
func counters(r *store.Rest) map[string]*int64 {
	return map[string]*int64{"event_seq": &r.Seq, "arrival_id_seq": &r.Arrival, "action_id_seq": &r.Action}
}

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
			"attempts", "round", "since", "created", "reason", "entity", "rank"}},
		finished: &table{name: "finished", columns: []string{"id", "event", "part", "queue", "state", "finished", "size", "route", "revision",
			"flags", "attempts", "round", "since", "created", "reason", "entity", "rank", "last"}},
		attempt: &table{name: "attempt", columns: []string{"part", "delivery", "n", "data"}},
	}
	for i := range c.Events {
		if err := w.add(ctx, &c.Events[i]); err != nil {
			return nil, fmt.Errorf("event %s: %w", c.Events[i].Event.ID, err)
		}
	}
	people, err := importPeople(c)
	return append(people, w.event, w.dedupe, w.repeat, w.delivery, w.finished, w.attempt), err
}

type importer struct {
	s                                                  *Store
	days                                               map[int32]bool // with tables
	event, dedupe, repeat, delivery, finished, attempt *table
}

// part is where an event goes: a day that has no tables yet is given some.
func (w *importer) part(ctx context.Context, id seawall.EventID) (int32, error) {
	day := dayOf(id)
	if w.s.days.has(day) || w.days[day] {
		return day, nil
	}
	if today := dayAt(w.s.now()); day <= 0 || day > today+daysAhead {
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
	var flags int16
	if d.Pinned {
		flags |= flagPinned
	}
	if m.Replayed {
		flags |= flagReplayed
	}
	key, final := deliveryKey(e.Seq, d.ID.N()), d.State.Final()
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
		bytesOrNull(d.Rank)}
	if final {
		row = append(row, bytesOrNull(last))
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
