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
	bytes       atomic.Int64 // of events in hand

	mu      sync.Mutex
	waits   context.Context // for the system: ends when nothing more is started, or nothing for now
	endWait context.CancelFunc
	busy    map[seawall.DeliveryID]grip     // claimed or reserved, and not yet settled
	gone    map[seawall.DeliveryID]struct{} // let go while a claim was under way; nil between claims
	hand    []entry                         // of those, the ones not yet tried, first to last
	shelf   []entry                         // the array that hand began in, to begin there again
	suspect seawall.DeliveryID              // the one in flight that may be what killed a process; zero: none
	working int                             // workers running
	asking  int                             // of those, the ones that wait for the system
	turns   map[string]struct{}             // entities that had their turn, while there is waiting
	under   map[string]seawall.DeliveryID   // entities of which a delivery is under way, and which
	ripe    ripe
	waiting int           // attempts made whose outcome is not recorded yet
	emptied bool          // it has ended, and what it held is given back
	full    bool          // the store may hold more that is due
	rescan  bool          // the next claim looks from the oldest on
	scanned time.Time     // when one did so last
	rest    time.Duration // until one does so again
}

// entry is a delivery in hand.
type entry struct {
	store.Claimed
	size  int       // as its event's bulk was counted
	since time.Time // it is in hand
}

// grip is how a queue has a delivery in hand.
type grip uint8

const (
	inHand   grip = iota
	reserved      // it is being accepted
	missed        // likewise, and a claim or its turn passed it over for that
)

func newQueue(r *Runner, l *lane, t Target, before *queue) *queue {
	q := &queue{
		r: r, lane: l, key: key{t.Lane, t.Name}, before: before, unsafe: t.Unsafe, stray: t.Stray,
		awake:  make(chan struct{}, 1),
		halted: make(chan struct{}),
		busy:   map[seawall.DeliveryID]grip{},
		full:   true,
		rescan: true,
		ripe:   ripe{timed: t.Timed},
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

// empty gives back what the queue, which has ended, still has in hand: it is
// pending, and the next owner's.
func (q *queue) empty() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.emptied = true
	q.hand = nil
	q.r.held.Add(-q.bytes.Swap(0))
}

func (q *queue) stopped() bool {
	select { // of one case: it is asked often, and this takes no lock
	case <-q.halted:
		return true
	default:
		return q.lane.ctx.Err() != nil
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
