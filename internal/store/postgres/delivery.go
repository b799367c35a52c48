package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	flagPinned = 1 << iota
	flagReplayed

	stepShift    = 2 // of two bits
	stepMask     = 3
	flagDiverted = 16
)

// deliveryFlags are those that a delivery says of itself.
func deliveryFlags(d *seawall.Delivery) int16 {
	flags := int16(d.Step)<<stepShift | int16(pack.OrderFlags(d))
	if d.Pinned {
		flags |= flagPinned
	}
	if d.Diverted {
		flags |= flagDiverted
	}
	return flags
}

// A delivery's key is its event's sequence number and its own.
func deliveryKey(seq int64, n int) int64 { return seq<<15 | int64(n) }
func keyEvent(key int64) int64           { return key >> 15 }
func keyN(key int64) int                 { return int(key & seawall.MaxDeliveries) }

// Columns of a delivery, the same of both tables, with those of its event that
// it repeats. d is the delivery's table, e the event's.
const (
	unfinishedColumns = `d.id, d.event, d.queue, d.state, d.due, NULL::timestamptz, d.route, d.revision, d.flags, d.attempts,
	d.round, d.since, d.created, coalesce(d.reason, ''), coalesce(d.entity, ''), d.rank, coalesce(d.awaits, ''), coalesce(d.line, 0)`
	finishedColumns = `d.id, d.event, d.queue, d.state, NULL::timestamptz, d.finished, d.route, d.revision, d.flags, d.attempts,
	d.round, d.since, d.created, coalesce(d.reason, ''), coalesce(d.entity, ''), d.rank, '', 0::bigint`
	ofEventColumns = "e.source, e.received, coalesce(e.type, '')"

	// Of a table d, the event that a row belongs to. OFFSET 0 has it looked up
	// for each row: where the planner thinks a day to be empty it would else read
	// the whole of it, once, and go on doing so when it has filled.
	joinEvent = " CROSS JOIN LATERAL (SELECT * FROM event e WHERE e.seq = d.id >> 15 AND e.part = d.part OFFSET 0) e"
)

// deliveryRow is a delivery as one of the tables has it.
type deliveryRow struct {
	key                           int64
	event                         [16]byte
	queue                         int32
	state                         int16
	due, finished, since, created pgtype.Timestamptz
	route                         int32
	revision                      int64
	flags                         int16
	attempts, round               int32
	reason, entity                string
	rank                          []byte
	awaits                        string
	line                          int64

	source   int32 // these three are the event's
	received time.Time
	kind     string
}

// into lists where the columns go; ofEvent adds those of the event.
func (r *deliveryRow) into(ofEvent bool) []any {
	to := []any{&r.key, &r.event, &r.queue, &r.state, &r.due, &r.finished, &r.route, &r.revision, &r.flags, &r.attempts, &r.round,
		&r.since, &r.created, &r.reason, &r.entity, &r.rank, &r.awaits, &r.line}
	if ofEvent {
		to = append(to, &r.source, &r.received, &r.kind)
	}
	return to
}

// delivery makes the delivery of it.
func (r *deliveryRow) delivery(ctx context.Context, n *names) (d seawall.Delivery, err error) {
	q, err := n.line(ctx, r.queue)
	if err != nil {
		return d, err
	}
	d = seawall.Delivery{ID: seawall.EventID(r.event).Delivery(keyN(r.key)), Destination: q.destination, System: q.System, Shard: q.Shard,
		Type: r.kind, Entity: r.entity, Rank: r.rank, State: seawall.State(r.state), Reason: r.reason, Due: timeOf(r.due),
		Attempts: int(r.attempts), Round: int(r.round), Revision: r.revision, Pinned: r.flags&flagPinned != 0,
		Step: seawall.Step(r.flags >> stepShift & stepMask), Diverted: r.flags&flagDiverted != 0,
		Since: timeOf(r.since), Created: timeOf(r.created), Finished: timeOf(r.finished)}
	pack.SetOrder(&d, int64(r.flags))
	d.After = patterns(r.awaits)
	if len(d.Rank) == 0 {
		d.Rank = nil
	}
	// What a row leaves out is when the event was received.
	if d.Since.IsZero() {
		d.Since = r.received.UTC()
	}
	if d.Created.IsZero() {
		d.Created = r.received.UTC()
	}
	if d.Route, err = n.text(ctx, r.route); err != nil {
		return d, err
	}
	d.Source, err = n.text(ctx, r.source)
	return d, err
}

// deliveryRows reads rows of delivery and event columns.
func deliveryRows(rows pgx.Rows, err error) ([]deliveryRow, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r deliveryRow, err error) {
		return r, row.Scan(r.into(true)...)
	})
}

// deliveries makes deliveries of rows.
func (n *names) deliveries(ctx context.Context, rows []deliveryRow) ([]seawall.Delivery, error) {
	var ds []seawall.Delivery
	for i := range rows {
		d, err := rows[i].delivery(ctx, n)
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// qDeliveriesOf selects the deliveries of one event with numbers from one to
// another.
const qDeliveriesOf = "SELECT " + unfinishedColumns + ", " + ofEventColumns + ` FROM event e
	CROSS JOIN LATERAL (SELECT * FROM delivery d WHERE d.id BETWEEN (e.seq << 15) + $3 AND (e.seq << 15) + $4 OFFSET 0) d
	WHERE e.id = $1 AND e.part IN ($2, 0)
	UNION ALL SELECT ` + finishedColumns + ", " + ofEventColumns + ` FROM event e
	CROSS JOIN LATERAL (SELECT * FROM finished d WHERE d.id BETWEEN (e.seq << 15) + $3 AND (e.seq << 15) + $4 AND d.part = e.part OFFSET 0) d
	WHERE e.id = $1 AND e.part IN ($2, 0) ORDER BY 1`

func (s *Store) deliveriesOf(ctx context.Context, q querier, id seawall.EventID, from, to int) ([]seawall.Delivery, error) {
	rows, err := deliveryRows(q.Query(ctx, qDeliveriesOf, [16]byte(id), dayOf(id), int64(from), int64(to)))
	if err != nil {
		return nil, judge(err)
	}
	ds, err := s.names.deliveries(ctx, rows)
	return ds, judge(err)
}

func (s *Store) Delivery(ctx context.Context, id seawall.DeliveryID) (*seawall.Delivery, error) {
	ds, err := s.deliveriesOf(ctx, s.pool, id.Event(), id.N(), id.N())
	if err != nil {
		return nil, err
	}
	if len(ds) == 0 {
		return nil, noDelivery(id)
	}
	return &ds[0], nil
}

func noDelivery(id seawall.DeliveryID) error {
	return seawall.Errorf(seawall.ErrNotFound, "no delivery %s", id).WithHint("it may be past its retention")
}

func (s *Store) DeliveriesOf(ctx context.Context, id seawall.EventID) ([]seawall.Delivery, error) {
	ds, err := s.deliveriesOf(ctx, s.pool, id, 0, seawall.MaxDeliveries)
	if err == nil && len(ds) == 0 {
		_, err = find(ctx, s.pool, id)
	}
	return ds, err
}

const qAttempts = `SELECT a.n, a.data FROM event e
	CROSS JOIN LATERAL (SELECT n, data FROM attempt a WHERE a.delivery = (e.seq << 15) + $3 AND a.part = e.part OFFSET 0) a
	WHERE e.id = $1 AND e.part IN ($2, 0)
	UNION ALL SELECT d.attempts, d.last FROM event e
	CROSS JOIN LATERAL (SELECT attempts, last FROM finished d WHERE d.id = (e.seq << 15) + $3 AND d.part = e.part OFFSET 0) d
	WHERE e.id = $1 AND e.part IN ($2, 0) AND d.last IS NOT NULL ORDER BY 1`

func (s *Store) Attempts(ctx context.Context, id seawall.DeliveryID) (as []seawall.Attempt, err error) {
	event := id.Event()
	rows, err := s.pool.Query(ctx, qAttempts, [16]byte(event), dayOf(event), int64(id.N()))
	if err != nil {
		return nil, judge(err)
	}
	var n int32
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&n, &data}, func() error {
		a, err := pack.ParseAttempt(data)
		as = append(as, a)
		return err
	})
	if err != nil {
		return nil, judge(err)
	}
	if len(as) == 0 {
		if _, err := s.Delivery(ctx, id); err != nil {
			return nil, err
		}
	}
	return as, nil
}
