// Package lane drains the queues. Nodes share the lanes (shards of systems) out
// among them; each one's runner leases its own, runs one queue for each
// destination in them, and so keeps a slow or dead destination to itself: each
// queue has its own claims, workers and budget.
//
// What is in flight lives in the owner's memory only; the store learns of
// outcomes. If the process dies, the next owner claims the same deliveries.
package lane

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Store is what a runner needs of the store.
type Store interface {
	Beat(ctx context.Context, node store.Node, ttl time.Duration) ([]store.Node, error)
	Leave(ctx context.Context, node string) error
	Tell(s store.Signal)
	Acquire(ctx context.Context, node string, lanes []store.Lane, ttl time.Duration) ([]store.Lease, error)
	Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error)
	Release(ctx context.Context, leases []store.Lease) error
	Claim(ctx context.Context, l store.Lease, c store.Claim) ([]store.Claimed, time.Time, error)
	Begin(ctx context.Context, l store.Lease, ids []seawall.DeliveryID) ([]seawall.DeliveryID, error)
	Settle(ctx context.Context, ss []store.Settlement) ([]store.Settled, error)
	Ripen(ctx context.Context, l store.Lease, destination string, now time.Time, limit int) (store.Ripened, error)
	Gates(ctx context.Context) ([]store.GateState, error)
	Delivery(ctx context.Context, id seawall.DeliveryID) (*seawall.Delivery, error)
}

// Wanted is what the running configuration wants drained.
type Wanted struct {
	Revision int64 // of that configuration
	Targets  []Target
}

// Target is a destination's queue in a lane.
type Target struct {
	Name        string // as the deliveries name it
	Lane        store.Lane
	Concurrency int  // attempts in flight at a time
	Unsafe      bool // not safe to repeat: an intent is committed before each attempt
	Timed       bool // something in it may be held for a time
	// Stray says that the lane is wanted only for what still waits in it, which
	// other nodes may come to know of a little sooner or later.
	Stray bool
}

// Duty is something to do once over all nodes: whoever holds its lane does it.
type Duty struct {
	Name string
	// Do works until ctx ends, which it does before another node may begin.
	Do func(ctx context.Context)
}

// Pass is the leave to ask a system once. Whoever has it gives it back.
type Pass interface{ Leave() }

// freely is the pass where nothing is limited.
type freely struct{}

func (freely) Leave() {}

// Options are what a Runner works with. All but Enter, Anywhere, Over, Gather, Duties,
// Settled and Failed are needed.
type Options struct {
	Store Store
	Node  string
	// Wanted is asked before lanes are shared out, at least every few seconds.
	Wanted func(ctx context.Context) Wanted
	// Deliver makes one attempt and says what comes next. It is called by many
	// goroutines, returns soon after ctx ends, and does not panic. Lease and
	// Delivery of the settlement are filled in by the runner.
	// It takes over the pass.
	Deliver func(ctx context.Context, c *store.Claimed, p Pass) store.Settlement
	// Enter waits until the lane's system may be asked once more, for a queue in
	// it, before a delivery is taken out of hand: whatever limits a system, what
	// waits for it is in nobody's hands. It gives up when ctx ends. nil: always.
	Enter func(ctx context.Context, l store.Lane, destination string) (Pass, error)
	// Anywhere tells whether a delivery that is about to be accepted may wait in
	// any shard of its system, because nothing orders it after another. nil: none
	// may.
	Anywhere func(d *seawall.Delivery) bool
	// Over says what becomes of a delivery that is held, and whose time came without
	// its turn: see [store.Ripened]. As with Deliver, the runner fills in whose it is.
	// nil: nothing.
	Over   func(ctx context.Context, d *seawall.Delivery) (store.Settlement, error)
	Duties []Duty
	// Settled is told what was written, soon after; it does not block. nil: nobody.
	Settled func(ss []store.Settlement, done []store.Settled)
	Log     *slog.Logger
	Now     func() time.Time
	Poll    time.Duration // how often a queue looks that nobody wakes
	Gather  time.Duration // how long an outcome that nobody waits for waits for others, to share a commit
	Drain   time.Duration // how long a stop waits for attempts in flight
	Bytes   int64         // of events that all queues together hold in hand, beyond one delivery each
	// Failed is closed once the store will never write again: nothing is then
	// worth waiting for. It may be nil.
	Failed <-chan struct{}
}

const (
	leaseTTL   = 15 * time.Second
	leaseRenew = 3 * time.Second
	leaseRetry = time.Second // for a lane that is ours and still another's

	storeTime    = 5 * time.Second // for what the store is asked at a time
	recordWithin = 5 * time.Second // after a stop, the last outcomes

	settleBatch   = 256
	settleBacklog = 1024
)

// Runner drains the queues of the lanes it holds.
type Runner struct {
	Options
	settles chan settling
	pressed chan struct{} // outcomes are waited for
	held    atomic.Int64  // bytes of events in hand, or granted to claims, over all queues
	gating  sync.Mutex    // held from reading the gates to applying them
	changed chan struct{} // configuration, gates, nodes or lanes changed
	shares  shares
	count   atomic.Int64 // of queues
	turn    atomic.Int64 // of the queues that a fresh delivery may go to

	workers sync.WaitGroup // of all queues, halted ones too
	crew    crew           // who they are

	saidMu sync.Mutex
	said   map[string]time.Time // troubles, and when they were last logged

	mu     sync.Mutex
	lanes  map[store.Lane]*lane
	queues map[key]*queue
	local  map[[2]string][]*queue // of queues, by system and destination, strays left out; nil: to be made anew
	former map[key]*queue         // that were halted; they may have attempts in flight
}

// key names a queue.
type key struct {
	store.Lane
	destination string
}

// New makes a Runner; nothing happens before Run.
func New(o Options) *Runner {
	return &Runner{
		Options: o,
		settles: make(chan settling, settleBacklog),
		pressed: make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		said:    map[string]time.Time{},
		lanes:   map[store.Lane]*lane{},
		queues:  map[key]*queue{},
		former:  map[key]*queue{},
	}
}

// grant reserves up to want bytes of what queues may hold in hand; 0 if nothing
// is left.
func (r *Runner) grant(want int64) int64 {
	for {
		held := r.held.Load()
		g := min(want, r.Bytes-held)
		if g <= 0 {
			return 0
		}
		if r.held.CompareAndSwap(held, held+g) {
			return g
		}
	}
}

// Wake tells that deliveries may have fallen due, as a signal says it. It does
// not block, and costs little if the queues are awake already.
func (r *Runner) Wake(s store.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.System != "" {
		if q := r.queues[key{s.Lane, s.Destination}]; q != nil {
			q.ripenSoon()
			q.signal()
		}
		return
	}
	for k, q := range r.queues {
		if s.Destination == "" || s.Destination == k.destination {
			q.ripenSoon()
			q.signal()
		}
	}
}

// Lanes is how many lanes this node has.
func (r *Runner) Lanes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lanes)
}

// Refresh tells that something changed other than what waits: what is wanted,
// gates, nodes or lanes.
func (r *Runner) Refresh() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Announce tells whoever has a queue, here or on another node, that something
// may be due in it.
func (r *Runner) Announce(l store.Lane, destination string) {
	r.announce(l, destination, true)
}

// announce is Announce; times tells that it may be held for a time.
func (r *Runner) announce(l store.Lane, destination string, times bool) {
	r.mu.Lock()
	q := r.queues[key{l, destination}]
	r.mu.Unlock()
	if q != nil {
		if times {
			q.ripenSoon()
		}
		q.signal()
		if !q.stopped() {
			return
		}
	}
	r.Store.Tell(store.Signal{Lane: l, Destination: destination})
}

// passedOver tells a queue that a delivery which it may have seen in flight is
// no longer.
func (r *Runner) passedOver(k key) {
	r.mu.Lock()
	q := r.queues[k]
	r.mu.Unlock()
	if q != nil {
		q.lookAgain()
	}
}

// pollCost bounds the claims that find nothing: over all queues, one in such a
// time.
const pollCost = 5 * time.Millisecond

// poll is how often a queue looks that nobody wakes: less often where there are
// very many.
func (r *Runner) poll() time.Duration {
	return max(r.Poll, time.Duration(r.count.Load())*pollCost)
}

// Run works until ctx ends, then lets the attempts in flight end, for up to
// Drain, records what came of them, and gives the lanes back.
func (r *Runner) Run(ctx context.Context) error {
	defer r.crew.dismiss()
	// Attempts outlive ctx: a clean stop waits for them.
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		r.settleAll(work)
	}()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(r.sync(ctx, work))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.changed:
		}
	}
	r.stop(work, abort)
	close(r.settles)
	r.press()
	r.record(settled, abort)
	r.end(context.WithoutCancel(ctx))
	return nil
}

// sync brings leases, queues and gates in line with what is wanted, and returns
// when to look again.
func (r *Runner) sync(ctx, work context.Context) time.Duration {
	standing, ok := r.renew(ctx) // before anything that may take long
	if ok {
		r.hold(work, standing)
	}
	// A stop does not cut off what is being asked of the store: a lease that it
	// gave, and we never heard of, would keep everyone waiting until it runs out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	w := r.Wanted(ctx)
	again := leaseRetry
	if ok && r.lease(ctx, work, &w) {
		again = leaseRenew
	}
	r.gating.Lock() // what was read before is not applied after
	defer r.gating.Unlock()
	gate, err := r.gates(ctx)
	if err != nil {
		r.warn(ctx, "gates not read", err)
		return again // nothing starts without knowing what a person has paused
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := make(map[key]bool, len(w.Targets))
	for _, t := range w.Targets {
		k := key{t.Lane, t.Name}
		if l := r.lanes[t.Lane]; l != nil && l.idle == nil {
			wanted[k] = true
			r.drain(k, l, t, gate[t.Name])
		}
	}
	for k := range r.queues {
		if !wanted[k] {
			r.retire(k)
		}
	}
	r.local = nil
	r.count.Store(int64(len(r.queues)))
	for _, d := range r.Duties {
		if l := r.lanes[d.lane()]; l != nil && l.idle == nil && l.duty == nil {
			r.begin(d, l)
		}
	}
	return again
}

// drain runs a queue for a target in a lane that we hold.
func (r *Runner) drain(k key, l *lane, t Target, g seawall.Gate) {
	q := r.queues[k]
	if q != nil && (q.lane != l || q.unsafe != t.Unsafe) {
		r.retire(k)
		q = nil
	}
	if q != nil {
		q.stray = t.Stray
		q.resize(t.Concurrency)
		if t.Timed {
			q.keepTime()
		}
		q.setGate(g)
		return
	}
	q = newQueue(r, l, t, r.former[k])
	delete(r.former, k)
	r.queues[k] = q
	q.setGate(g)
	q.start()
}

// retire halts a queue. What it has in flight ends before another takes its
// place.
func (r *Runner) retire(k key) {
	q := r.queues[k]
	q.halt()
	delete(r.queues, k)
	r.local = nil
	r.former[k] = q
	go func() {
		q.wait()
		q.empty()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.former[k] == q {
			delete(r.former, k)
		}
	}()
}

// stop gives all lanes up and waits for the attempts in flight, at most Drain.
// The leases are kept alive meanwhile.
func (r *Runner) stop(work context.Context, abort context.CancelFunc) {
	r.leave(work)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.workers.Wait()
	}()
	timer := time.NewTimer(r.Drain)
	defer timer.Stop()
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-r.changed: // perhaps a lane whose last attempt has ended
			r.release(work)
		case <-tick.C:
			if standing, ok := r.renew(work); ok {
				r.hold(work, standing)
			}
			r.release(work)
		case <-timer.C:
			r.Log.Warn("attempts still in flight are cut off", "after", r.Drain)
			abort()
			<-done
			return
		case <-r.Failed:
			abort() // what came of them could not be recorded
			<-done
			return
		}
	}
}

// record waits until the last outcomes are written, but no longer than
// recordWithin: a process that goes on trying, on a full disk perhaps, could
// never be stopped, nor be replaced by one that works.
func (r *Runner) record(settled <-chan struct{}, abort context.CancelFunc) {
	timer := time.NewTimer(recordWithin)
	defer timer.Stop()
	select {
	case <-settled:
		return
	case <-timer.C:
	case <-r.Failed:
	}
	abort()
	<-settled
}

// warn logs what the store did not do, unless we are being stopped.
func (r *Runner) warn(ctx context.Context, what string, err error) {
	if ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded {
		r.complain(what, "error", err)
	}
}

// sayEvery is how often the same trouble is logged: a store that is away fails
// every queue once a second.
const sayEvery = 30 * time.Second

// complain logs a trouble, unless the same was logged a short while ago.
func (r *Runner) complain(what string, args ...any) {
	r.saidMu.Lock()
	now, last := time.Now(), r.said[what]
	again := last.IsZero() || now.Sub(last) >= sayEvery
	if again {
		r.said[what] = now
	}
	r.saidMu.Unlock()
	if again {
		r.Log.Warn(what, args...)
	}
}
