package sqlite

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	flagDerived = 1 << iota
	flagKeyless
)

// eventColumns are what scanEvent reads, of the table under the alias e.
const eventColumns = `e.seq, e.uid, e.source, e.received, e.occurred, e.flags, e.routing, e.revision, e.depth, e.cause,
	e.type, e.entity, e.version, e.source_id, e.plan, e.request`

// scanEvent reads an event from the statement's next columns. With full it
// expects the body to follow.
func (s *Store) scanEvent(c *conn, st *stmt, full bool) (*seawall.Event, error) {
	e := &seawall.Event{Seq: st.getInt()}
	copy(e.ID[:], st.peek())
	e.Source = s.names.text(c, st.getInt())
	e.ReceivedAt, e.OccurredAt = st.getTime(), st.getTime()
	flags := st.getInt()
	e.Derived, e.Keyless = flags&flagDerived != 0, flags&flagKeyless != 0
	e.Routing, e.Revision, e.Depth = seawall.Routing(st.getInt()), st.getInt(), int(st.getInt())
	copy(e.Cause[:], st.peek())
	e.Type, e.Entity, e.Version, e.SourceID = st.getText(), st.getText(), st.getText(), st.getText()
	var err error
	if e.Decisions, err = pack.ParsePlan(st.peek()); err != nil {
		return nil, err
	}
	if err := pack.ParseRequest(st.peek(), e, full); err != nil {
		return nil, err
	}
	if full {
		e.Body = st.getBlob()
	}
	return e, nil
}

var (
	qEvent    = newQuery("SELECT " + eventColumns + ", e.body FROM event e WHERE e.seq = ?")
	qEventSeq = newQuery("SELECT seq FROM event WHERE uid = ?")
)

func (s *Store) Event(ctx context.Context, id seawall.EventID) (e *seawall.Event, err error) {
	err = s.read(ctx, func(c *conn) error {
		seq, err := c.eventSeq(id)
		if err != nil {
			return err
		}
		e, err = s.event(c, seq)
		return err
	})
	return e, err
}

// event returns an event by its sequence number.
func (s *Store) event(c *conn, seq int64) (*seawall.Event, error) {
	st := c.use(qEvent).int(seq)
	defer st.done()
	if !st.next() {
		if err := st.done(); err != nil {
			return nil, err
		}
		return nil, seawall.Errorf(seawall.ErrNotFound, "no event with sequence number %d", seq)
	}
	return s.scanEvent(c, st, true)
}

// eventSeq returns the sequence number of an event; seawall.ErrNotFound.
func (c *conn) eventSeq(id seawall.EventID) (int64, error) {
	st := c.use(qEventSeq).blob(id[:])
	if st.next() {
		seq := st.getInt()
		return seq, st.done()
	}
	if err := st.done(); err != nil {
		return 0, err
	}
	return 0, seawall.Errorf(seawall.ErrNotFound, "no event %s", id).
		WithHint("it may be past its retention")
}

// eventID returns the id of an event that exists.
func (c *conn) eventID(seq int64) (id seawall.EventID, err error) {
	st := c.use(qEventID).int(seq)
	if st.next() {
		copy(id[:], st.peek())
	}
	return id, st.done()
}
