package sqlite

import (
	"encoding/binary"
	"errors"

	"github.com/seawall-dev/seawall/seawall"
)

// What an event's row says of its fresh deliveries is a layout, and four numbers for
// each: its own, its queue's, its route's, and its flags above a bit that tells that
// it has the event's entity.
const freshLayout = 1

func appendFresh(said []byte, n int, f *fresh) []byte {
	if said == nil {
		said = append(make([]byte, 0, 16), freshLayout)
	}
	flags := f.flags << 1
	if f.entity != "" {
		flags |= 1
	}
	for _, v := range [...]int64{int64(n), f.queue, f.route, flags} {
		said = binary.AppendUvarint(said, uint64(v))
	}
	return said
}

var errFresh = errors.New("what it says of its deliveries is damaged, or a later seawall wrote it")

// saying is an event as far as its fresh deliveries share it.
type saying struct {
	seq, revision, received int64
	entity                  string
	said                    []byte
}

// each calls do for each delivery that was fresh, until one fails.
func (e *saying) each(do func(key int64, f fresh) error) error {
	if len(e.said) == 0 || e.said[0] != freshLayout {
		return errFresh
	}
	for said := e.said[1:]; len(said) > 0; {
		var v [4]int64
		for i := range v {
			u, n := binary.Uvarint(said)
			if n <= 0 {
				return errFresh
			}
			v[i], said = int64(u), said[n:]
		}
		if v[0] < 1 || v[0] > seawall.MaxDeliveries {
			return errFresh
		}
		f := fresh{queue: v[1], route: v[2], flags: v[3] >> 1, revision: e.revision, due: e.received}
		if v[3]&1 != 0 {
			f.entity = e.entity
		}
		if err := do(deliveryKey(e.seq, int(v[0])), f); err != nil {
			return err
		}
	}
	return nil
}

// memoFresh is the mark: of no event up to it a delivery is fresh.
const memoFresh = "fresh"

var (
	qSayings = newQuery("SELECT seq, revision, received, entity, fresh FROM event WHERE seq > ? AND fresh IS NOT NULL ORDER BY seq")
	qRecover = newQuery(`INSERT INTO unfinished (id, queue, state, due, route, revision, flags, attempts, round, entity)
		SELECT ?1, ?2, 0, ?3, ?4, ?5, ?6, 0, 0, ?7 WHERE NOT EXISTS (SELECT 1 FROM finished WHERE id = ?1) ON CONFLICT DO NOTHING`)
	qHasRow = newQuery("SELECT EXISTS (SELECT 1 FROM unfinished WHERE id = ?1) OR EXISTS (SELECT 1 FROM finished WHERE id = ?1)")
)

func scanSaying(st *stmt) saying {
	return saying{seq: st.getInt(), revision: st.getInt(), received: st.getInt(), entity: st.getText(), said: st.getBlob()}
}

// recoverFresh makes the rows that a process before did not come to make. An event
// that cannot be read harms its own deliveries alone (G7).
func (t *txn) recoverFresh() error {
	st := t.use(qSayings).int(t.fresh.mark)
	defer st.done()
	for st.next() {
		e := scanSaying(st)
		err := e.each(func(key int64, f fresh) error {
			if _, ok := t.linesByID[f.queue]; !ok {
				return errFresh
			}
			err := t.use(qRecover).int(key).int(f.queue).int(f.due).int(f.route).int(f.revision).int(f.flags).text(f.entity).exec()
			if err == nil && t.changes() == 1 {
				t.moved(f.queue, seawall.Pending, 1)
			}
			return err
		})
		if errors.Is(err, errFresh) {
			id, err := t.eventID(e.seq)
			if err != nil {
				return err
			}
			t.s.log.Error("deliveries of an event may be missing: look at it, and replay it", "event", id.String(), "error", errFresh)
			continue
		}
		if err != nil {
			return err
		}
	}
	if err := st.done(); err != nil || t.fresh.mark == t.seq {
		return err
	}
	return t.setMark(t.seq)
}

// missing finds deliveries up to the mark that have no row.
func (c *conn) missing(max int) (problems []int64, err error) {
	mark, err := one(c.use(qMemo).word(memoFresh))
	if err != nil {
		return nil, err
	}
	st := c.use(qSayings).int(0)
	defer st.done()
	for len(problems) < max && st.next() {
		e := scanSaying(st)
		if e.seq > mark {
			break
		}
		if err := e.each(func(key int64, _ fresh) error {
			has, err := one(c.use(qHasRow).int(key))
			if err == nil && has == 0 {
				problems = append(problems, key)
			}
			return err
		}); err != nil && !errors.Is(err, errFresh) {
			return problems, err
		}
	}
	return problems, st.done()
}
