package sqlite

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const systemColumns = "SELECT name, breaker, since, until, node, opens, why, hold, version FROM system"

var (
	qSystems   = newQuery(systemColumns + " ORDER BY name")
	qSystem    = newQuery(systemColumns + " WHERE name = ?")
	qSetSystem = newQuery(`INSERT INTO system (name, breaker, since, until, node, opens, why, hold, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET breaker = excluded.breaker, since = excluded.since,
		until = excluded.until, node = excluded.node, opens = excluded.opens, why = excluded.why, hold = excluded.hold,
		version = excluded.version`)
)

func scanSystem(st *stmt) store.SystemState {
	return store.SystemState{System: st.getText(), Breaker: seawall.Breaker(st.getInt()), Since: st.getTime(), Until: st.getTime(),
		Node: st.getText(), Opens: int(st.getInt()), Why: st.getText(), Hold: st.getTime(), Version: st.getInt()}
}

func (s *Store) SystemStates(ctx context.Context) (out []store.SystemState, err error) {
	err = s.read(ctx, func(c *conn) error {
		out, err = c.systems()
		return err
	})
	return out, err
}

func (c *conn) systems() (out []store.SystemState, err error) {
	st := c.use(qSystems)
	for st.next() {
		out = append(out, scanSystem(st))
	}
	return out, st.done()
}

func (s *Store) SetSystem(ctx context.Context, next store.SystemState, outcomes []store.Acceptance) (now store.SystemState, done bool, err error) {
	as, size, err := prepare(outcomes)
	if err != nil {
		return now, false, err
	}
	err = s.writeAlong(ctx, size+256, func(t *txn) error {
		now, done = store.SystemState{System: next.System}, false
		st := t.use(qSystem).word(next.System)
		if st.next() {
			now = scanSystem(st)
		}
		if err := st.done(); err != nil || now.Version != next.Version {
			return err
		}
		to := next
		to.Version++
		if err := t.setSystem(to); err != nil {
			return err
		}
		for i := range as {
			if _, err := t.accept(&as[i]); err != nil {
				return err
			}
		}
		now, done = to, true
		return nil
	})
	return now, done && err == nil, err
}

func (t *txn) setSystem(y store.SystemState) error {
	return t.use(qSetSystem).word(y.System).int(int64(y.Breaker)).time(y.Since).time(y.Until).text(y.Node).int(int64(y.Opens)).
		text(y.Why).time(y.Hold).int(y.Version).exec()
}

var (
	qRates   = newQuery("SELECT system, level, at FROM rate ORDER BY system")
	qRate    = newQuery("SELECT level, at FROM rate WHERE system = ?")
	qSetRate = newQuery("INSERT INTO rate (system, level, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET level = excluded.level, at = excluded.at")
)

func (s *Store) Take(ctx context.Context, system string, r store.Rate, want int) (permits int, wait time.Duration, err error) {
	err = s.writeAlong(ctx, 64, func(t *txn) error {
		now := s.now()
		level, at := int64(0), now
		st := t.use(qRate).word(system)
		if st.next() {
			level, at = st.getInt(), st.getTime()
		}
		if err := st.done(); err != nil {
			return err
		}
		to, back := level, at.After(now)
		permits, wait, to = r.Grant(level, at, now, want)
		switch {
		case permits > 0 && r.Every > 0:
			return t.setRate(store.RateLevel{System: system, Level: to, At: now})
		case back: // nothing drains before the clock is there again
			return t.setRate(store.RateLevel{System: system, Level: level, At: now})
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return permits, wait, nil
}

func (t *txn) setRate(l store.RateLevel) error {
	return t.use(qSetRate).word(l.System).int(l.Level).int(l.At.UnixMicro()).exec()
}

func (c *conn) rates() (out []store.RateLevel, err error) {
	st := c.use(qRates)
	for st.next() {
		out = append(out, store.RateLevel{System: st.getText(), Level: st.getInt(), At: st.getTime()})
	}
	return out, st.done()
}

// Share keeps the shares in memory, as Beat does the nodes: what a process that is
// gone had under way is gone with it.
func (s *Store) Share(_ context.Context, node string, wants []store.Share, ttl time.Duration) ([]int, error) {
	s.nodesMu.Lock()
	defer s.nodesMu.Unlock()
	now, out := s.now(), make([]int, len(wants))
	for i, w := range wants {
		all := s.shares[w.System]
		if all == nil {
			all = map[string]store.Sharer{}
			s.shares[w.System] = all
		}
		maps.DeleteFunc(all, func(_ string, have store.Sharer) bool { return !have.Until.After(now) })
		mine := all[node]
		delete(all, node)
		mine.Node = node
		share, next := store.Divide(w, mine, slices.Collect(maps.Values(all)))
		if next.Until = now.Add(ttl); next.Want > 0 || next.Part > 0 {
			all[node] = next
		}
		out[i] = share
	}
	return out, nil
}
