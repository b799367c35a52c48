package lane

import (
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Reserve spares fresh deliveries the way through the store and back: where a
// queue has nothing waiting and room in hand, it takes the deliveries of a batch
// that is about to be accepted straight into hand. They are marked as in flight
// before the commit, so that no claim can return them too, and are tried only
// after it.
//
// The caller calls accepted once the batch is durable, with what became of it,
// or with nil if it was not accepted or nobody knows.
func (r *Runner) Reserve(batch []store.Acceptance) (accepted func(done []store.Accepted)) {
	type place struct {
		q        *queue
		i, j     int
		reserved bool
	}
	var places []place
	r.mu.Lock()
	for i := range batch {
		for j := range batch[i].Deliveries {
			if q := r.queues[batch[i].Deliveries[j].Destination]; q != nil {
				places = append(places, place{q: q, i: i, j: j})
			}
		}
	}
	r.mu.Unlock()
	for k := range places {
		p := &places[k]
		b := &batch[p.i]
		p.reserved = b.Deliveries[p.j].State == seawall.Pending && p.q.reserve(b.Deliveries[p.j].ID, len(b.Event.Body))
	}
	return func(done []store.Accepted) {
		for _, p := range places {
			b := &batch[p.i]
			fresh := done != nil && done[p.i].Verdict == seawall.New
			switch {
			case p.reserved && fresh:
				p.q.handOver(store.Claimed{Delivery: b.Deliveries[p.j], Event: b.Event})
			case p.reserved:
				p.q.bytes.Add(-int64(len(b.Event.Body)))
				p.q.forget(b.Deliveries[p.j].ID)
				p.q.signal()
			default:
				p.q.signal()
			}
		}
	}
}

// reserve marks a delivery as in hand, if nothing else waits before it.
func (q *queue) reserve(id seawall.DeliveryID, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full || !q.open() || len(q.busy) >= q.capacity() || q.bytes.Load() >= handBytes {
		q.full = true
		return false
	}
	q.busy[id] = struct{}{}
	q.bytes.Add(int64(size))
	return true
}

// handOver puts a reserved delivery into hand.
func (q *queue) handOver(c store.Claimed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hold(c)
}
