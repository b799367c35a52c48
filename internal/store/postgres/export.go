package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// exportBytes bounds the bodies of one chunk.
const exportBytes = 4 << 20

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
	case store.PartLines:
		read = s.exportLines
	case store.PartLinks:
		read = exportLinks
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
	fit, err := answersThatFit(ctx, tx, found)
	if err != nil {
		return err
	}
	if fit < len(found) {
		found, out.More = found[:fit], true
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
	if err := exportUnresolved(ctx, tx, found, out.Events); err != nil {
		return err
	}
	from, to := deliveryKey(found[0].seq, 0), deliveryKey(out.Next, seawall.MaxDeliveries)
	if err := s.exportDeliveries(ctx, tx, found, at, from, to, out.Events); err != nil {
		return err
	}
	if err := s.exportPlaces(ctx, tx, at, from, to, out.Events); err != nil {
		return err
	}
	if err := exportAnswers(ctx, tx, at, from, to, out.Events); err != nil {
		return err
	}
	return exportAttempts(ctx, tx, at, from, to, out.Events)
}

// answersThatFit is how many of the events have answers that fit into a chunk
// together; the first always does.
func answersThatFit(ctx context.Context, tx pgx.Tx, found []eventRow) (n int, err error) {
	last := found[len(found)-1].seq
	rows, err := tx.Query(ctx, "SELECT delivery >> 15, octet_length(coalesce(body, '')) FROM answer WHERE delivery BETWEEN $1 AND $2 ORDER BY delivery",
		deliveryKey(found[0].seq, 0), deliveryKey(last, seawall.MaxDeliveries))
	if err != nil {
		return 0, err
	}
	var seq, size, bytes int64
	full := int64(-1)
	_, err = pgx.ForEachRow(rows, []any{&seq, &size}, func() error {
		if bytes += size; bytes > exportBytes && full < 0 && seq > found[0].seq {
			full = seq
		}
		return nil
	})
	n = len(found)
	for n > 1 && full >= 0 && found[n-1].seq >= full {
		n--
	}
	return n, err
}

// exportPlaces reads where deliveries were before they were diverted.
func (s *Store) exportPlaces(ctx context.Context, tx pgx.Tx, at map[int64]int, from, to int64, out []store.MovedEvent) error {
	rows, err := tx.Query(ctx, `SELECT id, origin FROM delivery WHERE id BETWEEN $1 AND $2 AND origin IS NOT NULL
		UNION ALL SELECT id, origin FROM finished WHERE id BETWEEN $1 AND $2 AND origin IS NOT NULL`, from, to)
	if err != nil {
		return err
	}
	first := map[int64]int32{}
	var key int64
	var queue int32
	if _, err = pgx.ForEachRow(rows, []any{&key, &queue}, func() error { first[key] = queue; return nil }); err != nil {
		return err
	}
	for key, queue := range first {
		q, err := s.names.line(ctx, queue)
		if err != nil {
			return err
		}
		if d := movedDelivery(out, at, key); d != nil {
			d.First = &store.Place{Lane: q.Lane, Destination: q.destination}
		}
	}
	return nil
}

func exportAnswers(ctx context.Context, tx pgx.Tx, at map[int64]int, from, to int64, out []store.MovedEvent) error {
	return answers(ctx, tx, "SELECT delivery, at, status, flags, headers, body FROM answer WHERE delivery BETWEEN $1 AND $2", []any{from, to},
		func(key int64, a *seawall.Answer) {
			if d := movedDelivery(out, at, key); d != nil {
				d.Answer = a
			}
		})
}

// movedDelivery is the delivery with a key among those of the events; nil if there
// is none.
func movedDelivery(out []store.MovedEvent, at map[int64]int, key int64) *store.MovedDelivery {
	i, ok := at[keyEvent(key)]
	if !ok {
		return nil
	}
	for j := range out[i].Deliveries {
		if d := &out[i].Deliveries[j]; d.Delivery.ID.N() == keyN(key) {
			return d
		}
	}
	return nil
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
		m := store.MovedDelivery{Delivery: d, Replayed: r.flags&flagReplayed != 0}
		if d.Order != seawall.Unordered || d.State == seawall.Held && d.Reason == seawall.ReasonPrerequisite {
			m.Line = r.line
		}
		out[n].Deliveries = append(out[n].Deliveries, m)
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
		d := movedDelivery(out, at, key)
		if d == nil {
			return nil
		}
		a, err := pack.ParseAttempt(data)
		if err != nil {
			return fmt.Errorf("attempt %d of delivery %d: %w", n, key, err)
		}
		d.Attempts = append(d.Attempts, a)
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
	if r.Systems, err = systems(ctx, tx); err != nil {
		return err
	}
	if r.Sealed, err = allSealed(ctx, tx); err != nil {
		return err
	}
	if err := exportAliases(ctx, tx, r); err != nil {
		return err
	}
	rates, err := tx.Query(ctx, "SELECT system, level, at FROM rate ORDER BY system")
	if err != nil {
		return err
	}
	r.Rates, err = pgx.CollectRows(rates, func(row pgx.CollectableRow) (l store.RateLevel, err error) {
		err = row.Scan(&l.System, &l.Level, &l.At)
		l.At = l.At.UTC()
		return l, err
	})
	if err != nil {
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
