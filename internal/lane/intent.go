package lane

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// intents commit, before its first byte, that something not safe to repeat is
// being sent (G6). One commit is for all the workers that wait for it: whoever
// comes first makes it, and the next one leads those that came meanwhile.
//
// A worker asks when it is about to send, not earlier: what a crash leaves
// begun, a person has to look at.
type intents struct {
	mu      sync.Mutex
	leading bool
	waiting []*intent
}

type intent struct {
	id   seawall.DeliveryID
	told chan bool // true: lead; false: it is decided
	begun
}

// begun is what became of an intent.
type begun uint8

const (
	may    begun = iota // it is committed: send
	mayNot              // it is not to be sent by us: ended meanwhile, or the lease is gone
	unsure              // whether it is committed is not known
)

// mayBegin commits the intent to try a delivery. If it tells no, that is done
// with: nothing was sent, and what may have been begun is put back.
func (q *queue) mayBegin(c *store.Claimed) bool {
	back := store.Settlement{State: seawall.Pending, Reason: c.Delivery.Reason, Step: c.Delivery.Step, At: q.r.Now()}
	switch b := q.begin(c.Delivery.ID); {
	case b == mayNot:
		q.forget(whoseIs(&c.Delivery))
		if c.Delivery.Lined() {
			q.lookAgain() // it may have got its turn back, and was passed over here
		}
		return false
	case b == unsure:
		back.Due = back.At.Add(time.Second) // the store may have trouble
	case q.stopped() || !q.open() || !q.lane.stands():
		back.Due = back.At
	default:
		return true
	}
	q.pass(c, back)
	return false
}

// begin commits the intent to try a delivery.
func (q *queue) begin(id seawall.DeliveryID) begun {
	in := &q.intents
	me := &intent{id: id, told: make(chan bool, 1)}
	in.mu.Lock()
	in.waiting = append(in.waiting, me)
	if in.leading {
		in.mu.Unlock()
		if lead := <-me.told; !lead {
			return me.begun
		}
		in.mu.Lock()
	}
	in.leading = true
	batch := in.waiting
	in.waiting = nil
	in.mu.Unlock()

	q.commit(batch)

	in.mu.Lock()
	if len(in.waiting) > 0 {
		in.waiting[0].told <- true
	} else {
		in.leading = false
	}
	in.mu.Unlock()
	for _, i := range batch {
		if i != me {
			i.told <- false
		}
	}
	return me.begun
}

func (q *queue) commit(batch []*intent) {
	ids := make([]seawall.DeliveryID, len(batch))
	for i, b := range batch {
		ids[i] = b.id
	}
	ctx, cancel := context.WithTimeout(q.lane.ctx, storeTime)
	defer cancel()
	done, err := q.r.Store.Begin(ctx, q.lane.current(), ids)
	if err != nil && !q.stopped() {
		q.r.complain("intents not committed", "destination", q.key.destination, "error", err)
	}
	for _, b := range batch {
		switch {
		case err != nil:
			b.begun = unsure
		case !slices.Contains(done, b.id):
			b.begun = mayNot
		}
	}
}
