package sqlite

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// laneState is who holds a lane. The writer keeps all in memory and the table
// for the next process.
type laneState struct {
	node  string // "" if nobody
	token int64
	until time.Time
}

// died is who holds the lanes of a process that is gone.
const died = "?"

// margin is how long before its lease runs out an owner must stop.
const margin = 2 * time.Second

var (
	qLanes   = newQuery("SELECT system, shard, node, token, until FROM lane")
	qSetLane = newQuery(`INSERT INTO lane (system, shard, node, token, until) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET node = excluded.node, token = excluded.token, until = excluded.until`)
	// What a process before had and never gave back is nobody's, and known for it.
	qFreeLanes = newQuery("UPDATE lane SET node = '" + died + "', until = 0 WHERE node <> ''")
	qToDoubt   = newQuery(`UPDATE unfinished INDEXED BY unfinished_other SET state = 0, due = min(due, ?), flags = flags & ~12 | 4,
		reason = '` + seawall.ReasonUnknown + `' WHERE queue = ? AND state = 2 AND state <> 0`)
)

func (w *writer) loadLanes() error {
	w.lanes = map[laneKey]laneState{}
	st := w.use(qLanes)
	for st.next() {
		k := laneKey{System: st.getText(), Shard: int(st.getInt())}
		w.lanes[k] = laneState{node: st.getText(), token: st.getInt(), until: st.getTime()}
	}
	return st.done()
}

func (t *txn) setLane(k laneKey, l laneState) error {
	old, had := t.lanes[k]
	t.onUndo(func() {
		if t.lanes[k] = old; !had {
			delete(t.lanes, k)
		}
	})
	t.lanes[k] = l
	until := int64(0)
	if !l.until.IsZero() {
		until = l.until.UnixMicro()
	}
	return t.use(qSetLane).word(k.System).int(int64(k.Shard)).word(l.node).int(l.token).int(until).exec()
}

// stands tells whether a lease is still the lane's.
func (t *txn) stands(l store.Lease) bool {
	have, ok := t.lanes[l.Lane]
	return ok && have.token == l.Token && have.node == l.Node && l.Node != ""
}

func (s *Store) Acquire(ctx context.Context, node string, lanes []store.Lane, ttl time.Duration) (leases []store.Lease, err error) {
	err = s.write(ctx, 128*len(lanes), func(t *txn) error {
		leases = nil
		now := s.now()
		for _, k := range lanes {
			l := t.lanes[k]
			if l.node != "" && l.node != node && l.until.After(now) {
				continue
			}
			unclean := l.node != node && l.node != ""
			if l.node != node {
				l.node = node
				l.token++
				if err := t.doubt(k, now); err != nil {
					return err
				}
			}
			l.until = now.Add(ttl)
			if err := t.setLane(k, l); err != nil {
				return err
			}
			got := lease(k, l, now, ttl)
			got.Unclean = unclean
			leases = append(leases, got)
		}
		return nil
	})
	return leases, err
}

// doubt leaves the deliveries that an owner before began and never settled to the
// next one, who sends nothing before it knows more.
func (t *txn) doubt(k laneKey, now time.Time) error {
	for id, l := range t.linesByID {
		if l.laneKey != k {
			continue
		}
		if err := t.use(qToDoubt).int(now.UnixMicro()).int(id).exec(); err != nil {
			return err
		}
		if n := t.changes(); n > 0 {
			t.moved(id, seawall.Sending, -n)
			t.moved(id, seawall.Pending, n)
		}
	}
	return nil
}

func lease(k laneKey, l laneState, now time.Time, ttl time.Duration) store.Lease {
	return store.Lease{Lane: k, Node: l.node, Token: l.token, Until: now.Add(ttl - min(margin, ttl/4))}
}

func (s *Store) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) (renewed []store.Lease, err error) {
	err = s.writeAlong(ctx, 64*len(leases), func(t *txn) error {
		renewed = nil
		now := s.now()
		for _, have := range leases {
			if !t.stands(have) {
				continue
			}
			l := t.lanes[have.Lane]
			l.until = now.Add(ttl)
			if err := t.setLane(have.Lane, l); err != nil {
				return err
			}
			renewed = append(renewed, lease(have.Lane, l, now, ttl))
		}
		return nil
	})
	return renewed, err
}

func (s *Store) Release(ctx context.Context, leases []store.Lease) error {
	return s.write(ctx, 64*len(leases), func(t *txn) error {
		for _, have := range leases {
			if !t.stands(have) {
				continue
			}
			l := t.lanes[have.Lane]
			l.node, l.until = "", time.Time{}
			if err := t.setLane(have.Lane, l); err != nil {
				return err
			}
		}
		return nil
	})
}
