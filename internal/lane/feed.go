package lane

import (
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// feed claims whenever there is room and something may be due.
func (q *queue) feed() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-q.halted:
			return
		case <-q.lane.ctx.Done():
			return
		case <-q.awake:
		case <-timer.C:
		}
		timer.Reset(min(q.ripen(), q.claim())) // what ripens is claimed
	}
}

// claim takes what is due into hand, as far as there is room, and returns how
// long to sleep unless woken.
func (q *queue) claim() time.Duration {
	q.mu.Lock()
	held := len(q.busy)
	room := q.capacity() - held
	// A claim for one or two at a time would cost more than it brings: wait
	// until a quarter is free. Settling wakes us.
	if !q.open() || room <= 0 || held > 0 && room < q.capacity()/4 || q.bytes.Load() >= handBytes {
		q.full = true
		q.mu.Unlock()
		return q.r.poll()
	}
	grant := q.r.grant(handBytes - q.bytes.Load())
	if grant == 0 {
		if held > 0 {
			q.full = true
			q.mu.Unlock()
			return q.r.poll()
		}
		room = 1 // whatever the others hold, one goes on
	}
	room = min(room, max(int(grant/(2*overhead)), 1))
	q.gone = map[seawall.DeliveryID]struct{}{}
	now := q.r.Now()
	rescan := q.rescan || now.Sub(q.scanned).Abs() >= q.rest
	q.rescan = false
	q.mu.Unlock()
	defer q.claimed()

	claimed, next, err := q.r.Store.Claim(q.lane.ctx, q.lane.current(), store.Claim{
		Destination: q.key.destination, Now: now, Busy: q.isBusy, BusyCount: held, Rescan: rescan, Limit: room, Bytes: int(max(grant-int64(room)*overhead, 1)),
	})
	q.scan(rescan, now, err)
	q.take(claimed, grant, err != nil || len(claimed) == room || !next.IsZero() && !next.After(now))
	if err != nil {
		if !q.stopped() {
			q.r.complain("claim failed", "destination", q.key.destination, "error", err)
		}
		return time.Second
	}
	if next.IsZero() {
		return q.r.poll()
	}
	return min(max(next.Sub(now), time.Millisecond), q.r.poll())
}

// scan notes how a claim went: one that failed has seen nothing.
func (q *queue) scan(rescan bool, now time.Time, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err != nil:
		q.rescan = true
	case rescan:
		q.scanned = now
		q.rest = min(max(rescanEvery, rescanPart*q.r.Now().Sub(now)), rescanAtLeast)
	}
}

// capacity is how many deliveries the queue may hold in hand.
func (q *queue) capacity() int { return int(q.concurrency.Load()) * ahead }

// isBusy tells whether a delivery is in hand, or was at any time since the claim
// began: a claim reads a snapshot, in which what was settled meanwhile still
// waits.
func (q *queue) isBusy(id seawall.DeliveryID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[id] == reserved {
		q.busy[id] = missed
	}
	return q.had(id)
}

// had tells whether a delivery is in hand, or was since the claim under way began;
// the caller has the lock.
func (q *queue) had(id seawall.DeliveryID) bool {
	if _, ok := q.busy[id]; ok {
		return true
	}
	_, ok := q.gone[id]
	return ok
}

func (q *queue) mayHaveMore() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full
}

func (q *queue) claimed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = nil
}

// take puts claimed deliveries into hand, in place of the bytes granted for
// them, and sees that there are workers.
func (q *queue) take(claimed []store.Claimed, grant int64, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.full = full
	// Whose turn came with a settlement may have been read as pending by a claim
	// before it was taken into hand for that.
	claimed = slices.DeleteFunc(claimed, func(c store.Claimed) bool { return q.had(c.Delivery.ID) })
	es, now := make([]entry, len(claimed)), q.r.Now()
	for i, c := range claimed {
		q.busy[c.Delivery.ID] = inHand
		es[i] = entry{c, bulk(c.Event), now}
		q.bytes.Add(int64(es[i].size))
		grant -= int64(es[i].size)
	}
	q.r.held.Add(-grant)
	q.hold(es...)
}

// hold appends to what is in hand; the caller has the lock. It tells whether the
// queue still works: if not, they are pending still, and the next owner claims
// them.
func (q *queue) hold(es ...entry) bool {
	if q.stopped() {
		return false
	}
	q.makeRoom(len(q.hand) + len(es))
	q.hand = append(q.hand, es...)
	// A worker for each, as far as they may run at once: those that run already
	// may be busy for long, and one too many ends by itself.
	for range min(len(es), q.slots()) {
		q.working++
		q.spawn(q.run)
	}
	if q.short() {
		q.r.press()
	}
	return true
}

// makeRoom sees to it that n fit into hand; the caller has the lock. Deliveries are
// taken from its front, so that it wanders to the end of the shelf.
func (q *queue) makeRoom(n int) {
	shelf := q.shelf[:cap(q.shelf)]
	switch {
	case n <= cap(q.hand):
	case len(q.hand) == 0 && n <= len(shelf):
		q.hand = q.shelf
	case n <= len(shelf)*3/4: // back to the front
		from := len(shelf) - cap(q.hand)
		kept := copy(shelf, q.hand)
		clear(shelf[max(kept, from):])
		q.hand = shelf[:kept]
	default:
		q.hand = append(make([]entry, 0, 2*n), q.hand...)
		q.shelf = q.hand[:0]
	}
}

// short tells whether deliveries in hand wait for the slots of outcomes that are
// not recorded yet; the caller has the lock.
func (q *queue) short() bool { return len(q.hand) > 0 && q.waiting > 0 && q.slots() <= 0 }

// slots is how many more attempts may be in flight. One whose outcome is not
// recorded counts: a crash would have it made again, and no more of those than
// concurrency allows (RELIABILITY 1.4). The caller has the lock.
func (q *queue) slots() int { return int(q.concurrency.Load()) - q.working - q.waiting }
