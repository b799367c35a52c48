package sqlite

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// keptRefused is how many rejected arrivals, and how many handshakes, of
	// each source are kept.
	keptRefused = 1000

	// keptStrangers is how many of them are kept over all sources: names of
	// sources that do not exist are the sender's to invent.
	keptStrangers = 20_000
)

var (
	qAddArrival = newQuery(`INSERT INTO arrival (source, at, verdict, event, status, reason, detail, source_id, proof,
		remote, method, url, body_size, headers, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	qTrimKind = newQuery(`DELETE FROM arrival WHERE id <= (SELECT id FROM arrival
		WHERE source = ? AND verdict = ? AND event IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?)
		AND source = ? AND verdict = ? AND event IS NULL`)
	qTrimAll = newQuery(`DELETE FROM arrival WHERE event IS NULL AND id IN (SELECT id FROM arrival
		WHERE event IS NULL ORDER BY id LIMIT ?)`)
	qKinds = newQuery("SELECT source, verdict, count(*) FROM arrival WHERE event IS NULL GROUP BY source, verdict")
)

// kind is what rejected arrivals and handshakes are bounded by.
type kind struct {
	source  string
	verdict seawall.Verdict
}

// addArrival writes an arrival; event is 0 if it has none.
func (t *txn) addArrival(a *seawall.Arrival, event int64) error {
	return t.putArrival(t.use(qAddArrival), a, event)
}

// putArrival binds an arrival to what is left of a statement, and runs it.
func (t *txn) putArrival(st *stmt, a *seawall.Arrival, event int64) error {
	return st.word(a.Source).int(a.At.UnixMicro()).int(int64(a.Verdict)).orNull(event).int(int64(a.Status)).
		text(a.Reason).text(a.Detail).text(a.SourceID).text(a.Proof).text(a.Remote).text(a.Method).text(a.URL).
		int(a.BodySize).blob(pack.Headers(a.Headers)).blob(a.Body).exec()
}

func (s *Store) Refuse(ctx context.Context, a seawall.Arrival) error {
	a.Body = a.Body[:min(len(a.Body), keptBody)]
	return s.writeAlong(ctx, len(a.Body)+512, func(t *txn) error {
		if err := t.addArrival(&a, 0); err != nil {
			return err
		}
		return t.trim(kind{a.Source, a.Verdict})
	})
}

// trim bounds the arrivals without an event. It runs ahead by a tenth, so that
// under a flood it is rarely due.
func (t *txn) trim(k kind) error {
	n, all := t.refused[k]+1, t.refusedAll+1
	if n > keptRefused+keptRefused/10 {
		err := t.use(qTrimKind).word(k.source).int(int64(k.verdict)).int(keptRefused).word(k.source).int(int64(k.verdict)).exec()
		if err != nil {
			return err
		}
		all -= n - keptRefused
		n = keptRefused
	}
	old, oldAll := t.refused[k], t.refusedAll
	t.onUndo(func() { t.refused[k], t.refusedAll = old, oldAll })
	t.refused[k], t.refusedAll = n, all
	if all <= keptStrangers+keptStrangers/10 {
		return nil
	}
	if err := t.use(qTrimAll).int(all - keptStrangers).exec(); err != nil {
		return err
	}
	return t.loadRefused()
}

// loadRefused counts the arrivals without an event.
func (w *writer) loadRefused() error {
	w.refused, w.refusedAll = map[kind]int64{}, 0
	st := w.use(qKinds)
	for st.next() {
		k := kind{st.getText(), seawall.Verdict(st.getInt())}
		w.refused[k] = st.getInt()
		w.refusedAll += w.refused[k]
	}
	return st.done()
}

const arrivalColumns = `a.id, a.source, a.at, a.verdict, a.status, a.reason, a.detail, a.source_id, a.proof, a.remote,
	a.method, a.url, a.body_size, (SELECT uid FROM event WHERE seq = a.event)`

func scanArrival(st *stmt) (a seawall.Arrival) {
	a.ID, a.Source, a.At, a.Verdict = st.getInt(), st.getText(), st.getTime(), seawall.Verdict(st.getInt())
	a.Status, a.Reason, a.Detail, a.SourceID = int(st.getInt()), st.getText(), st.getText(), st.getText()
	a.Proof, a.Remote, a.Method, a.URL = st.getText(), st.getText(), st.getText(), st.getText()
	a.BodySize = st.getInt()
	copy(a.Event[:], st.peek())
	return a
}

var qHighestArrival = newQuery("SELECT max(id) FROM arrival")

var qArrival = newQuery("SELECT " + arrivalColumns + ", a.headers, a.body FROM arrival a WHERE a.id = ?")

func (s *Store) Arrival(ctx context.Context, id int64) (*seawall.Arrival, error) {
	var a seawall.Arrival
	err := s.read(ctx, func(c *conn) error {
		st := c.use(qArrival).int(id)
		defer st.done()
		if !st.next() {
			if err := st.done(); err != nil {
				return err
			}
			return seawall.Errorf(seawall.ErrNotFound, "no arrival %d", id)
		}
		a = scanArrival(st)
		var err error
		if a.Headers, err = pack.ParseHeaders(st.peek()); err != nil {
			return err
		}
		a.Body = st.getBlob()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func (s *Store) ListArrivals(ctx context.Context, f store.ArrivalFilter, p store.Page) (list store.List[seawall.Arrival], err error) {
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.Arrival]{kind: 'a', low: 1, nearest: "SELECT max(id) FROM arrival WHERE id < ?1",
			scan: func(st *stmt) (int64, seawall.Arrival, error) {
				a := scanArrival(st)
				return a.ID, a, nil
			}}
		if l.high, err = one(c.use(qHighestArrival)); err != nil {
			return err
		}
		from, w := "arrival a", &where{}
		l.width = stretch
		if !f.Event.IsZero() {
			seq, err := c.eventSeq(f.Event)
			if err != nil {
				return err
			}
			from, l.width = "arrival a INDEXED BY arrival_event", 0
			w.and("a.event = ?", seq)
		}
		if f.Source != "" {
			w.and("a.source = ?", f.Source)
		}
		if f.Verdict != nil {
			w.and("a.verdict = ?", int64(*f.Verdict))
		}
		w.times("a.at", f.Since, f.Until)
		l.sql = "SELECT " + arrivalColumns + " FROM " + from + " WHERE a.id BETWEEN ?1 AND ?2" + w.sql.String() +
			" ORDER BY a.id DESC LIMIT ?3"
		l.args = w.args
		list, err = l.page(c, p)
		return err
	})
	return list, err
}
