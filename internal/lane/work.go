package lane

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// run works until nothing is in hand.
func (q *queue) run() {
	for {
		waits, some := q.ask()
		if !some {
			return
		}
		pass, waited, ok := q.enter(waits)
		e, some := q.next(waited)
		switch {
		case !some:
			pass.Leave()
			return
		case !ok || (waited || q.r.Now().Sub(e.since) > longInHand) && !q.stillWaits(&e.Claimed):
			pass.Leave()
			q.letGo(&e)
		default:
			q.attempt(e, pass)
		}
	}
}

// ask tells whether something is in hand for one more worker to ask the system
// for; one who finds nothing, or is one too many, ends.
func (q *queue) ask() (waits context.Context, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.hand) <= q.asking || q.slots() < 0 {
		q.working--
		return nil, false
	}
	q.asking++
	return q.waits, true
}

const (
	// longWait is how long the system may have been waited for before whose turn it
	// is counts, and whether it still waits.
	longWait = time.Second
	// longInHand is from when on a person may have seen what is in hand, and ended
	// it. To ask takes a read, which those that are merely behind are spared.
	longInHand = 5 * time.Second
)

// enter waits until the system may be asked once more. waited tells that it took
// long.
func (q *queue) enter(waits context.Context) (p Pass, waited, ok bool) {
	if q.r.Enter == nil {
		return freely{}, false, true
	}
	start := q.r.Now()
	p, err := q.r.Enter(waits, q.key.Lane, q.key.destination)
	if err != nil {
		return freely{}, false, false
	}
	return p, q.r.Now().Sub(start) > longWait, true
}

// stillWaits tells whether a delivery that was in hand for long is still to be
// tried: a person may have ended it meanwhile. Where the store does not say, it
// is left for another time.
func (q *queue) stillWaits(c *store.Claimed) bool {
	ctx, cancel := context.WithTimeout(q.lane.ctx, storeTime)
	defer cancel()
	d, err := q.r.Store.Delivery(ctx, c.Delivery.ID)
	return err == nil && d.State == seawall.Pending && d.Destination == q.key.destination
}

// next takes a delivery out of hand. Where there is waiting, entities take turns:
// whose turn has not been longest goes first.
func (q *queue) next(waited bool) (e entry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking--
	if len(q.hand) == 0 || q.slots() < 0 {
		clear(q.turns)
		q.working--
		return e, false
	}
	if waited || len(q.turns) > 0 {
		q.turn()
	}
	if !q.apart() {
		q.working--
		return e, false
	}
	e, q.hand[0] = q.hand[0], entry{}
	q.hand = q.hand[1:]
	if interrupted(&e.Claimed) {
		q.suspect = e.Delivery.ID
	}
	q.underway(&e.Delivery)
	return e, true
}

// turn moves to the front of the hand the first delivery of an entity that had no
// turn since all had one. The caller has the lock.
func (q *queue) turn() {
	if len(q.turns) > q.capacity() {
		clear(q.turns)
	}
	for i := range q.hand {
		d := &q.hand[i].Delivery
		if d.Entity == "" {
			q.toFront(i)
			return
		}
		if _, had := q.turns[d.Entity]; had {
			continue
		}
		if q.turns == nil {
			q.turns = map[string]struct{}{}
		}
		q.turns[d.Entity] = struct{}{}
		q.toFront(i)
		return
	}
	clear(q.turns)
	q.turns[q.hand[0].Delivery.Entity] = struct{}{}
}

func (q *queue) toFront(i int) {
	if i == 0 {
		return
	}
	e := q.hand[i]
	copy(q.hand[1:i+1], q.hand[:i])
	q.hand[0] = e
}

// letGo puts back what was in hand and is not tried.
func (q *queue) letGo(e *entry) {
	q.release(e.size)
	q.forget(whoseIs(&e.Delivery))
	// A claim that found it busy here passed it over: this queue's after the gate
	// opened again, or that of the queue in our place.
	q.r.passedOver(q.key)
}

// attempt tries one delivery and passes on what came of it.
func (q *queue) attempt(e entry, pass Pass) {
	if q.stopped() || !q.open() || !q.lane.stands() {
		pass.Leave()
		q.letGo(&e)
		return
	}
	intends := q.intends(&e.Claimed)
	if intends && !q.mayBegin(&e.Claimed) {
		pass.Leave()
		q.release(e.size)
		return
	}
	over := q.keepTurn(&e.Claimed, intends)
	s := q.r.Deliver(q.lane.ctx, &e.Claimed, pass)
	over()
	q.release(e.size)
	q.pass(&e.Claimed, s)
}

// pass passes on what came of a delivery that was in hand.
func (q *queue) pass(c *store.Claimed, s store.Settlement) {
	s.Lease, s.Delivery, s.Seq = q.lane.current(), c.Delivery.ID, c.Event.Seq
	if s.Disable != "" {
		q.setGate(seawall.Disabled)
	}
	q.mu.Lock()
	q.waiting++
	// Somebody waits for a slot, for a call's answer, or would have to look at
	// what a crash leaves begun.
	wanted := q.short() || c.Event.Source == seawall.SourceCalls || q.unsafe || c.Delivery.Step != seawall.Send
	q.mu.Unlock()
	q.settles.Add(1)
	holds := c.Delivery.Order == seawall.Sequence && c.Delivery.OnLate == seawall.LateHold
	q.r.settles <- settling{q, s, whoseIs(&c.Delivery), holds}
	if wanted || len(q.r.settles) >= settleBatch {
		q.r.press()
	}
}

// release gives back the room that a delivery took in hand.
func (q *queue) release(size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.emptied {
		return // with all that was left
	}
	q.bytes.Add(-int64(size))
	q.r.held.Add(-int64(size))
}

// forget lets go of a delivery that is settled, or was never tried. It tells
// whether the delivery was passed over while it was being accepted.
func (q *queue) forget(w whose) (passedOver bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	passedOver = q.busy[w.id] == missed
	delete(q.busy, w.id)
	if q.suspect == w.id {
		q.suspect = seawall.DeliveryID{}
	}
	if q.gone != nil {
		q.gone[w.id] = struct{}{}
	}
	q.notUnderway(w)
	return passedOver
}

// settled frees the slot of an attempt whose outcome is recorded, or given up.
func (q *queue) settled(w whose) {
	q.mu.Lock()
	q.waiting--
	q.notUnderway(w)
	if len(q.hand) > q.asking && q.slots() > 0 && !q.stopped() {
		q.working++
		q.spawn(q.run)
	}
	q.mu.Unlock()
	q.settles.Done()
}
