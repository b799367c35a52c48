package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/klauspost/compress/zstd"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	flagDerived = 1 << iota
	flagKeyless
	flagCompressed
)

// eventColumns are what an eventRow reads, of the table under the alias e; the
// body comes after them where it is wanted.
const eventColumns = `e.seq, e.id, e.source, e.received, e.occurred, e.flags, e.routing, e.revision, e.depth, e.cause,
	coalesce(e.type, ''), coalesce(e.entity, ''), coalesce(e.version, ''), e.source_id, e.plan, e.request`

// eventRow is an event as the table has it. Rows are read first and made events
// when the connection is free again: a name that is not known yet is read over
// another one.
type eventRow struct {
	seq                   int64
	id                    [16]byte
	source                int32
	received              time.Time
	occurred              pgtype.Timestamptz
	flags, routing        int16
	revision              int64
	depth                 int16
	cause                 pgtype.UUID
	kind, entity, version string
	sourceID              []byte
	plan, request, body   []byte
}

// into lists where the columns go; full adds the body.
func (r *eventRow) into(full bool) []any {
	to := []any{&r.seq, &r.id, &r.source, &r.received, &r.occurred, &r.flags, &r.routing, &r.revision, &r.depth, &r.cause,
		&r.kind, &r.entity, &r.version, &r.sourceID, &r.plan, &r.request}
	if full {
		to = append(to, &r.body)
	}
	return to
}

// event makes the event of it; full adds headers and body.
func (r *eventRow) event(ctx context.Context, n *names, full bool) (*seawall.Event, error) {
	source, err := n.text(ctx, r.source)
	if err != nil {
		return nil, err
	}
	e := &seawall.Event{ID: r.id, Seq: r.seq, Source: source, SourceID: string(r.sourceID),
		Derived: r.flags&flagDerived != 0, Keyless: r.flags&flagKeyless != 0,
		Type: r.kind, Entity: r.entity, Version: r.version, OccurredAt: timeOf(r.occurred), ReceivedAt: r.received.UTC(),
		Routing: seawall.Routing(r.routing), Revision: r.revision, Cause: r.cause.Bytes, Depth: int(r.depth)}
	if e.Decisions, err = pack.ParsePlan(r.plan); err != nil {
		return nil, err
	}
	if err := pack.ParseRequest(r.request, e, full); err != nil || !full || len(r.body) == 0 {
		return e, err
	}
	e.Body = r.body
	if r.flags&flagCompressed != 0 {
		e.Body, err = inflate(r.body)
	}
	return e, err
}

// timeOf reads a time that may be NULL.
func timeOf(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// orNull is NULL for the zero value.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// inflater may be used by many at once.
var inflater = func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}()

// inflate returns a compressed body as it was.
func inflate(b []byte) ([]byte, error) { return inflater.DecodeAll(b, nil) }

// firstID is not above any id made at or after t.
func firstID(t time.Time) (id seawall.EventID) {
	binary.BigEndian.PutUint64(id[:], uint64(max(t.UnixMilli(), 0))<<16)
	return id
}

const qEvent = "SELECT " + eventColumns + ", e.body FROM event e WHERE e.id = $1 AND e.part IN ($2, 0)"

func (s *Store) Event(ctx context.Context, id seawall.EventID) (*seawall.Event, error) {
	var r eventRow
	err := s.pool.QueryRow(ctx, qEvent, [16]byte(id), dayOf(id)).Scan(r.into(true)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noEvent(id)
	}
	if err != nil {
		return nil, judge(err)
	}
	e, err := r.event(ctx, s.names, true)
	return e, judge(err)
}

func noEvent(id seawall.EventID) error {
	return seawall.Errorf(seawall.ErrNotFound, "no event %s", id).WithHint("it may be past its retention")
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// eventAt is where an event is.
type eventAt struct {
	seq  int64
	part int32
}

// find returns where an event is; seawall.ErrNotFound.
func find(ctx context.Context, q querier, id seawall.EventID) (at eventAt, err error) {
	err = q.QueryRow(ctx, "SELECT seq, part FROM event WHERE id = $1 AND part IN ($2, 0)", [16]byte(id), dayOf(id)).Scan(&at.seq, &at.part)
	if errors.Is(err, pgx.ErrNoRows) {
		return at, noEvent(id)
	}
	return at, judge(err)
}

func (s *Store) Arrived(ctx context.Context, id seawall.EventID) (duplicates, conflicts int, err error) {
	if _, err := find(ctx, s.pool, id); err != nil {
		return 0, 0, err
	}
	err = s.pool.QueryRow(ctx, "SELECT duplicates, conflicts FROM repeat WHERE event = $1", [16]byte(id)).Scan(&duplicates, &conflicts)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil
	}
	return duplicates, conflicts, judge(err)
}
