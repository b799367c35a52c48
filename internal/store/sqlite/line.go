package sqlite

import (
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
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

// awaits is how prerequisites are kept.
func awaits(d *seawall.Delivery) string {
	if !awaited(d) {
		return ""
	}
	return strings.Join(d.After, "\n")
}
