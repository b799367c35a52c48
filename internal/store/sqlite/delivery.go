package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

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
func deliveryFlags(d *seawall.Delivery) int64 {
	flags := int64(d.Step) << stepShift
	if d.Pinned {
		flags |= flagPinned
	}
	if d.Diverted {
		flags |= flagDiverted
	}
	if d.Lined() {
		flags |= pack.OrderFlags(d)
	}
	return flags
}

var (
	qAddUnfinished = newQuery(`INSERT INTO unfinished (id, queue, state, due, route, revision, flags, attempts, round,
		since, created, reason, entity, rank, line, awaits) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	qAddFinished = newQuery(`INSERT INTO finished (id, queue, state, finished, route, revision, flags, attempts, round,
		since, created, reason, entity, rank) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
)

// addDelivery writes a delivery that was just planned, once it has joined its
// entity's line, if it has one.
func (t *txn) addDelivery(key int64, d *seawall.Delivery, e *seawall.Event) error {
	queue, err := t.queueOf(d.Destination, d.System, d.Shard)
	if err != nil {
		return err
	}
	var line int64
	if d.State == seawall.Pending && d.Lined() {
		if d.Due.IsZero() {
			d.Due = e.ReceivedAt
		}
		if line, err = t.join(key, queue, d, e.Version); err != nil {
			return err
		}
	}
	return t.putDelivery(key, queue, line, d, e)
}

// putDelivery writes a delivery as it is. Where Since and Created are when the event
// was received, as for nearly all, they take no room.
func (t *txn) putDelivery(key, queue, line int64, d *seawall.Delivery, e *seawall.Event) error {
	route, err := t.name(d.Route)
	if err != nil {
		return err
	}
	q, at := qAddUnfinished, d.Due
	if at.IsZero() {
		at = e.ReceivedAt
	}
	if d.State.Final() {
		q = qAddFinished
		if at = d.Finished; at.IsZero() {
			at = e.ReceivedAt
		}
	}
	st := t.use(q).int(key).int(queue).int(int64(d.State)).int(at.UnixMicro()).int(route).int(d.Revision).int(deliveryFlags(d)).int(int64(d.Attempts)).int(int64(d.Round)).
		time(unless(d.Since, e.ReceivedAt)).time(unless(d.Created, e.ReceivedAt)).
		text(d.Reason).text(d.Entity).blob(d.Rank)
	if !d.State.Final() {
		st.orNull(line).text(awaits(d))
	}
	if err := st.exec(); err != nil {
		return err
	}
	t.moved(queue, d.State, 1)
	return nil
}

// unless returns v, or zero if it is the usual one.
func unless(v, usual time.Time) time.Time {
	if v.Equal(usual) {
		return time.Time{}
	}
	return v
}

// Columns of a delivery, the same of both tables, with those of its event that
// it repeats. d is the delivery's table, e the event's.
const (
	unfinishedColumns = `d.id, d.queue, d.state, d.due, NULL, d.route, d.revision, d.flags, d.attempts, d.round, d.since,
		d.created, d.reason, d.entity, d.rank, d.awaits`
	finishedColumns = `d.id, d.queue, d.state, NULL, d.finished, d.route, d.revision, d.flags, d.attempts, d.round, d.since,
		d.created, d.reason, d.entity, d.rank, NULL`
	ofEventColumns = "e.uid, e.source, e.received, e.type"
)

// scanDelivery reads the columns of either table and those of the event.
func (s *Store) scanDelivery(c *conn, st *stmt) (key int64, d seawall.Delivery) {
	key = s.scanDeliveryRow(c, st, &d)
	var id seawall.EventID
	copy(id[:], st.peek())
	d.ID = id.Delivery(keyN(key))
	d.Source = s.names.text(c, st.getInt())
	fill(&d, st.getTime())
	d.Type = st.getText()
	return key, d
}

// scanDeliveryRow reads the columns of either table.
func (s *Store) scanDeliveryRow(c *conn, st *stmt, d *seawall.Delivery) (key int64) {
	key = st.getInt()
	l := s.names.line(c, st.getInt())
	d.Destination, d.System, d.Shard = l.destination, l.System, l.Shard
	d.State, d.Due, d.Finished = seawall.State(st.getInt()), st.getTime(), st.getTime()
	d.Route, d.Revision = s.names.text(c, st.getInt()), st.getInt()
	flags := st.getInt()
	d.Pinned, d.Step, d.Diverted = flags&flagPinned != 0, seawall.Step(flags>>stepShift&stepMask), flags&flagDiverted != 0
	d.Attempts, d.Round = int(st.getInt()), int(st.getInt())
	d.Since, d.Created = st.getTime(), st.getTime()
	pack.SetOrder(d, flags)
	d.Reason, d.Entity, d.Rank = st.getText(), st.getText(), st.getBlob()
	if awaits := st.getText(); awaits != "" {
		d.After = strings.Split(awaits, "\n")
	}
	return key
}

// fill sets what a row leaves out because it is when the event was received.
func fill(d *seawall.Delivery, received time.Time) {
	if d.Since.IsZero() {
		d.Since = received
	}
	if d.Created.IsZero() {
		d.Created = received
	}
}

const deliveriesBetween = "SELECT " + unfinishedColumns + ", " + ofEventColumns +
	" FROM unfinished d JOIN event e ON e.seq = d.id >> 15 WHERE d.id BETWEEN ?1 AND ?2 UNION ALL SELECT " +
	finishedColumns + ", " + ofEventColumns +
	" FROM finished d JOIN event e ON e.seq = d.id >> 15 WHERE d.id BETWEEN ?1 AND ?2 ORDER BY 1"

var qDeliveries = newQuery(deliveriesBetween)

// deliveries reads those with keys from one to the other.
func (s *Store) deliveries(c *conn, from, to int64) (ds []seawall.Delivery, err error) {
	st := c.use(qDeliveries).int(from).int(to)
	for st.next() {
		_, d := s.scanDelivery(c, st)
		ds = append(ds, d)
	}
	return ds, st.done()
}

func (s *Store) Delivery(ctx context.Context, id seawall.DeliveryID) (*seawall.Delivery, error) {
	some := s.fresh.of(everyQueue) > 0 // asked first: it may end meanwhile
	d, err := s.delivery(ctx, id)
	if errors.Is(err, seawall.ErrNotFound) && some {
		if err := s.show(ctx, everyQueue); err != nil {
			return nil, err
		}
		return s.delivery(ctx, id)
	}
	return d, err
}

func (s *Store) delivery(ctx context.Context, id seawall.DeliveryID) (d *seawall.Delivery, err error) {
	err = s.read(ctx, func(c *conn) error {
		key, err := c.deliveryKey(id)
		if err != nil {
			return err
		}
		ds, err := s.deliveries(c, key, key)
		if err != nil {
			return err
		}
		if len(ds) == 0 {
			return noDelivery(id)
		}
		d = &ds[0]
		return nil
	})
	return d, err
}

func (s *Store) DeliveriesOf(ctx context.Context, id seawall.EventID) (ds []seawall.Delivery, err error) {
	s.show(ctx, everyQueue)
	err = s.read(ctx, func(c *conn) error {
		seq, err := c.eventSeq(id)
		if err != nil {
			return err
		}
		ds, err = s.deliveries(c, deliveryKey(seq, 0), deliveryKey(seq, seawall.MaxDeliveries))
		return err
	})
	return ds, err
}

var qAttempts = newQuery(`SELECT n, data FROM attempt WHERE delivery = ?1
	UNION ALL SELECT attempts, last FROM finished WHERE id = ?1 AND last IS NOT NULL ORDER BY 1`)

func (s *Store) Attempts(ctx context.Context, id seawall.DeliveryID) (as []seawall.Attempt, err error) {
	err = s.read(ctx, func(c *conn) error {
		key, err := c.deliveryKey(id)
		if err != nil {
			return err
		}
		as, err = c.attempts(key)
		return err
	})
	return as, err
}

// attempts reads those of a delivery, first to last.
func (c *conn) attempts(key int64) (as []seawall.Attempt, err error) {
	st := c.use(qAttempts).int(key)
	defer st.done()
	for st.next() {
		st.getInt()
		a, err := pack.ParseAttempt(st.peek())
		if err != nil {
			return nil, err
		}
		as = append(as, a)
	}
	return as, st.done()
}

// deliveryKey returns the key of a delivery whose event is kept;
// seawall.ErrNotFound.
func (c *conn) deliveryKey(id seawall.DeliveryID) (int64, error) {
	seq, err := c.eventSeq(id.Event())
	if errors.Is(err, seawall.ErrNotFound) {
		return 0, noDelivery(id)
	}
	if err != nil {
		return 0, err
	}
	return deliveryKey(seq, id.N()), nil
}

func noDelivery(id seawall.DeliveryID) error {
	return seawall.Errorf(seawall.ErrNotFound, "no delivery %s", id).WithHint("it may be past its retention")
}
