package lane

import (
	"context"
	"errors"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// settling is a settlement on its way to the store.
type settling struct {
	q *queue
	s store.Settlement
	whose
	holds bool // what comes late after it is held, and is to be told
}

// settleAll writes outcomes, as many as wait in one commit, until the channel is
// closed and empty.
func (r *Runner) settleAll(work context.Context) {
	batch := make([]settling, 0, settleBatch)
	ss := make([]store.Settlement, 0, settleBatch)
	for first := range r.settles {
		r.gather(work)
		batch = append(batch[:0], first)
		for len(batch) < settleBatch && len(r.settles) > 0 {
			s, ok := <-r.settles
			if !ok {
				break
			}
			batch = append(batch, s)
		}
		ss = ss[:0]
		for _, b := range batch {
			ss = append(ss, b.s)
		}
		done := r.settle(work, ss)
		r.finish(batch, ss, done)
		if done != nil && r.Settled != nil {
			r.Settled(ss, done)
		}
	}
}

// gather lets outcomes gather as long as nobody waits for them: a commit of few
// costs nearly as much as one of many, and takes the machine and the disk from
// what senders wait for. Their slots are held meanwhile, so a crash repeats no
// more for it.
func (r *Runner) gather(work context.Context) {
	if r.Gather == 0 || len(r.settles) >= settleBatch {
		return
	}
	timer := time.NewTimer(r.Gather)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.pressed:
	case <-work.Done():
	}
}

// press has outcomes written now: somebody waits for a slot, there are enough
// for a batch, or no more will come.
func (r *Runner) press() {
	select {
	case r.pressed <- struct{}{}:
	default:
	}
}

// unrecordable is a settlement that the store refuses for what it is.
const unrecordable = store.Settled(255)

// settle writes a batch. What was sent must be recorded: while the store cannot
// write it goes on trying for as long as the process may live, and one outcome
// that the store refuses harms only itself. nil means that all was given up.
func (r *Runner) settle(work context.Context, ss []store.Settlement) []store.Settled {
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(work), 10*time.Second)
		done, err := r.Store.Settle(ctx, ss)
		cancel()
		switch {
		case err == nil && try > 1:
			r.Log.Info("outcomes recorded again", "tries", try)
			return done
		case err == nil:
			return done
		case !passing(err) && len(ss) > 1:
			done = make([]store.Settled, 0, len(ss))
			for i := range ss {
				one := r.settle(work, ss[i:i+1])
				if one == nil {
					return nil
				}
				done = append(done, one[0])
			}
			return done
		case !passing(err):
			r.Log.Error("an outcome cannot be recorded; its delivery is left alone until the next start",
				"delivery", ss[0].Delivery.String(), "error", err)
			return []store.Settled{unrecordable}
		case try == 1:
			r.Log.Error("outcomes not recorded; trying on", "count", len(ss), "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-work.Done():
			timer.Stop()
			if try > 3 {
				r.Log.Error("outcomes lost: these deliveries will be tried again", "count", len(ss), "error", err)
				return nil
			}
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// passing tells whether the same write may succeed later.
func passing(err error) bool {
	return errors.Is(err, seawall.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// finish lets the queues go on. ss are the settlements with what the store filled in.
func (r *Runner) finish(batch []settling, ss []store.Settlement, done []store.Settled) {
	woken := map[*queue]bool{}
	for i, b := range batch {
		if done == nil || done[i] != unrecordable {
			b.q.forget(b.whose)
		}
		if done == nil {
			b.q.lookAgain()
		}
		if done != nil && done[i] <= store.Ended {
			b.q.goOn(ss[i].Next)
			b.q.await(b.s.Pass)
			if b.holds && b.q.ripenSoon() {
				woken[b.q] = true
			}
		}
		b.q.settled(b.whose)
		// Wake the feeder if it stopped for want of room, if the delivery waits for
		// its next try, or if others may have waited for this one: of those that go
		// on, one at most was handed over.
		if b.s.State == seawall.Pending || len(b.s.Done) > 0 || b.q.mayHaveMore() {
			woken[b.q] = true
		}
		if done != nil && done[i] == store.Fenced {
			r.Log.Warn("lane lost: outcome not recorded", "delivery", b.s.Delivery.String(), "destination", b.q.key.destination)
		}
	}
	for q := range woken {
		q.signal()
	}
	for i := range done {
		if done[i] == store.Done {
			r.follow(&batch[i].s)
		}
	}
}

// follow tells the queues that a settlement put something into.
func (r *Runner) follow(s *store.Settlement) {
	if s.Move != nil {
		r.Announce(s.Move.Lane, s.Move.Destination)
	}
	for i := range s.Outcomes {
		for j := range s.Outcomes[i].Deliveries {
			d := &s.Outcomes[i].Deliveries[j]
			r.Announce(laneOf(d), d.Destination)
		}
	}
}
