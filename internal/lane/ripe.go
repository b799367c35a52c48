package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// What is held for a time goes on when the store is asked to have it: it is not
// claimed, and nobody else looks at the clock for it. A queue knows when to ask
// from what is accepted and settled on its node and from what the store told it
// last; of what others put there it hears by their signals, and if one is lost, by
// asking now and then. A queue in which nothing is ever held asks once, when it
// begins.

const (
	ripenBatch = 256
	// ripenGap is how far apart two asks are at least: times that are close
	// together share one.
	ripenGap = 20 * time.Millisecond
	// ripenHeard is the same for what others say, which is not always about times.
	ripenHeard = 200 * time.Millisecond
)

// ripe is what a queue knows of times; the queue's lock guards it.
type ripe struct {
	timed bool      // something may be held for a time
	next  time.Time // when the store is to be asked; zero: at once
	asked time.Time // when it was last
}

// await has the queue ask the store when a time comes, if that is sooner than it
// would have.
func (q *queue) await(due time.Time) {
	if due.IsZero() || !due.Before(order.Never) {
		return
	}
	q.mu.Lock()
	sooner := !q.ripe.timed || due.Before(q.ripe.next)
	if sooner {
		q.ripe.timed, q.ripe.next = true, due
	}
	q.mu.Unlock()
	if sooner {
		q.signal() // it sleeps for longer
	}
}

// keepTime says that something may be held for a time from now on.
func (q *queue) keepTime() {
	q.mu.Lock()
	timed := q.ripe.timed
	q.mu.Unlock()
	if !timed {
		q.await(q.r.Now())
	}
}

// ripenSoon has the queue ask before long: others may have put something there
// that is held for a time. It tells whether that is sooner than it would have.
func (q *queue) ripenSoon() (sooner bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	soon := q.ripe.asked.Add(ripenHeard)
	if sooner = q.ripe.timed && soon.Before(q.ripe.next); sooner {
		q.ripe.next = soon
	}
	return sooner
}

// ripen has what is held go on whose time has come, and returns how long to sleep
// unless woken.
func (q *queue) ripen() time.Duration {
	for {
		now := q.r.Now()
		if wait, some := q.unripe(now); !some || wait > 0 {
			return wait
		}
		r, err := q.r.Store.Ripen(q.lane.ctx, q.lane.current(), q.key.destination, now, ripenBatch)
		if err == nil {
			err = q.over(r.Over)
		}
		if err != nil {
			q.await(now.Add(time.Second))
			if !q.stopped() {
				q.r.complain("what is held for a time does not go on", "destination", q.key.destination, "error", err)
			}
			return time.Second
		}
		if !r.Next.IsZero() {
			q.await(later(r.Next, now.Add(ripenGap)))
		}
		if len(r.Over) == ripenBatch {
			q.await(now) // there may be more
		}
	}
}

// unripe tells how long it is until the store is to be asked, and whether it is at
// all. If the time has come, the next one is the next poll's, unless something
// comes up meanwhile.
func (q *queue) unripe(now time.Time) (wait time.Duration, some bool) {
	poll := q.r.poll()
	q.mu.Lock()
	defer q.mu.Unlock()
	r := &q.ripe
	if first := r.asked.IsZero(); !first && !r.timed {
		return poll, false
	} else if !first && now.Before(r.next) {
		return min(r.next.Sub(now), poll), true
	}
	r.asked, r.next = now, now.Add(poll)
	return 0, true
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// over settles what is held, and whose time came without its turn. They are in
// nobody's hands, and until this is written the store returns them again.
func (q *queue) over(ds []seawall.Delivery) error {
	if len(ds) == 0 || q.r.Over == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(q.lane.ctx, storeTime)
	defer cancel()
	ss := make([]store.Settlement, 0, len(ds))
	var failed error
	for i := range ds {
		s, err := q.r.Over(ctx, &ds[i])
		if err != nil {
			failed = fmt.Errorf("%s: %w", ds[i].ID, err)
			continue
		}
		s.Lease, s.Delivery = q.lane.current(), ds[i].ID
		ss = append(ss, s)
	}
	if len(ss) == 0 {
		return failed
	}
	done := q.r.settle(q.lane.ctx, ss)
	if done == nil {
		return errors.New("what ends for lack of time is not recorded")
	}
	for i := range done {
		if done[i] == store.Done {
			q.goOn(ss[i].Next)
			q.r.follow(&ss[i])
		}
	}
	if q.r.Settled != nil {
		q.r.Settled(ss, done)
	}
	return failed
}
