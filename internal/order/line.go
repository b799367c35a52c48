package order

import (
	"slices"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Never is the time of what is held until something else happens.
var Never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	// staleAfter is when the owner of a head that was due since no longer takes it
	// for granted that the head is still that: it begins it first.
	staleAfter = 2 * time.Second
	// BeginAfter is when the owner of a head that was due since, and is still being
	// tried, begins it after all.
	BeginAfter = 3 * time.Second
	// firmFor is how long nobody takes the place of a head that is due. The
	// difference is what the clocks of the two may differ by, and what may pass
	// between the look at the clock and the first byte, or the commit.
	firmFor = 6 * time.Second
)

// Contested tells whether the owner of a delivery must have Begin commit that it
// tries it: another one of its line may have taken its place since it was read.
// A head that is tried for the first time, soon after its turn came, keeps it.
func Contested(d *seawall.Delivery, received, now time.Time) bool {
	return d.Order != seawall.Unordered && (d.Round > 0 || !d.Since.Equal(received) || now.Sub(d.Due) > staleAfter)
}

// Standing is where a head stands.
type Standing struct {
	Order seawall.Ordering
	State seawall.State
	Step  seawall.Step
	Round int
	Fresh bool // it was never replayed
	Due   time.Time
}

// firm tells whether a head keeps its place whatever comes.
func (s *Standing) firm(now time.Time) bool {
	switch {
	case s.Step != seawall.Send, s.State != seawall.Pending && s.State != seawall.Held:
		return true
	case s.State == seawall.Held: // its outcome is not known, and a person is to say
		return s.Order != seawall.Latest
	default:
		return s.Round == 0 && s.Fresh && now.Sub(s.Due) < firmFor
	}
}

// Member is a delivery that joins a line or waits in one.
type Member struct {
	Mark
	Order  seawall.Ordering
	OnLate seawall.LatePolicy
	After  []string

	State  seawall.State
	Reason string
	Due    time.Time // before it joins, see Join; of one that waits, when its settle window ends, else Never
	Late   bool
	Tied   bool
}

// Change is what happens to another delivery of the line.
type Change struct {
	Key    int64
	State  seawall.State
	Reason string
	Due    time.Time
	Late   bool
}

// Line is a position with what the store has read of its deliveries. Its methods
// change the position and say what is to be done to deliveries; the store does
// both in one transaction, under a lock on the position.
type Line struct {
	Position
	Standing Standing // of Head; not read if there is none
	Now      time.Time

	// Rivals are those in the line (held for ReasonEarlier or ReasonSettle) that
	// belong to Latest: at most one of a clock, as a rule. Join wants them where
	// Waiting is not 0 and the newcomer belongs to Latest.
	Rivals []Member
}

// Join adds a delivery. m.Due is when its settle window ends (or earlier: it has
// none), with prerequisites that are not fulfilled when the wait for them does.
// It says in m what becomes of it, and returns what becomes of others.
func (l *Line) Join(m *Member) []Change {
	ripe := m.Due
	if len(m.After) > 0 {
		if !l.Fulfils(m.After) {
			m.State, m.Reason = seawall.Held, seawall.ReasonPrerequisite
			return nil
		}
		ripe = l.Now
	}
	m.State, m.Reason, m.Due = seawall.Pending, "", l.Now
	if m.Order == seawall.Unordered {
		return nil
	}
	name, bare := ClockOf(m.Rank)
	c := l.clock(name)
	top := c.Top
	if bare && !top.IsZero() {
		m.Rank = top.Rank // as new as the newest that is known
	}
	m.Tied = !bare && !top.IsZero() && top.Delivery.Event() != m.Delivery.Event() && !m.older(top) && !top.older(m.Mark)
	if !m.older(top) {
		c.Top = m.Mark
	}
	if m.Order == seawall.Latest {
		if m.older(top) {
			m.State, m.Reason = seawall.Superseded, superseded(top)
			return nil
		}
		return l.joinLatest(m, ripe)
	}
	if m.older(c.Seen) && !m.Late {
		switch m.OnLate {
		case seawall.LateSupersede:
			m.State, m.Reason = seawall.Superseded, superseded(c.Seen)
			return nil
		case seawall.LateHold:
			m.State, m.Reason, m.Due = seawall.Held, seawall.ReasonLate, l.Now // Ripen has it told
			return nil
		}
		m.Late = true
	}
	return l.joinSequence(m, ripe)
}

// Release has a delivery go on that was held for prerequisites: if they are
// fulfilled now, or, with force, because the wait for them is over. ok is false if
// it goes on waiting.
func (l *Line) Release(m *Member, force bool) (ok bool, changes []Change) {
	if !force && !l.Fulfils(m.After) {
		return false, nil
	}
	m.After, m.Due = nil, l.Now
	return true, l.Join(m)
}

// superseded is the reason of what a newer one made pointless.
func superseded(by Mark) string { return "by " + by.String() }

// joinLatest takes the place of those of its clock that need not be delivered any
// more.
func (l *Line) joinLatest(m *Member, ripe time.Time) (changes []Change) {
	l.Rivals = slices.DeleteFunc(l.Rivals, func(r Member) bool {
		if !l.pointless(r.Mark, m) || r.Late {
			return false
		}
		l.Waiting--
		if r.Reason == seawall.ReasonSettle && r.Due.Before(ripe) {
			ripe = r.Due // or a stream of updates would never be delivered
		}
		changes = append(changes, Change{Key: r.Key, State: seawall.Superseded, Reason: superseded(m.Mark)})
		return true
	})
	if !l.Head.IsZero() && l.Standing.Order == seawall.Latest && !l.Standing.firm(l.Now) && l.pointless(l.Head, m) {
		changes = append(changes, Change{Key: l.Head.Key, State: seawall.Superseded, Reason: superseded(m.Mark)})
		l.Head = Mark{}
		ripe = l.Now // its turn had come already
	}
	l.enter(m, ripe)
	return changes
}

// pointless tells whether another one of the same clock, older or tied, need not be
// delivered any more once m is.
func (l *Line) pointless(other Mark, m *Member) bool {
	a, _ := ClockOf(other.Rank)
	b, _ := ClockOf(m.Rank)
	return a == b && other.before(m.Mark) && other.Delivery.Event() != m.Delivery.Event()
}

// joinSequence lets a head wait that is not under way and comes after.
func (l *Line) joinSequence(m *Member, ripe time.Time) (changes []Change) {
	if h := l.Head; !h.IsZero() && l.Standing.Order == seawall.Sequence && l.Standing.State == seawall.Pending &&
		!l.Standing.firm(l.Now) && sameClock(h, m.Mark) && m.before(h) {
		changes = append(changes, Change{Key: h.Key, State: seawall.Held, Reason: seawall.ReasonEarlier, Due: Never})
		l.Head = Mark{}
		l.Waiting++
		if !ripe.After(l.Now) {
			l.take(m)
			return changes
		}
	}
	l.enter(m, ripe)
	return changes
}

func sameClock(a, b Mark) bool {
	x, _ := ClockOf(a.Rank)
	y, _ := ClockOf(b.Rank)
	return x == y
}

// enter gives m its turn if nobody is before it, else has it wait.
func (l *Line) enter(m *Member, ripe time.Time) {
	free := l.Head.IsZero() && !l.heldUp(m)
	switch {
	case free && l.Waiting == 0 && !ripe.After(l.Now):
		l.take(m)
		return
	case free:
		// In its settle window, or others are in theirs: Ripen says who goes.
		m.State, m.Reason, m.Due = seawall.Held, seawall.ReasonSettle, later(ripe, l.Now)
	case ripe.After(l.Now):
		m.State, m.Reason, m.Due = seawall.Held, seawall.ReasonEarlier, ripe
	default:
		m.State, m.Reason, m.Due = seawall.Held, seawall.ReasonEarlier, Never
	}
	l.Waiting++
	if m.Order == seawall.Latest {
		l.Rivals = append(l.Rivals, *m)
	}
}

// take makes m the head.
func (l *Line) take(m *Member) {
	m.State, m.Reason, m.Due = seawall.Pending, "", l.Now
	l.Head = m.Mark
	l.Standing = Standing{Order: m.Order, State: seawall.Pending, Fresh: true, Due: l.Now}
}

// heldUp tells whether the dead one that holds the line up comes before m.
// What only matters when it is the newest needs no dead one before it.
func (l *Line) heldUp(m *Member) bool {
	return !l.Block.IsZero() && m.Order != seawall.Latest && !(sameClock(l.Block, m.Mark) && m.before(l.Block))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Leave takes a delivery out of the line that has come to a final state, whatever
// it was in it. done and pass are the settlement's. Next says who follows.
func (l *Line) Leave(m Member, state seawall.State, done []string, pass time.Time) {
	head := m.Key == l.Head.Key
	if state == seawall.Delivered {
		l.deliver(m, done)
	}
	switch {
	case head:
		l.Head = Mark{}
		if state == seawall.Dead && m.Order == seawall.Sequence {
			l.hold(m.Mark, pass)
		}
	case l.Unblock(m.Key):
	case m.State == seawall.Held && (m.Reason == seawall.ReasonEarlier || m.Reason == seawall.ReasonSettle):
		l.Waiting--
	}
}

// deliver notes what the destination has seen.
func (l *Line) deliver(m Member, done []string) {
	for _, d := range done {
		if !slices.Contains(l.Done, d) {
			l.Done = append(l.Done, d)
		}
	}
	if m.Order == seawall.Unordered {
		return
	}
	name, _ := ClockOf(m.Rank)
	if c := l.clock(name); c.Seen.IsZero() || !m.older(c.Seen) {
		c.Seen = m.Mark
	}
	if c := l.clock(name); c.Top.IsZero() {
		c.Top = m.Mark
	}
}

// hold has a dead head hold the line up. One that does already comes after it, or it
// would not have been the head.
func (l *Line) hold(m Mark, until time.Time) {
	if !l.Block.IsZero() {
		l.Behind = append([]Hold{{l.Block, l.Until}}, l.Behind...)
	}
	l.Block, l.Until = m, until
}

// pass has the line go on without the dead one that held it up, to the next such.
func (l *Line) pass() {
	l.Block, l.Until = Mark{}, time.Time{}
	if len(l.Behind) > 0 {
		l.Block, l.Until, l.Behind = l.Behind[0].Mark, l.Behind[0].Until, l.Behind[1:]
		l.Pass()
	}
}

// Pass has the line go on without the dead one that held it up, if its time has
// come.
func (l *Line) Pass() {
	if !l.Until.IsZero() && !l.Until.After(l.Now) {
		l.pass()
	}
}

// Unblock has a delivery hold the line up no more: it is to be tried again, under
// whatever id, or is given up. It tells whether it did.
func (l *Line) Unblock(key int64) bool {
	if key != 0 && key == l.Block.Key {
		l.pass()
		return true
	}
	i := slices.IndexFunc(l.Behind, func(h Hold) bool { return h.Key == key })
	if i >= 0 {
		l.Behind = slices.Concat(l.Behind[:i], l.Behind[i+1:])
	}
	return i >= 0
}

// Blocks tells whether a dead delivery holds the line up.
func (l *Line) Blocks(key int64) bool {
	return key == l.Block.Key || slices.ContainsFunc(l.Behind, func(h Hold) bool { return h.Key == key })
}

// Clear tells whether somebody's turn may have come: Next is to be asked, with the
// first in the line of each clock.
func (l *Line) Clear() bool { return l.Head.IsZero() && l.Waiting > 0 }

// Next says whose turn it is. first are those that wait in the line, of each clock
// the one that comes before all others of it: lowest rank, then lowest key. Of
// several clocks the one that came first goes.
//
// The changes are to be made, the one that makes a delivery Pending too. more tells
// that one of first left the line without getting the turn: the store reads first
// again, and asks again.
func (l *Line) Next(first []Member) (changes []Change, more bool) {
	if !l.Head.IsZero() {
		return nil, false
	}
	slices.SortFunc(first, func(a, b Member) int { return int(min(max(a.Key-b.Key, -1), 1)) })
	for i := range first {
		m := &first[i]
		if l.heldUp(m) || m.Due.After(l.Now) && m.Due.Before(Never) {
			continue
		}
		l.Waiting--
		name, _ := ClockOf(m.Rank)
		if seen := l.clock(name).Seen; m.older(seen) && !m.Late {
			switch {
			case m.Order == seawall.Latest || m.OnLate == seawall.LateSupersede:
				return append(changes, Change{Key: m.Key, State: seawall.Superseded, Reason: superseded(seen)}), true
			case m.OnLate == seawall.LateHold:
				return append(changes, Change{Key: m.Key, State: seawall.Held, Reason: seawall.ReasonLate, Due: l.Now}), true
			}
			m.Late = true
		}
		l.take(m)
		return append(changes, Change{Key: m.Key, State: seawall.Pending, Due: l.Now, Late: m.Late}), false
	}
	return nil, false
}

// Yields tells whether a head that has just been tried, and is to be tried again or
// held for a person, may have to give its turn up: Yield is to be asked then.
func (l *Line) Yields(key int64) bool { return key == l.Head.Key && l.Waiting > 0 }

// Yield has a head that was tried in vain give its turn up to those that came
// meanwhile: in a sequence to a lower version, and where only the newest matters it
// is superseded by a newer one. Standing is where the head stands now. first is as of
// Next, and what follows, too.
func (l *Line) Yield(head Member, first []Member) (changes []Change, more bool) {
	if !l.Yields(head.Key) || l.Standing.firm(l.Now) {
		return nil, false
	}
	for i := range first {
		m := &first[i]
		switch {
		case !sameClock(m.Mark, head.Mark) || m.Order != head.Order || m.Due.After(l.Now) && m.Due.Before(Never):
			continue
		case head.Order == seawall.Sequence && l.Standing.State == seawall.Pending && m.older(head.Mark):
			changes = []Change{{Key: head.Key, State: seawall.Held, Reason: seawall.ReasonEarlier, Due: Never, Late: head.Late}}
			l.Waiting++
		case head.Order == seawall.Latest && !head.Late && l.pointless(head.Mark, m):
			changes = []Change{{Key: head.Key, State: seawall.Superseded, Reason: superseded(m.Mark)}}
		default:
			continue
		}
		l.Head = Mark{}
		next, more := l.Next(first)
		return append(changes, next...), more
	}
	return nil, false
}

// Rejoin puts a delivery back that a person replays; Next is to be asked then, as
// others may wait that come before or after it. ok is false if it is left as
// it is: a newer version made it pointless, which by names, and force is not set.
func (l *Line) Rejoin(m *Member, force bool) (ok bool, by Mark, changes []Change) {
	m.Due, m.After = time.Time{}, nil
	switch {
	case m.Order == seawall.Unordered:
		m.State, m.Reason, m.Due = seawall.Pending, "", l.Now
		return true, Mark{}, nil
	case m.Key == l.Head.Key:
		late := m.Late
		l.take(m)
		m.Late, l.Standing.Fresh = late, false
		return true, Mark{}, nil
	}
	l.Unblock(m.Key)
	name, _ := ClockOf(m.Rank)
	c := l.clock(name)
	if m.Order == seawall.Latest && m.older(c.Top) {
		if !force {
			return false, c.Top, nil
		}
		m.Late = true
		l.enter(m, l.Now)
	} else {
		m.Late = m.older(c.Seen)
		if m.Order == seawall.Latest {
			changes = l.joinLatest(m, l.Now)
		} else {
			changes = l.joinSequence(m, l.Now)
		}
	}
	if m.Key == l.Head.Key {
		l.Standing.Fresh = false
	}
	return true, Mark{}, changes
}
