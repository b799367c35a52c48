package lane

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// ahead is how many deliveries a queue holds in hand for each attempt that
	// may be in flight: enough that sending never waits for a claim or a commit.
	ahead = 4
	// handBytes bounds the bodies that a queue holds in hand.
	handBytes = 8 << 20
)

// queue drains one destination.
type queue struct {
	r    *Runner
	lane *lane
	name string

	awake   chan struct{}
	halted  chan struct{}
	once    sync.Once
	work    chan store.Claimed
	workers sync.WaitGroup

	gate        atomic.Uint32
	concurrency atomic.Int32
	bytes       atomic.Int64 // of bodies in hand

	mu      sync.Mutex
	busy    map[seawall.DeliveryID]struct{} // claimed and not yet settled
	working int
	full    bool // the last claim took all it asked for: there may be more
}

func newQueue(r *Runner, l *lane, t Target) *queue {
	q := &queue{
		r: r, lane: l, name: t.Name,
		awake:  make(chan struct{}, 1),
		halted: make(chan struct{}),
		work:   make(chan store.Claimed, maxConcurrency*ahead),
		busy:   map[seawall.DeliveryID]struct{}{},
	}
	q.resize(t.Concurrency)
	return q
}

// maxConcurrency bounds what a configuration may ask for.
const maxConcurrency = 1024

func (q *queue) resize(n int) { q.concurrency.Store(int32(min(max(n, 1), maxConcurrency))) }

func (q *queue) setGate(g seawall.Gate) {
	if seawall.Gate(q.gate.Swap(uint32(g))) != g {
		q.signal()
	}
}

func (q *queue) open() bool { return seawall.Gate(q.gate.Load()) == seawall.Open }

func (q *queue) signal() {
	select {
	case q.awake <- struct{}{}:
	default:
	}
}

// halt ends the queue: nothing more is claimed or started.
func (q *queue) halt() { q.once.Do(func() { close(q.halted) }) }

func (q *queue) stopped() bool {
	select {
	case <-q.halted:
		return true
	case <-q.lane.ctx.Done():
		return true
	default:
		return false
	}
}

func (q *queue) start() {
	q.workers.Add(1)
	go func() {
		defer q.workers.Done()
		q.feed()
	}()
}

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
		timer.Reset(q.claim())
	}
}

// claim takes what is due into hand, as far as there is room, and returns how
// long to sleep unless woken.
func (q *queue) claim() time.Duration {
	want := int(q.concurrency.Load()) * ahead
	q.mu.Lock()
	held := len(q.busy)
	room := want - held
	// A claim for one or two at a time would cost more than it brings: wait
	// until a quarter is free. Settling wakes us.
	if !q.open() || room <= 0 || held > 0 && room < want/4 || q.bytes.Load() >= handBytes {
		q.full = true
		q.mu.Unlock()
		return pollEvery
	}
	q.mu.Unlock()

	now := q.r.Now()
	claimed, next, err := q.r.Store.Claim(q.lane.ctx, q.lane.current(), store.Claim{
		Destination: q.name, Now: now, Busy: q.isBusy, BusyCount: held,
		Limit: room, Bytes: int(handBytes - q.bytes.Load()),
	})
	if err != nil {
		if !q.stopped() {
			q.r.Log.Warn("claim failed", "destination", q.name, "error", err)
		}
		return time.Second
	}
	q.take(claimed, len(claimed) == room)
	if next.IsZero() {
		return pollEvery
	}
	return min(max(next.Sub(now), time.Millisecond), pollEvery)
}

func (q *queue) isBusy(id seawall.DeliveryID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.busy[id]
	return ok
}

// take puts claimed deliveries into hand and sees that there are workers.
func (q *queue) take(claimed []store.Claimed, full bool) {
	q.mu.Lock()
	q.full = full
	for _, c := range claimed {
		q.busy[c.Delivery.ID] = struct{}{}
		q.bytes.Add(int64(len(c.Event.Body)))
	}
	start := min(int(q.concurrency.Load())-q.working, len(claimed))
	start = max(start, 0)
	q.working += start
	q.workers.Add(start)
	q.mu.Unlock()
	for _, c := range claimed {
		q.work <- c // has room for all that a queue may hold in hand
	}
	for range start {
		go q.run()
	}
}

// run works until nothing is in hand.
func (q *queue) run() {
	defer q.workers.Done()
	for {
		select {
		case c := <-q.work:
			q.attempt(c)
		default:
			if q.rest() {
				return
			}
		}
	}
}

// rest ends a worker, unless work came in while it made up its mind.
func (q *queue) rest() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.work) > 0 && q.working <= int(q.concurrency.Load()) {
		return false
	}
	q.working--
	return true
}

// attempt tries one delivery and passes on what came of it.
func (q *queue) attempt(c store.Claimed) {
	size := int64(len(c.Event.Body))
	if q.stopped() || !q.open() {
		q.bytes.Add(-size)
		q.forget(c.Delivery.ID)
		return
	}
	s := q.r.Deliver(q.lane.ctx, &c)
	q.bytes.Add(-size)
	s.Lease, s.Delivery = q.lane.current(), c.Delivery.ID
	if s.Disable != "" {
		q.setGate(seawall.Disabled)
	}
	q.r.settles <- settling{q, s}
}

// forget lets go of a delivery that is settled, or was never tried.
func (q *queue) forget(ids ...seawall.DeliveryID) {
	q.mu.Lock()
	for _, id := range ids {
		delete(q.busy, id)
	}
	q.mu.Unlock()
}
