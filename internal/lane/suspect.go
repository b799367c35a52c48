package lane

import (
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// What kills a process is found by what was in flight each time that one died. That
// is not written down in the usual course: it costs a commit. But after an unclean
// takeover a queue commits an intent for each of the attempts that its dead owner
// can have had in hand. If this process dies too, they are known, and are suspects:
// they come back a few seconds later, each begun again, and one at a time. So it is
// known of one of them whether it was that, and none is taken for it that was only
// beside it.

// intends tells whether the attempt is to be begun before it is made.
func (q *queue) intends(c *store.Claimed) bool {
	switch {
	case c.Delivery.Step == seawall.Create:
		return true
	case c.Delivery.Step != seawall.Send:
		return false // whatever asks or decides only
	case q.unsafe:
		return true
	case interrupted(c), order.Contested(&c.Delivery, c.Event.ReceivedAt, q.r.Now()):
		return true
	default:
		return q.window.Load() > 0 && q.window.Add(-1) >= 0
	}
}

// interrupted tells whether a delivery is a suspect.
func interrupted(c *store.Claimed) bool {
	return c.Delivery.Reason == seawall.ReasonInterrupted && c.Delivery.Step == seawall.Send
}

// apart brings to the front of the hand what may be tried now: no suspect while
// another one is in flight, and nothing of an entity of which something else is.
// The caller has the lock.
func (q *queue) apart() bool {
	if q.suspect.IsZero() && len(q.under) == 0 {
		return true
	}
	for i := range q.hand {
		if (q.suspect.IsZero() || !interrupted(&q.hand[i].Claimed)) && q.free(&q.hand[i].Delivery) {
			q.toFront(i)
			return true
		}
	}
	return false
}
