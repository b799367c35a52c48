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
	var places []place
	r.mu.Lock()
	for i := range batch {
		for j := range batch[i].Deliveries {
			d := &batch[i].Deliveries[j]
			places = append(places, place{q: r.queues[key{laneOf(d), d.Destination}], i: i, j: j})
		}
	}
	r.mu.Unlock()
	for k := range places {
		p := &places[k]
		ev, d := batch[p.i].Event, &batch[p.i].Deliveries[p.j]
		p.reserved = p.q != nil && d.State == seawall.Pending && p.q.reserve(d.ID, len(ev.Body))
	}
	return func(done []store.Accepted) {
		for _, p := range places {
			ev, d := batch[p.i].Event, &batch[p.i].Deliveries[p.j]
			switch {
			case !p.reserved:
				r.Announce(laneOf(d), d.Destination) // its queue may be a newer one by now, or another node's
			case done != nil && done[p.i].Verdict == seawall.New:
				if !p.q.handOver(store.Claimed{Delivery: *d, Event: ev}) {
					r.Announce(laneOf(d), d.Destination) // the queue in its place may have claimed before the commit
				}
			default:
				p.q.release(len(ev.Body))
				p.q.forget(d.ID)
				p.q.lookAgain() // it may have been committed all the same
			}
		}
	}
}

func laneOf(d *seawall.Delivery) store.Lane { return store.Lane{System: d.System, Shard: d.Shard} }

// place is where one delivery of a batch is to go.
type place struct {
	q        *queue // nil if its destination has none at the moment
	i, j     int
	reserved bool
}

// reserve marks a delivery as in hand, if nothing else waits before it.
func (q *queue) reserve(id seawall.DeliveryID, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	over := q.bytes.Load() >= handBytes || q.r.held.Load() >= q.r.Bytes && len(q.busy) > 0
	if q.full || !q.open() || len(q.busy) >= q.capacity() || over {
		q.full = true
		return false
	}
	q.busy[id] = struct{}{}
	q.bytes.Add(int64(size))
	q.r.held.Add(int64(size))
	return true
}

// handOver puts a reserved delivery into hand, unless the queue was stopped
// meanwhile.
func (q *queue) handOver(c store.Claimed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.hold(c)
}
