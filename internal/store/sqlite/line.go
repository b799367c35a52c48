package sqlite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// join has a delivery that was just planned join its line, and says in it what
// became of it. It is not written yet. line is 0 if it is in none.
func (t *txn) join(key, queue int64, d *seawall.Delivery, version string) (line int64, err error) {
	if d.Order == seawall.Unordered && len(d.After) == 0 {
		return 0, nil // nothing is to be known of it before it is delivered
	}
	p, err := t.positionOf(d.Destination, d.Entity, queue)
	if err != nil {
		return 0, err
	}
	if err := t.ready(p, d.Order); err != nil {
		return 0, err
	}
	m := order.Member{Mark: order.Mark{Key: key, Delivery: d.ID, Rank: d.Rank, Version: version},
		Order: d.Order, OnLate: d.OnLate, After: d.After, Due: d.Due, Late: d.Late}
	changes := p.Join(&m)
	d.State, d.Reason, d.Due, d.Late, d.Tied, d.Rank = m.State, m.Reason, m.Due.UTC().Truncate(time.Microsecond), m.Late, m.Tied, m.Rank
	if d.State.Final() {
		d.Finished = p.Now
	}
	if err := t.change(p, changes); err != nil {
		return 0, err
	}
	if d.Order == seawall.Unordered && d.State != seawall.Held {
		return 0, nil
	}
	err = t.save(p)
	return p.id, err
}

// awaited tells whether a delivery is held for its prerequisites.
func awaited(d *seawall.Delivery) bool {
	return d.State == seawall.Held && d.Reason == seawall.ReasonPrerequisite
}

// destination is the one that a delivery was planned onto, wherever it goes now.
func (t *txn) destination(now *standing) string {
	queue := now.queue
	if now.origin != 0 {
		queue = now.origin
	}
	return t.linesByID[queue].destination
}

// lineOf returns the position of a delivery, making one where there is none; nil if
// it has none.
func (t *txn) lineOf(now *standing) (p *position, err error) {
	if now.entity == "" {
		return nil, nil
	}
	if now.line != 0 {
		if p, err = t.positionByID(now.line); p != nil || err != nil {
			return p, err
		}
	}
	queue := now.queue
	if now.origin != 0 {
		queue = now.origin
	}
	p, err = t.positionOf(t.destination(now), now.entity, queue)
	if err == nil && p.id == 0 {
		err = t.save(p)
	}
	return p, err
}

// member is a delivery as its line knows it.
func (t *txn) member(p *position, key int64, now *standing) (m order.Member, err error) {
	d := seawall.Delivery{}
	pack.SetOrder(&d, now.flags)
	m = order.Member{Order: d.Order, OnLate: d.OnLate, Late: d.Late, Tied: d.Tied, State: now.state, Reason: now.reason}
	switch key {
	case p.Head.Key:
		m.Mark = p.Head
	case p.Block.Key:
		m.Mark = p.Block
	default:
		m.Mark, err = t.markOf(key, now.rank)
	}
	return m, err
}

// leave has the line go on of a delivery that ended, whose row says so already. It
// returns the position, nil if nothing follows from it.
func (t *txn) leave(key int64, now *standing, state seawall.State, done []string, pass time.Time) (*position, error) {
	if now.ordering() == seawall.Unordered && (state != seawall.Delivered || len(done) == 0) {
		return nil, nil
	}
	p, err := t.lineOf(now)
	if err != nil || p == nil {
		return nil, err
	}
	m, err := t.member(p, key, now)
	if err != nil {
		return nil, err
	}
	before := len(p.Done)
	p.Leave(m, state, done, pass)
	if len(p.Done) > before {
		if err := t.release(p); err != nil {
			return nil, err
		}
	}
	return p, t.goOn(p)
}

// yield has a head that was tried in vain give its turn up to what came meanwhile. It
// returns the position, nil if nothing follows.
func (t *txn) yield(key int64, now *standing) (*position, error) {
	if now.line == 0 || now.ordering() == seawall.Unordered {
		return nil, nil
	}
	p, err := t.lineOf(now)
	if err != nil || p == nil || !p.Yields(key) {
		return nil, err
	}
	if err := t.ready(p, seawall.Sequence); err != nil { // it has no rivals to look for
		return nil, err
	}
	m, err := t.member(p, key, now)
	if err != nil {
		return nil, err
	}
	first, err := t.firsts(p)
	if err != nil {
		return nil, err
	}
	changes, _ := p.Yield(m, first)
	if len(changes) == 0 {
		return nil, nil
	}
	if err := t.change(p, changes); err != nil {
		return nil, err
	}
	return p, t.goOn(p)
}

// handOver fills in whose turn came with a settlement.
func (t *txn) handOver(in *settlement, p *position) error {
	if p == nil || len(p.freed) == 0 {
		return nil
	}
	key := p.freed[0]
	for _, k := range p.freed {
		if k == p.Head.Key {
			key = k
		}
	}
	c, err := t.s.claimed(t.conn, key)
	if err != nil {
		return err
	}
	if c.Delivery.System != in.Lease.System || c.Delivery.Shard != in.Lease.Shard {
		c.Event = nil
	}
	in.Next = &c
	return nil
}

// displaced settles one as not ended whose place in the line was taken while it was
// being tried: it goes on waiting for its turn, or for a person.
func (t *txn) displaced(in *settlement, key int64, now standing) (seawall.State, error) {
	as := *in.Settlement
	if as.State == seawall.Pending {
		as.State, as.Reason = seawall.Held, seawall.ReasonEarlier
		if as.Due.IsZero() {
			as.Due = as.At
		}
	}
	again := *in
	again.Settlement = &as
	if err := t.againAs(&again, key, now, stepFlags(in)); err != nil || in.State == seawall.Pending {
		return as.State, err
	}
	p, err := t.lineOf(&now)
	if err != nil {
		return 0, err
	}
	p.Waiting--
	return as.State, t.goOn(p)
}

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

var qSkipDead = newQuery("UPDATE finished SET state = 6, reason = '" + seawall.ReasonSkipped + "', finished = ? WHERE id = ? AND state = 4")

func (s *Store) Skip(ctx context.Context, ids []seawall.DeliveryID, a seawall.Action) (ended []seawall.DeliveryID, err error) {
	err = s.write(ctx, 128*len(ids), func(t *txn) error {
		ended = nil
		at := a.At
		if at.IsZero() {
			at = s.now()
		}
		for _, id := range ids {
			key, ok, err := t.keyOf(id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if ok, err = t.cancel(key, seawall.ReasonSkipped, at); err == nil && !ok {
				ok, err = t.skipDead(key, at)
			}
			if err != nil {
				return err
			}
			if ok {
				ended = append(ended, id)
			}
		}
		return t.record(a)
	})
	return ended, err
}

// skipDead has its line go on without a dead letter.
func (t *txn) skipDead(key int64, at time.Time) (bool, error) {
	now, found, err := t.standing(qFinishedNow, key)
	if err != nil || !found || now.state != seawall.Dead {
		return false, err
	}
	if err := t.use(qSkipDead).int(at.UnixMicro()).int(key).exec(); err != nil {
		return false, err
	}
	t.moved(now.queue, seawall.Dead, -1)
	t.moved(now.queue, seawall.Canceled, 1)
	_, err = t.leave(key, &now, seawall.Canceled, nil, time.Time{})
	return true, err
}

var qPositions = newQuery(`SELECT n.text, p.waiting, p.at, p.data FROM position p JOIN name n ON n.id = p.destination WHERE p.entity = ?`)

func (s *Store) Positions(ctx context.Context, entity string) (out []store.Position, err error) {
	err = s.read(ctx, func(c *conn) error {
		out = nil
		st := c.use(qPositions).word(entity)
		defer st.done()
		for st.next() {
			p := store.Position{Destination: st.getText()}
			waiting := st.getInt()
			p.At = st.getTime()
			var err error
			if p.Position, err = pack.ParsePosition(st.peek()); err != nil {
				return err
			}
			p.Waiting = int(waiting)
			out = append(out, p)
		}
		slices.SortFunc(out, func(a, b store.Position) int { return strings.Compare(a.Destination, b.Destination) })
		return st.done()
	})
	return out, err
}

// qEntities reads positions of entities after one and before another, of one
// destination or of all.
var qEntities = newQuery(`SELECT entity, waiting, block IS NOT NULL, at FROM position INDEXED BY position_entity
	WHERE entity > ?1 AND entity < ?2 AND (?3 = 0 OR destination = ?3) ORDER BY entity`)

func (s *Store) ListEntities(ctx context.Context, f store.EntityFilter, p store.Page) (out store.List[store.EntityState], err error) {
	from, end := "", "\U0010FFFF"
	if f.Name != "" {
		from, end = f.Name+"/", f.Name+"0" // which is what follows on a slash
	}
	if p.Cursor != "" {
		if from, err = readWord(p.Cursor, 'n'); err != nil {
			return out, err
		}
	}
	limit := pageLimit(p)
	err = s.read(ctx, func(c *conn) error {
		out = store.List[store.EntityState]{}
		var destination int64
		if f.Destination != "" {
			var ok bool
			if destination, ok = s.names.id(c, f.Destination); !ok {
				return nil
			}
		}
		st := c.use(qEntities).word(from).word(end).int(destination)
		defer st.done()
		var e store.EntityState
		last := from
		keep := func() {
			if e.Entity != "" && (!f.Waiting || e.Waiting > 0 || e.Blocked > 0) {
				out.Items = append(out.Items, e)
			}
			last = e.Entity
		}
		for rows := 0; st.next(); rows++ {
			entity := st.getText()
			if entity != e.Entity {
				if keep(); len(out.Items) == limit || rows >= lookThrough {
					out.Next = writeWord('n', last)
					return nil
				}
				e = store.EntityState{Entity: entity}
			}
			e.Waiting += int(st.getInt())
			e.Blocked += int(st.getInt())
			if at := st.getTime(); at.After(e.At) {
				e.At = at
			}
		}
		keep()
		return st.done()
	})
	return out, err
}

// lookThrough bounds the rows that a page reads that a filter leaves out.
const lookThrough = 20_000

// awaits is how prerequisites are kept.
func awaits(d *seawall.Delivery) string {
	if !awaited(d) {
		return ""
	}
	return strings.Join(d.After, "\n")
}
