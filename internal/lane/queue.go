package lane

import (
	"context"
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
	// handBytes bounds what a queue holds in hand.
	handBytes = 8 << 20
	// rescanEvery is how often a claim looks from the oldest delivery on,
	// whatever it may know: a node that stood still, or whose clock is behind,
	// commits what others take for long past. Where that takes long it is done
	// more rarely, so that it takes no more than a part of the time, but at least
	// each rescanAtLeast.
	rescanEvery   = 5 * time.Second
	rescanAtLeast = 30 * time.Second
	rescanPart    = 20
)

// queue drains one destination.
type queue struct {
	r    *Runner
	lane *lane
	key  key

	awake   chan struct{}
	halted  chan struct{}
	once    sync.Once
	workers sync.WaitGroup
	settles sync.WaitGroup // attempts made whose outcome is not recorded yet
	before  *queue         // the one this replaces: its attempts end before ours begin

	unsafe  bool // what it sends is not safe to repeat
	stray   bool // see Target; the runner's lock guards it
	intents intents
	window  atomic.Int32 // so many attempts more are begun though they are safe to repeat

	gate        atomic.Uint32
	concurrency atomic.Int32
	bytes       atomic.Int64 // of bodies in hand

	mu      sync.Mutex
	waits   context.Context // for the system: ends when nothing more is started, or nothing for now
	endWait context.CancelFunc
	busy    map[seawall.DeliveryID]struct{} // claimed or reserved, and not yet settled
	gone    map[seawall.DeliveryID]struct{} // let go while a claim was under way; nil between claims
	hand    []store.Claimed                 // of those, the ones not yet tried, first to last
	shelf   []store.Claimed                 // the array that hand began in, to begin there again
	suspect seawall.DeliveryID              // the one in flight that may be what killed a process; zero: none
	working int                             // workers running
	asking  int                             // of those, the ones that wait for the system
	turns   map[string]struct{}             // entities that had their turn, while there is waiting
	waiting int                             // attempts made whose outcome is not recorded yet
	full    bool                            // the store may hold more that is due
	rescan  bool                            // the next claim looks from the oldest on
	scanned time.Time                       // when one did so last
	rest    time.Duration                   // until one does so again
}

func newQueue(r *Runner, l *lane, t Target, before *queue) *queue {
	q := &queue{
		r: r, lane: l, key: key{t.Lane, t.Name}, before: before, unsafe: t.Unsafe, stray: t.Stray,
		awake:  make(chan struct{}, 1),
		halted: make(chan struct{}),
		busy:   map[seawall.DeliveryID]struct{}{},
		full:   true,
		rescan: true,
	}
	q.waits, q.endWait = context.WithCancel(l.ctx)
	q.resize(t.Concurrency)
	if l.unclean {
		q.window.Store(int32(q.capacity()))
	}
	return q
}

// maxConcurrency bounds what a configuration may ask for.
const maxConcurrency = 1024

func (q *queue) resize(n int) { q.concurrency.Store(int32(min(max(n, 1), maxConcurrency))) }

func (q *queue) setGate(g seawall.Gate) {
	if seawall.Gate(q.gate.Swap(uint32(g))) == g {
		return
	}
	// Whoever waits for the system lets go of what it would have tried.
	q.mu.Lock()
	q.endWait()
	if g == seawall.Open && !q.stopped() {
		q.waits, q.endWait = context.WithCancel(q.lane.ctx)
	}
	q.mu.Unlock()
	q.lookAgain()
}

// lookAgain has the next claim look from the oldest delivery on, soon: one that
// was passed over, or put back, may be due.
func (q *queue) lookAgain() {
	q.mu.Lock()
	q.rescan = true
	q.mu.Unlock()
	q.signal()
}

func (q *queue) open() bool { return seawall.Gate(q.gate.Load()) == seawall.Open }

func (q *queue) signal() {
	select {
	case q.awake <- struct{}{}:
	default:
	}
}

// halt ends the queue: nothing more is claimed or started.
func (q *queue) halt() {
	q.mu.Lock() // whoever starts a worker has it too: none starts after this
	defer q.mu.Unlock()
	q.once.Do(func() { close(q.halted); q.endWait() })
}

// wait returns when the queue, which is halted, has nothing in flight and
// everything recorded.
func (q *queue) wait() {
	q.workers.Wait()
	q.settles.Wait()
}

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
	q.spawn(func() {
		if q.before != nil {
			q.before.wait()
			q.before = nil
		}
		q.feed()
	})
}

// spawn runs f as one of the queue's goroutines, which a stop waits for.
func (q *queue) spawn(f func()) {
	q.workers.Add(1)
	q.r.workers.Add(1)
	q.r.crew.do(func() {
		defer q.r.workers.Done()
		defer q.workers.Done()
		f()
	})
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
	for _, c := range claimed {
		q.busy[c.Delivery.ID] = struct{}{}
		size := int64(bulk(c.Event))
		q.bytes.Add(size)
		grant -= size
	}
	q.r.held.Add(-grant)
	q.hold(claimed...)
}

// hold appends to what is in hand; the caller has the lock. It tells whether the
// queue still works: if not, they are pending still, and the next owner claims
// them.
func (q *queue) hold(cs ...store.Claimed) bool {
	if q.stopped() {
		return false
	}
	if len(q.hand) == 0 {
		q.hand = q.shelf
	}
	room := cap(q.hand)
	if q.hand = append(q.hand, cs...); cap(q.hand) != room {
		q.shelf = q.hand[:0]
	}
	// A worker for each, as far as they may run at once: those that run already
	// may be busy for long, and one too many ends by itself.
	for range min(len(cs), q.slots()) {
		q.working++
		q.spawn(q.run)
	}
	if q.short() {
		q.r.press()
	}
	return true
}

// short tells whether deliveries in hand wait for the slots of outcomes that are
// not recorded yet; the caller has the lock.
func (q *queue) short() bool { return len(q.hand) > 0 && q.waiting > 0 && q.slots() <= 0 }

// slots is how many more attempts may be in flight. One whose outcome is not
// recorded counts: a crash would have it made again, and no more of those than
// concurrency allows (RELIABILITY 1.4). The caller has the lock.
func (q *queue) slots() int { return int(q.concurrency.Load()) - q.working - q.waiting }

// run works until nothing is in hand.
func (q *queue) run() {
	for {
		waits, some := q.ask()
		if !some {
			return
		}
		pass, waited, ok := q.enter(waits)
		c, some := q.next(waited)
		switch {
		case !some:
			pass.Leave()
			return
		case !ok || waited && !q.stillWaits(&c):
			pass.Leave()
			q.letGo(&c)
		default:
			q.attempt(c, pass)
		}
	}
}

// ask tells whether something is in hand for one more worker to ask the system
// for; one who finds nothing, or is one too many, ends.
func (q *queue) ask() (waits context.Context, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.hand) <= q.asking || q.slots() < 0 {
		q.working--
		return nil, false
	}
	q.asking++
	return q.waits, true
}

// longWait is from when on what is in hand may have been ended meanwhile.
const longWait = time.Second

// enter waits until the system may be asked once more. waited tells that it took
// long.
func (q *queue) enter(waits context.Context) (p Pass, waited, ok bool) {
	if q.r.Enter == nil {
		return freely{}, false, true
	}
	start := q.r.Now()
	p, err := q.r.Enter(waits, q.key.Lane, q.key.destination)
	if err != nil {
		return freely{}, false, false
	}
	return p, q.r.Now().Sub(start) > longWait, true
}

// stillWaits tells whether a delivery that was in hand for long is still to be
// tried: a person may have ended it meanwhile. Where the store does not say, it
// is left for another time.
func (q *queue) stillWaits(c *store.Claimed) bool {
	ctx, cancel := context.WithTimeout(q.lane.ctx, storeTime)
	defer cancel()
	d, err := q.r.Store.Delivery(ctx, c.Delivery.ID)
	return err == nil && d.State == seawall.Pending && d.Destination == q.key.destination
}

// next takes a delivery out of hand. Where there is waiting, entities take turns:
// whose turn has not been longest goes first.
func (q *queue) next(waited bool) (c store.Claimed, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking--
	if len(q.hand) == 0 || q.slots() < 0 {
		clear(q.turns)
		q.working--
		return c, false
	}
	if waited || len(q.turns) > 0 {
		q.turn()
	}
	if !q.apart() {
		q.working--
		return c, false
	}
	c, q.hand[0] = q.hand[0], store.Claimed{}
	q.hand = q.hand[1:]
	if interrupted(&c) {
		q.suspect = c.Delivery.ID
	}
	return c, true
}

// turn moves to the front of the hand the first delivery of an entity that had no
// turn since all had one. The caller has the lock.
func (q *queue) turn() {
	if len(q.turns) > q.capacity() {
		clear(q.turns)
	}
	for i := range q.hand {
		d := &q.hand[i].Delivery
		if d.Entity == "" {
			q.toFront(i)
			return
		}
		if _, had := q.turns[d.Entity]; had {
			continue
		}
		if q.turns == nil {
			q.turns = map[string]struct{}{}
		}
		q.turns[d.Entity] = struct{}{}
		q.toFront(i)
		return
	}
	clear(q.turns)
	q.turns[q.hand[0].Delivery.Entity] = struct{}{}
}

func (q *queue) toFront(i int) {
	if i == 0 {
		return
	}
	c := q.hand[i]
	copy(q.hand[1:i+1], q.hand[:i])
	q.hand[0] = c
}

// letGo puts back what was in hand and is not tried.
func (q *queue) letGo(c *store.Claimed) {
	q.release(bulk(c.Event))
	q.forget(c.Delivery.ID)
	// A claim that found it busy here passed it over: this queue's after the gate
	// opened again, or that of the queue in our place.
	q.r.passedOver(q.key)
}

// attempt tries one delivery and passes on what came of it.
func (q *queue) attempt(c store.Claimed, pass Pass) {
	size := bulk(c.Event)
	if q.stopped() || !q.open() || !q.lane.stands() {
		pass.Leave()
		q.letGo(&c)
		return
	}
	if q.intends(&c) && !q.mayBegin(&c) {
		pass.Leave()
		q.release(size)
		return
	}
	s := q.r.Deliver(q.lane.ctx, &c, pass)
	q.release(size)
	q.pass(&c, s)
}

// pass passes on what came of a delivery that was in hand.
func (q *queue) pass(c *store.Claimed, s store.Settlement) {
	s.Lease, s.Delivery, s.Seq = q.lane.current(), c.Delivery.ID, c.Event.Seq
	if s.Disable != "" {
		q.setGate(seawall.Disabled)
	}
	q.mu.Lock()
	q.waiting++
	// Somebody waits for a slot, for a call's answer, or would have to look at
	// what a crash leaves begun.
	wanted := q.short() || c.Event.Source == seawall.SourceCalls || q.unsafe
	q.mu.Unlock()
	q.settles.Add(1)
	q.r.settles <- settling{q, s}
	if wanted || len(q.r.settles) >= settleBatch {
		q.r.press()
	}
}

// release gives back the room that a body took in hand.
func (q *queue) release(size int) {
	q.bytes.Add(-int64(size))
	q.r.held.Add(-int64(size))
}

// forget lets go of a delivery that is settled, or was never tried.
func (q *queue) forget(id seawall.DeliveryID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, id)
	if q.suspect == id {
		q.suspect = seawall.DeliveryID{}
	}
	if q.gone != nil {
		q.gone[id] = struct{}{}
	}
}

// settled frees the slot of an attempt whose outcome is recorded, or given up.
func (q *queue) settled() {
	q.mu.Lock()
	q.waiting--
	if len(q.hand) > q.asking && q.slots() > 0 && !q.stopped() {
		q.working++
		q.spawn(q.run)
	}
	q.mu.Unlock()
	q.settles.Done()
}
