package sqlite

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// keptRepeats is how many duplicates, and how many conflicts, of an event
	// are kept as arrivals; the rest is counted only.
	keptRepeats = 20

	// keptBody bounds what is kept of a body that became no event.
	keptBody = 64 << 10
)

var (
	qRepeat = newQuery(`INSERT INTO repeat (event, duplicates, conflicts) VALUES (?1, ?2, ?3)
		ON CONFLICT DO UPDATE SET duplicates = duplicates + ?2, conflicts = conflicts + ?3
		RETURNING duplicates, conflicts`)
	qRepeats = newQuery("SELECT duplicates, conflicts FROM repeat WHERE event = ?")
)

// repeated counts an arrival of an event that is known, and keeps it if it is
// one of the first.
func (t *txn) repeated(a *acceptance, first keyHolder) (store.Accepted, error) {
	out := store.Accepted{Verdict: seawall.Duplicate}
	st := t.use(qEventID).int(first.seq)
	if st.next() {
		copy(out.Event[:], st.peek())
	}
	if err := st.done(); err != nil {
		return out, err
	}
	var duplicates, conflicts int64 = 1, 0
	if !first.same {
		out.Verdict, duplicates, conflicts = seawall.Conflict, 0, 1
	}
	st = t.use(qRepeat).int(first.seq).int(duplicates).int(conflicts)
	if st.next() {
		duplicates, conflicts = st.getInt(), st.getInt()
		for st.next() {
		}
	}
	if err := st.done(); err != nil {
		return out, err
	}
	if first.same && duplicates > keptRepeats || !first.same && conflicts > keptRepeats {
		return out, nil
	}
	e := a.Event
	arrival := seawall.Arrival{Source: e.Source, At: e.ReceivedAt, Verdict: out.Verdict, Status: 200, SourceID: e.SourceID,
		Proof: e.Proof, Remote: e.Remote, Method: e.Method, URL: e.URL, Headers: e.Headers, BodySize: int64(len(e.Body))}
	if !first.same {
		arrival.Body = e.Body[:min(len(e.Body), keptBody)]
	}
	return out, t.addArrival(&arrival, first.seq)
}

func (s *Store) Arrived(ctx context.Context, id seawall.EventID) (duplicates, conflicts int, err error) {
	err = s.read(ctx, func(c *conn) error {
		seq, err := c.eventSeq(id)
		if err != nil {
			return err
		}
		st := c.use(qRepeats).int(seq)
		if st.next() {
			duplicates, conflicts = int(st.getInt()), int(st.getInt())
		}
		return st.done()
	})
	return duplicates, conflicts, err
}
