package sqlite

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

var (
	qTimers = newQuery(`SELECT id, due, reason, flags FROM unfinished INDEXED BY unfinished_timer
		WHERE queue = ? AND state = 1 AND reason IN ('earlier', 'settle', 'prerequisite', 'late') AND due < 253370764800000000
		AND (due, id) > (?, ?) ORDER BY due, id LIMIT ?`)
	qWakes = newQuery(`SELECT id, wake FROM position INDEXED BY position_wake
		WHERE queue = ? AND wake IS NOT NULL AND wake > ? ORDER BY wake LIMIT ?`)
	qNoTimer = newQuery("UPDATE unfinished SET due = ?, reason = '" + seawall.ReasonEarlier + "' WHERE id = ?")
)

// timer is when a held delivery's time comes.
type timer struct {
	key, due, flags int64
	reason          string
}

// timers reads those of a queue after one.
func (c *conn) timers(queue int64, after timer, limit int) (out []timer, err error) {
	st := c.use(qTimers).int(queue).int(after.due).int(after.key).int(int64(limit))
	for st.next() {
		out = append(out, timer{key: st.getInt(), due: st.getInt(), reason: st.getText(), flags: st.getInt()})
	}
	return out, st.done()
}

// wakes reads the positions of a queue that are to go on without a dead one.
func (c *conn) wakes(queue, after int64, limit int) (ids, at []int64, err error) {
	st := c.use(qWakes).int(queue).int(after).int(int64(limit))
	for st.next() {
		ids, at = append(ids, st.getInt()), append(at, st.getInt())
	}
	return ids, at, st.done()
}

func (s *Store) Ripen(ctx context.Context, l store.Lease, destination string, now time.Time, limit int) (r store.Ripened, err error) {
	queue, ok := s.names.queue(line{destination, l.Lane})
	if !ok {
		return r, nil // nothing was ever planned for it
	}
	// Mostly nothing is there, or not yet: that is seen without the writer.
	err = s.read(ctx, func(c *conn) error { r.Next, err = c.nextTime(queue, 0); return err })
	if err != nil || r.Next.IsZero() || r.Next.After(now) {
		return r, err
	}
	now = now.UTC().Truncate(time.Microsecond)
	err = s.write(ctx, 256, func(t *txn) error {
		r = store.Ripened{}
		if !t.stands(l) {
			return nil
		}
		more, err := t.ripen(queue, now, max(limit, 1), &r)
		if err != nil {
			return err
		}
		if more {
			r.Next = now
			return nil
		}
		r.Next, err = t.nextTime(queue, now.UnixMicro())
		return err
	})
	return r, err
}

// nextTime is when the first time of a queue past one comes.
func (c *conn) nextTime(queue, after int64) (next time.Time, err error) {
	first, err := c.timers(queue, timer{due: after, key: everything}, 1)
	if err != nil {
		return next, err
	}
	_, at, err := c.wakes(queue, after, 1)
	if err != nil {
		return next, err
	}
	if len(first) > 0 {
		at = append(at, first[0].due)
	}
	for _, us := range at {
		if due := time.UnixMicro(us).UTC(); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next, nil
}

// ripen has those go on whose time has come. more tells that some were left.
func (t *txn) ripen(queue int64, now time.Time, limit int, r *store.Ripened) (more bool, err error) {
	ids, at, err := t.wakes(queue, 0, limit)
	if err != nil {
		return false, err
	}
	handled := 0
	for i, id := range ids {
		if at[i] > now.UnixMicro() {
			break
		}
		handled++
		p, err := t.positionByID(id)
		if err != nil {
			return false, err
		}
		p.Now = now
		p.Pass()
		if err := t.goOn(p); err != nil {
			return false, err
		}
		r.Freed += len(p.freed)
	}
	// One that goes on may have another wait for its turn from now on.
	for before := -1; before != handled; {
		before, r.Over = handled, nil
		if more, err = t.ripenTimers(queue, now, limit, &handled, r); more || err != nil {
			return more, err
		}
	}
	return false, nil
}

// ripenTimers looks once through the times of a queue.
func (t *txn) ripenTimers(queue int64, now time.Time, limit int, handled *int, r *store.Ripened) (more bool, err error) {
	for last := (timer{due: -1}); ; {
		if *handled >= limit || len(r.Over) >= limit {
			rest, err := t.timers(queue, last, 1)
			return err == nil && len(rest) > 0 && rest[0].due <= now.UnixMicro(), err
		}
		found, err := t.timers(queue, last, limit)
		if err != nil {
			return false, err
		}
		for _, f := range found {
			if f.due > now.UnixMicro() {
				return false, nil
			}
			if *handled >= limit || len(r.Over) >= limit {
				break
			}
			last = f
			over, err := t.ripenOne(f, now, r)
			if err != nil {
				return false, err
			}
			if !over {
				*handled++
			}
		}
		if len(found) == 0 {
			return false, nil
		}
	}
}

// ripenOne ends one's time. over tells that it is its owner who has to.
func (t *txn) ripenOne(f timer, now time.Time, r *store.Ripened) (over bool, err error) {
	s, found, err := t.standing(qUnfinishedNow, f.key)
	if err != nil || !found || s.state != seawall.Held || s.due != f.due {
		return false, err // its turn came with one before it
	}
	d := seawall.Delivery{}
	pack.SetOrder(&d, f.flags)
	if f.reason == seawall.ReasonLate || f.reason == seawall.ReasonPrerequisite && d.OnWait != seawall.WaitDeliver {
		ds, err := t.s.deliveries(t.conn, f.key, f.key)
		r.Over = append(r.Over, ds...)
		return true, err
	}
	p, err := t.lineOf(&s)
	if err != nil {
		return false, err
	}
	p.Now = now
	if f.reason == seawall.ReasonPrerequisite {
		ms, err := t.members(t.use(qMember).int(f.key))
		if err != nil {
			return false, err
		}
		if err := t.releaseOne(p, &ms[0], true); err != nil {
			return false, err
		}
	} else if err := t.use(qNoTimer).int(order.Never.UnixMicro()).int(f.key).exec(); err != nil {
		return false, err
	}
	err = t.goOn(p)
	r.Freed += len(p.freed)
	return false, err
}
