package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// position is a line with where it is kept. It lives for one call: what it decides
// is written at once, and save writes itself.
type position struct {
	order.Line
	id          int64
	destination int64 // number of its name
	entity      string
	queue       int64
	freed       []int64   // those whose turn came
	oldQueue    int64     // as they are written
	oldUntil    time.Time //
}

var (
	qPosition     = newQuery("SELECT id, destination, entity, queue, waiting, data FROM position WHERE entity = ? AND destination = ?")
	qPositionByID = newQuery("SELECT id, destination, entity, queue, waiting, data FROM position WHERE id = ?")
	qAddPosition  = newQuery(`INSERT INTO position (queue, head, block, waiting, wake, at, data, destination, entity)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	// Mostly no index has anything to do with what changes.
	qKeepPosition = newQuery("UPDATE position SET head = ?, block = ?, waiting = ?, at = ?, data = ? WHERE id = ?")
	qSetPosition  = newQuery("UPDATE position SET queue = ?, head = ?, block = ?, waiting = ?, wake = ?, at = ?, data = ? WHERE id = ?")
	qStanding     = newQuery("SELECT state, flags, round, since, due FROM unfinished WHERE id = ?")
	qMark         = newQuery("SELECT uid, version FROM event WHERE seq = ?")
)

// moment is the store's clock as it is written.
func (s *Store) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// position returns that of an entity at a destination, nil if there is none.
func (t *txn) position(destination, entity string) (*position, error) {
	name, err := t.name(destination)
	if err != nil {
		return nil, err
	}
	if p := t.seen.named(name, entity); p != nil {
		return t.copyOf(p), nil
	}
	return t.readPosition(t.use(qPosition).word(entity).int(name))
}

// positionByID is [txn.position] of one whose number is known.
func (t *txn) positionByID(id int64) (*position, error) {
	if p := t.seen.byID[id]; p != nil {
		return t.copyOf(p), nil
	}
	return t.readPosition(t.use(qPositionByID).int(id))
}

// copyOf is a copy, to work on, of a position as it is written.
func (t *txn) copyOf(p *position) *position {
	c := *p
	c.Clocks, c.Done = slices.Clone(p.Clocks), slices.Clone(p.Done)
	c.Now = t.s.moment()
	return &c
}

// maxSeen bounds the positions that the writer remembers.
const maxSeen = 16_384

// seen are positions as they are written, so that those of busy entities need not be
// read again.
type seen struct {
	byID   map[int64]*position
	byName map[placeName]int64
}

type placeName struct {
	destination int64
	entity      string
}

func (s *seen) named(destination int64, entity string) *position {
	return s.byID[s.byName[placeName{destination, entity}]]
}

func (s *seen) keep(p *position) {
	if len(s.byID) >= maxSeen || s.byID == nil {
		*s = seen{map[int64]*position{}, map[placeName]int64{}}
	}
	c := *p
	c.Clocks, c.Done = slices.Clone(p.Clocks), slices.Clone(p.Done)
	c.freed, c.Rivals, c.Standing = nil, nil, order.Standing{}
	s.byID[p.id], s.byName[placeName{p.destination, p.entity}] = &c, p.id
}

func (s *seen) forget(id int64) {
	if p := s.byID[id]; p != nil {
		delete(s.byID, id)
		delete(s.byName, placeName{p.destination, p.entity})
	}
}

// positionOf is [txn.position] of a line that a delivery joins: it makes a new one
// where there is none.
func (t *txn) positionOf(destination, entity string, queue int64) (*position, error) {
	p, err := t.position(destination, entity)
	if err != nil {
		return nil, err
	}
	if p == nil {
		name, err := t.name(destination)
		if err != nil {
			return nil, err
		}
		p = &position{destination: name, entity: entity}
		p.Now = t.s.moment()
		p.queue = queue
		return p, nil
	}
	p.queue = queue
	return p, nil
}

func (t *txn) readPosition(st *stmt) (*position, error) {
	defer st.done()
	if !st.next() {
		return nil, st.done()
	}
	p := &position{id: st.getInt(), destination: st.getInt(), entity: st.getText(), queue: st.getInt()}
	waiting := st.getInt()
	var err error
	if p.Position, err = pack.ParsePosition(st.peek()); err != nil {
		return nil, fmt.Errorf("position %d: %w", p.id, err)
	}
	p.Waiting, p.Now = int(waiting), t.s.moment()
	p.oldQueue, p.oldUntil = p.queue, p.Until
	return p, nil
}

// save writes a position.
func (t *txn) save(p *position) error {
	data := pack.Position(&p.Position)
	if p.id != 0 && p.queue == p.oldQueue && p.Until.Equal(p.oldUntil) {
		err := t.use(qKeepPosition).int(p.Head.Key).orNull(p.Block.Key).int(int64(p.Waiting)).int(p.Now.UnixMicro()).blob(data).int(p.id).exec()
		if err != nil {
			return err
		}
		t.remember(p)
		return nil
	}
	q := qSetPosition
	if p.id == 0 {
		q = qAddPosition
	}
	st := t.use(q).int(p.queue).int(p.Head.Key).orNull(p.Block.Key).int(int64(p.Waiting)).time(p.Until).int(p.Now.UnixMicro()).blob(data)
	if p.id == 0 {
		st.int(p.destination).word(p.entity)
	} else {
		st.int(p.id)
	}
	if err := st.exec(); err != nil {
		return err
	}
	if p.id == 0 {
		p.id = t.lastID()
	}
	t.remember(p)
	return nil
}

// remember keeps a position as it was just written, unless that is taken back.
func (t *txn) remember(p *position) {
	p.oldQueue, p.oldUntil = p.queue, p.Until
	t.seen.keep(p)
	id := p.id
	t.onUndo(func() { t.seen.forget(id) })
}

// ready reads what Join and Release want to know of the others.
func (t *txn) ready(p *position, o seawall.Ordering) (err error) {
	if p.Rivals = nil; o == seawall.Latest && p.Waiting > 0 {
		if p.Rivals, err = t.members(t.use(qRivals).int(p.id)); err != nil {
			return err
		}
	}
	if p.Head.IsZero() || p.Standing != (order.Standing{}) {
		return nil
	}
	st := t.use(qStanding).int(p.Head.Key)
	defer st.done()
	if !st.next() { // harm to one line is not to hold up its sources
		t.s.log.Error("the head of a line is not there", "position", p.id, "delivery", p.Head.Delivery)
		p.Head = order.Mark{}
		return st.done()
	}
	state, flags := seawall.State(st.getInt()), st.getInt()
	d := seawall.Delivery{}
	pack.SetOrder(&d, flags)
	p.Standing = order.Standing{Order: d.Order, State: state, Step: seawall.Step(flags >> stepShift & stepMask), Round: int(st.getInt()), Fresh: st.getInt() == 0, Due: st.getTime()}
	return nil
}

// Members of a line, of the table unfinished under the alias d.
const (
	memberColumns = "d.id, d.state, d.reason, d.rank, d.due, d.flags, d.awaits, e.uid, e.version"
	waitingInLine = "d.line = ? AND d.state = 1 AND d.reason IN ('earlier', 'settle')"
)

var (
	qRivals = newQuery("SELECT " + memberColumns + " FROM unfinished d INDEXED BY unfinished_line JOIN event e ON e.seq = d.id >> 15 WHERE " +
		waitingInLine + " AND d.flags & 96 = 64 ORDER BY d.rank DESC, d.id DESC LIMIT 100")
	qFirst = newQuery("SELECT " + memberColumns + " FROM unfinished d INDEXED BY unfinished_line JOIN event e ON e.seq = d.id >> 15 WHERE " +
		waitingInLine + " AND d.rank >= ? AND d.rank < ? ORDER BY d.rank, d.id LIMIT 1")
	qAside = newQuery("SELECT " + memberColumns + " FROM unfinished d INDEXED BY unfinished_aside JOIN event e ON e.seq = d.id >> 15 " +
		"WHERE d.line = ? AND d.state = 1 AND d.line IS NOT NULL AND d.reason NOT IN ('earlier', 'settle') AND d.reason = 'prerequisite' ORDER BY d.id")
	qMember = newQuery("SELECT " + memberColumns + " FROM unfinished d JOIN event e ON e.seq = d.id >> 15 WHERE d.id = ?")
)

func (t *txn) members(st *stmt) (ms []order.Member, err error) {
	for st.next() {
		m := order.Member{Mark: order.Mark{Key: st.getInt()}, State: seawall.State(st.getInt()), Reason: st.getText()}
		m.Rank, m.Due = st.getBlob(), st.getTime()
		flags, awaits := st.getInt(), st.getText()
		d := seawall.Delivery{}
		pack.SetOrder(&d, flags)
		m.Order, m.OnLate, m.Late, m.Tied = d.Order, d.OnLate, d.Late, d.Tied
		if awaits != "" {
			m.After = strings.Split(awaits, "\n")
		}
		var id seawall.EventID
		copy(id[:], st.peek())
		m.Delivery, m.Version = id.Delivery(keyN(m.Key)), st.getText()
		ms = append(ms, m)
	}
	return ms, st.done()
}

// markOf is the place of a delivery that is not its line's head.
func (t *txn) markOf(key int64, rank []byte) (m order.Mark, err error) {
	st := t.use(qMark).int(keyEvent(key))
	defer st.done()
	if !st.next() {
		return m, fmt.Errorf("the event of delivery %d is not there", key)
	}
	var id seawall.EventID
	copy(id[:], st.peek())
	return order.Mark{Key: key, Delivery: id.Delivery(keyN(key)), Rank: rank, Version: st.getText()}, nil
}

var (
	qChange = newQuery("UPDATE unfinished SET state = ?, due = ?, reason = ?, flags = flags | ? WHERE id = ?")
	qJoined = newQuery("UPDATE unfinished SET state = ?, due = ?, reason = ?, flags = flags & ~1536 | ?, rank = ?, line = ?, awaits = NULL WHERE id = ?")
)

// change carries out what a line decided about others in it.
func (t *txn) change(p *position, changes []order.Change) error {
	for _, c := range changes {
		now, found, err := t.standing(qUnfinishedNow, c.Key)
		if err != nil {
			return err
		}
		if !found {
			t.s.log.Error("a delivery of a line is not there", "position", p.id, "key", c.Key)
			continue
		}
		if c.State.Final() {
			err = t.supersede(p, c.Key, now, c.State, c.Reason)
		} else {
			var late int64
			if c.Late {
				late = pack.FlagLate
			}
			err = t.use(qChange).int(int64(c.State)).int(c.Due.UnixMicro()).text(c.Reason).int(late).int(c.Key).exec()
		}
		if err != nil {
			return err
		}
		t.moved(now.queue, now.state, -1)
		t.moved(now.queue, c.State, 1)
		if c.State == seawall.Pending {
			p.freed = append(p.freed, c.Key)
		}
	}
	return nil
}

// supersede ends one that a line has no use for.
func (t *txn) supersede(p *position, key int64, now standing, state seawall.State, reason string) error {
	return t.finish(&settlement{Settlement: &store.Settlement{State: state, Reason: reason, At: p.Now}}, key, now)
}

// settled writes what became of a member that was held beside the line, or comes
// back to it.
func (t *txn) settled(p *position, m *order.Member, now standing) error {
	var err error
	if m.State.Final() {
		err = t.supersede(p, m.Key, now, m.State, m.Reason)
	} else {
		d := seawall.Delivery{Late: m.Late, Tied: m.Tied}
		line := p.id
		if m.Order == seawall.Unordered {
			line = 0
		}
		err = t.use(qJoined).int(int64(m.State)).int(m.Due.UnixMicro()).text(m.Reason).int(pack.OrderFlags(&d)).blob(m.Rank).orNull(line).int(m.Key).exec()
	}
	if err != nil {
		return err
	}
	t.moved(now.queue, now.state, -1)
	t.moved(now.queue, m.State, 1)
	if m.State == seawall.Pending {
		p.freed = append(p.freed, m.Key)
	}
	return nil
}

// release has those go on whose prerequisites are there.
func (t *txn) release(p *position) error {
	ms, err := t.members(t.use(qAside).int(p.id))
	if err != nil {
		return err
	}
	for i := range ms {
		if err := t.releaseOne(p, &ms[i], false); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) releaseOne(p *position, m *order.Member, force bool) error {
	if !force && !p.Fulfils(m.After) {
		return nil
	}
	now, _, err := t.standing(qUnfinishedNow, m.Key)
	if err != nil {
		return err
	}
	if err := t.ready(p, m.Order); err != nil {
		return err
	}
	_, changes := p.Release(m, force)
	if err := t.settled(p, m, now); err != nil {
		return err
	}
	return t.change(p, changes)
}

// firsts are those that wait in the line, of each clock the first.
func (t *txn) firsts(p *position) (first []order.Member, err error) {
	for _, c := range p.Clocks {
		from, end := order.Range(c.Name)
		ms, err := t.members(t.use(qFirst).int(p.id).blob(from).blob(end))
		if err != nil {
			return nil, err
		}
		first = append(first, ms...)
	}
	return first, nil
}

// goOn gives the turn to whose it is, and writes the position.
func (t *txn) goOn(p *position) error {
	for more := true; more && p.Clear(); {
		first, err := t.firsts(p)
		if err != nil {
			return err
		}
		var changes []order.Change
		changes, more = p.Next(first)
		if err := t.change(p, changes); err != nil {
			return err
		}
	}
	return t.save(p)
}
