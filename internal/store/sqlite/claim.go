package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var (
	// The index gives rows in the order of due and id and holds all that is
	// needed to skip those that are in flight.
	qReady = newQuery(`SELECT d.id, d.due FROM unfinished d INDEXED BY unfinished_ready
		WHERE d.queue = ? AND d.state = 0 ORDER BY d.due, d.id`)
	qUnfinished = newQuery("SELECT " + unfinishedColumns + ", " + eventColumns + `, e.body
		FROM unfinished d JOIN event e ON e.seq = d.id >> 15 WHERE d.id = ?`)
)

func (s *Store) Claim(ctx context.Context, l store.Lease, cl store.Claim) (due []store.Claimed, next time.Time, err error) {
	queue, ok := s.names.queue(line{cl.Destination, l.Lane})
	if !ok {
		return nil, time.Time{}, nil // nothing was ever planned for it
	}
	s.show(ctx, queue)
	err = s.read(ctx, func(c *conn) error {
		due, next = nil, time.Time{}
		bytes, now := 0, cl.Now.UnixMicro()
		ready := c.use(qReady).int(queue)
		defer ready.done()
		for ready.next() {
			key, at := ready.getInt(), ready.getInt()
			if cl.Busy != nil {
				id, err := c.eventID(keyEvent(key))
				if err != nil {
					return err
				}
				if cl.Busy(id.Delivery(keyN(key))) {
					continue
				}
			}
			if at <= now && len(due) < cl.Limit && (cl.Bytes == 0 || bytes <= cl.Bytes) {
				d, err := s.claimed(c, key)
				if err != nil && code(err) == 0 {
					// A row that cannot be read harms itself alone (G7).
					s.log.Error("delivery not readable", "key", key, "error", err)
					continue
				}
				if err != nil {
					return err
				}
				due = append(due, d)
				bytes += len(d.Event.Body)
				continue
			}
			next = time.UnixMicro(at).UTC()
			return nil
		}
		return ready.done()
	})
	return due, next, err
}

// errNoEvent is a delivery whose event is not there, or that has just ended.
var errNoEvent = errors.New("the delivery or its event is not there")

// claimed reads an unfinished delivery with its event.
func (s *Store) claimed(c *conn, key int64) (out store.Claimed, err error) {
	st := c.use(qUnfinished).int(key)
	defer st.done()
	if !st.next() {
		return out, errors.Join(st.done(), errNoEvent)
	}
	s.scanDeliveryRow(c, st, &out.Delivery)
	if out.Event, err = s.scanEvent(c, st, true); err != nil {
		return out, err
	}
	d, e := &out.Delivery, out.Event
	d.ID, d.Source, d.Type = e.ID.Delivery(keyN(key)), e.Source, e.Type
	fill(d, e.ReceivedAt)
	return out, nil
}

var qSetState = newQuery("UPDATE unfinished SET state = ? WHERE id = ?")

func (s *Store) Begin(ctx context.Context, l store.Lease, ids []seawall.DeliveryID) (begun []seawall.DeliveryID, err error) {
	err = s.writeAlong(ctx, 64*len(ids), func(t *txn) error {
		begun = nil
		if !t.stands(l) {
			return nil
		}
		for _, id := range ids {
			key, ok, err := t.keyOf(id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			now, found, err := t.unfinished(key, false)
			if err != nil {
				return err
			}
			if !found || now.state != seawall.Pending || t.linesByID[now.queue].laneKey != l.Lane {
				continue
			}
			// What came while it was due and could not be tried (its destination was
			// paused, say) may come before it.
			if now.origin == 0 {
				if p, err := t.yield(key, &now); err != nil {
					return err
				} else if p != nil {
					continue
				}
			}
			if err := t.use(qSetState).int(int64(seawall.Sending)).int(key).exec(); err != nil {
				return err
			}
			t.moved(now.queue, seawall.Pending, -1)
			t.moved(now.queue, seawall.Sending, 1)
			begun = append(begun, id)
		}
		return nil
	})
	return begun, err
}
