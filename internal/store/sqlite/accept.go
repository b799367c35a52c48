package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// acceptance is a store.Acceptance with what can be computed before the
// writer's turn.
type acceptance struct {
	*store.Acceptance
	plan    []byte
	request []byte
}

func (a *acceptance) size() int { return len(a.Event.Body) + len(a.request) + len(a.plan) + 256 }

func prepare(batch []store.Acceptance) ([]acceptance, int, error) {
	out, size := make([]acceptance, len(batch)), 0
	for i := range batch {
		a := acceptance{Acceptance: &batch[i]}
		e := a.Event
		if e.SourceID == "" && !e.Keyless {
			return nil, 0, seawall.Errorf(seawall.ErrInvalid, "accept %s: no source event id", e.ID)
		}
		if len(a.Deliveries) > seawall.MaxDeliveries {
			return nil, 0, seawall.Errorf(seawall.ErrInvalid, "accept %s: %d deliveries of one event, at most %d",
				e.ID, len(a.Deliveries), seawall.MaxDeliveries)
		}
		a.plan, a.request = pack.Plan(e.Decisions), pack.Request(e)
		out[i] = a
		size += a.size()
	}
	return out, size, nil
}

// longestID is the longest source event id that is a key as it stands.
const longestID = 48

// dedupeKey is the number of the source and the source event id. Most senders
// number their events by time in some way, so that neighbours in time share
// pages of the table; under a hash each event would touch a page of its own,
// which would double what a commit writes. Long ids are hashed all the same, to
// half a SHA-256: too long for anybody to find two that share one, which would
// make an event of his vanish as another's duplicate.
func dedupeKey(source int64, id string) []byte {
	b := binary.AppendUvarint(make([]byte, 0, 64), uint64(source))
	if len(id) <= longestID {
		return append(append(b, 0), id...)
	}
	sum := sha256.Sum256([]byte(id))
	return append(append(b, 1), sum[:16]...)
}

func (s *Store) Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	as, size, err := prepare(batch)
	if err != nil {
		return nil, err
	}
	out := make([]store.Accepted, len(as))
	err = s.writeAlong(ctx, size, func(t *txn) (err error) {
		for i := range as {
			if out[i], err = t.accept(&as[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var (
	qAddKey = newQuery("INSERT INTO dedupe (key, event, body, expires) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
	qKey    = newQuery("SELECT event, body, expires FROM dedupe WHERE key = ?")
	qSetKey = newQuery("UPDATE dedupe SET event = ?, body = ?, expires = ? WHERE key = ?")

	qAddEvent = newQuery(`INSERT INTO event (seq, uid, source, received, occurred, flags, routing, revision, depth, cause,
		type, entity, version, source_id, plan, request, body, fresh) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	qEventID = newQuery("SELECT uid FROM event WHERE seq = ?")
)

// accept writes an event, or finds that it is known.
func (t *txn) accept(a *acceptance) (store.Accepted, error) {
	e, seq := a.Event, t.seq+1
	source, err := t.name(e.Source)
	if err != nil {
		return store.Accepted{}, err
	}
	if !e.Keyless {
		first, known, err := t.claimKey(a, source, seq)
		if err != nil {
			return store.Accepted{}, err
		}
		if known {
			return t.repeated(a, first)
		}
	}
	t.seq = seq
	for i := range a.Deliveries {
		d := &a.Deliveries[i]
		if d.ID.IsZero() {
			d.ID = e.ID.Delivery(i + 1)
		}
		if d.ID.Event() != e.ID {
			return store.Accepted{}, seawall.Errorf(seawall.ErrInvalid, "accept %s: %s is not a delivery of it", e.ID, d.ID)
		}
	}
	said, err := t.holdBack(a, seq)
	if err != nil {
		return store.Accepted{}, err
	}
	if err := t.addEvent(a, source, seq, said); err != nil {
		return store.Accepted{}, err
	}
	e.Seq = seq
	for i := range a.Deliveries {
		d := &a.Deliveries[i]
		key := deliveryKey(seq, d.ID.N())
		if t.isFresh(key) {
			continue
		}
		if err := t.addDelivery(key, d, e); err != nil {
			return store.Accepted{}, err
		}
	}
	return store.Accepted{Verdict: seawall.New, Event: e.ID}, t.resolveOrTeach(a.Acceptance, seq)
}

// keyHolder is the event that a dedupe key stands for.
type keyHolder struct {
	seq  int64
	same bool // its body is the same
}

// claimKey takes the event's dedupe key for seq, unless another event has it
// within its horizon.
func (t *txn) claimKey(a *acceptance, source, seq int64) (first keyHolder, known bool, err error) {
	key := dedupeKey(source, a.Event.SourceID)
	st := t.use(qAddKey).blob(key).int(seq).blob(a.BodyHash[:]).int(a.Expires.UnixMicro())
	if err := st.exec(); err != nil || t.changes() == 1 {
		return first, false, err
	}
	st = t.use(qKey).blob(key)
	if !st.next() {
		return first, false, st.done()
	}
	first.seq = st.getInt()
	first.same = string(st.peek()) == string(a.BodyHash[:])
	expires := st.getInt()
	if err := st.done(); err != nil {
		return first, false, err
	}
	if expires > a.Event.ReceivedAt.UnixMicro() {
		return first, true, nil
	}
	return first, false, t.use(qSetKey).int(seq).blob(a.BodyHash[:]).int(a.Expires.UnixMicro()).blob(key).exec()
}

// addEvent writes an event, with what it says of its fresh deliveries.
func (t *txn) addEvent(a *acceptance, source, seq int64, said []byte) error {
	e := a.Event
	var flags int64
	if e.Derived {
		flags |= flagDerived
	}
	if e.Keyless {
		flags |= flagKeyless
	}
	st := t.use(qAddEvent).int(seq).blob(e.ID[:]).int(source).int(e.ReceivedAt.UnixMicro()).time(e.OccurredAt).
		int(flags).int(int64(e.Routing)).int(e.Revision).int(int64(e.Depth))
	if e.Cause.IsZero() {
		st.null()
	} else {
		st.blob(e.Cause[:])
	}
	err := st.text(e.Type).text(e.Entity).text(e.Version).text(e.SourceID).blob(a.plan).blob(a.request).blob(e.Body).blob(said).exec()
	if constraint(err) {
		return seawall.Errorf(seawall.ErrConflict, "accept %s: there is an event with this id", e.ID)
	}
	return err
}
