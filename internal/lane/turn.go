package lane

import (
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Of an entity one delivery has its turn at a time, says the store. But one that
// lost it, because a person canceled it or a newer one came, may still be on its way
// when the next one gets it: within a queue, and an entity has only one, that one
// waits until it has come to its end.

// free tells whether no other delivery of the same entity is under way; the caller
// has the lock.
func (q *queue) free(d *seawall.Delivery) bool {
	if !d.Lined() {
		return true
	}
	_, taken := q.under[d.Entity]
	return !taken
}

// underway notes that a delivery is; the caller has the lock.
func (q *queue) underway(d *seawall.Delivery) {
	if !d.Lined() {
		return
	}
	if q.under == nil {
		q.under = map[string]seawall.DeliveryID{}
	}
	q.under[d.Entity] = d.ID
}

// notUnderway is its reverse; the caller has the lock.
func (q *queue) notUnderway(w whose) {
	if q.under[w.entity] == w.id {
		delete(q.under, w.entity)
	}
}

// keepTurn has a head whose attempt lasts begun meanwhile: otherwise its place would
// be another's while it is on its way. over is to be called when the attempt is, before
// what came of it is passed on.
func (q *queue) keepTurn(c *store.Claimed, begun bool) (over func()) {
	if begun || c.Delivery.Order == seawall.Unordered {
		return func() {}
	}
	done := make(chan struct{})
	timer := time.AfterFunc(c.Delivery.Due.Add(order.BeginAfter).Sub(q.r.Now()), func() {
		defer close(done)
		q.begin(c.Delivery.ID)
	})
	return func() {
		if !timer.Stop() {
			<-done
		}
	}
}

// whose is a delivery and its entity.
type whose struct {
	id     seawall.DeliveryID
	entity string
}

func whoseIs(d *seawall.Delivery) whose { return whose{d.ID, d.Entity} }

// goOn takes into hand the delivery whose turn came with a settlement, or tells
// whose it is.
func (q *queue) goOn(next *store.Claimed) {
	if next == nil {
		return
	}
	at := key{laneOf(&next.Delivery), next.Delivery.Destination}
	if at == q.key && next.Event != nil && q.takeNext(next) {
		return
	}
	q.r.announce(at.Lane, at.destination, false)
}

// takeNext takes a delivery into hand, unless others wait before it in the store
// or it cannot be taken: then a claim brings it.
func (q *queue) takeNext(c *store.Claimed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g, busy := q.busy[c.Delivery.ID]; busy {
		if g == reserved {
			q.busy[c.Delivery.ID] = missed
		}
		return true // whoever has it sees that it is tried, or lets it go
	}
	if q.full || q.stopped() || !q.open() || !q.mayHold() {
		q.full = true
		return false
	}
	q.busy[c.Delivery.ID] = inHand
	size := bulk(c.Event)
	q.bytes.Add(int64(size))
	q.r.held.Add(int64(size))
	return q.hold(entry{*c, size, q.r.Now()})
}
