package lane

import (
	"github.com/seawall-dev/seawall/internal/order"
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
			places = append(places, place{i: i, j: j, qs: r.mayTake(&batch[i].Deliveries[j])})
		}
	}
	r.mu.Unlock()
	for k := range places {
		p := &places[k]
		d := &batch[p.i].Deliveries[p.j]
		if d.Lined() && d.Due.After(r.Now()) {
			continue // it will wait for its time
		}
		p.take(batch[p.i].Event, d, int(r.turn.Add(1)))
	}
	return func(done []store.Accepted) {
		for _, p := range places {
			ev, d := batch[p.i].Event, &batch[p.i].Deliveries[p.j]
			isNew := done != nil && done[p.i].Verdict == seawall.New
			switch {
			case isNew && d.State != seawall.Pending: // it waits for its turn, or its time, or a newer one came
				if p.reserved {
					p.q.release(p.size)
					if p.q.forget(whoseIs(d)) {
						p.q.lookAgain() // it got its turn meanwhile
					}
				}
				if d.State == seawall.Held {
					r.await(d)
				}
			case !p.reserved:
				r.announce(laneOf(d), d.Destination, false) // its queue may be a newer one by now, or another node's
			case isNew:
				if !p.q.handOver(entry{store.Claimed{Delivery: *d, Event: ev}, p.size, r.Now()}) {
					r.announce(laneOf(d), d.Destination, false) // the queue in its place may have claimed before the commit
				}
			default:
				p.q.release(p.size)
				p.q.forget(whoseIs(d))
				p.q.lookAgain() // it may have been committed all the same
			}
		}
	}
}

func laneOf(d *seawall.Delivery) store.Lane { return store.Lane{System: d.System, Shard: d.Shard} }

// place is where one delivery of a batch is to go.
type place struct {
	i, j     int
	qs       []*queue // those that may take it; none if its destination has none here
	q        *queue
	size     int
	reserved bool
}

// mayTake finds the queues that may take a delivery; the caller has the lock.
// Where nothing orders it after others, those are all that its destination has
// on this node: what another node would have to read back stays here.
func (r *Runner) mayTake(d *seawall.Delivery) []*queue {
	if r.Anywhere != nil && r.Anywhere(d) {
		if qs := r.ownQueues(d.System, d.Destination); len(qs) > 0 {
			return qs
		}
	}
	if q := r.queues[key{laneOf(d), d.Destination}]; q != nil {
		return []*queue{q}
	}
	return nil
}

// ownQueues are those of a destination that this node has, over all shards that
// the configuration wants; the caller has the lock.
func (r *Runner) ownQueues(system, destination string) []*queue {
	if r.local == nil {
		r.local = map[[2]string][]*queue{}
		for k, q := range r.queues {
			if !q.stray {
				at := [2]string{k.System, k.destination}
				r.local[at] = append(r.local[at], q)
			}
		}
	}
	return r.local[[2]string{system, destination}]
}

// take reserves room in one of the queues, in turn. If there is none anywhere the
// delivery waits in the store, for the one whose turn it was.
func (p *place) take(ev *seawall.Event, d *seawall.Delivery, turn int) {
	if len(p.qs) == 0 || d.State != seawall.Pending {
		return
	}
	p.size = bulk(ev)
	for i := range p.qs {
		p.q = p.qs[(turn+i)%len(p.qs)]
		if p.reserved = p.q.reserve(d.ID, p.size); p.reserved {
			break
		}
	}
	if !p.reserved {
		p.q = p.qs[turn%len(p.qs)]
		p.q.behind()
	}
	d.Shard = p.q.key.Shard
}

const (
	overhead = 1 << 10 // what a delivery in hand takes beside its event's body and headers
	detail   = 128     // what a header or a decision takes beside its text
)

// bulk is about what a delivery takes in hand.
func bulk(ev *seawall.Event) int {
	n := overhead + len(ev.Body) + detail*len(ev.Decisions)
	for name, values := range ev.Headers {
		n += len(name)
		for _, v := range values {
			n += detail + len(v)
		}
	}
	return n
}

// reserve marks a delivery as in hand, if nothing else waits before it.
func (q *queue) reserve(id seawall.DeliveryID, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full || q.stopped() || !q.open() || !q.mayHold() {
		return false
	}
	q.busy[id] = reserved
	q.bytes.Add(int64(size))
	q.r.held.Add(int64(size))
	return true
}

// mayHold tells whether there is room for one more fresh delivery; the caller has
// the lock. What is here need not be read back, so a queue may hold more than it
// would claim: an eighth of what is free, where half of the memory counts as
// free. However many queues are stuck, the other half stays for what each one
// works with.
func (q *queue) mayHold() bool {
	bytes, held := q.bytes.Load(), q.r.held.Load()
	if len(q.busy) >= q.capacity() && bytes >= (q.r.Bytes/2-held)/8 {
		return false
	}
	return bytes < handBytes && (held < q.r.Bytes || len(q.busy) == 0)
}

// behind notes that the store holds something for the queue.
func (q *queue) behind() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.full = true
}

// handOver puts a reserved delivery into hand, unless the queue was stopped
// meanwhile.
func (q *queue) handOver(e entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy[e.Delivery.ID] = inHand
	return q.hold(e)
}

// await has the queue of a held delivery know when its time comes: here, or on the
// node that has it.
func (r *Runner) await(d *seawall.Delivery) {
	if !d.Due.Before(order.Never) || d.Due.IsZero() {
		return
	}
	r.mu.Lock()
	q := r.queues[key{laneOf(d), d.Destination}]
	r.mu.Unlock()
	if q != nil && !q.stopped() {
		q.await(d.Due)
		return
	}
	r.Store.Tell(store.Signal{Lane: laneOf(d), Destination: d.Destination})
}
