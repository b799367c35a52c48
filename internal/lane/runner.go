// Package lane drains the queues. A runner leases lanes (a shard of a system),
// runs one queue for each destination in them, and so keeps a slow or dead
// destination to itself: each queue has its own claims, workers and budget.
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
	Acquire(ctx context.Context, node string, lanes []store.Lane, ttl time.Duration) ([]store.Lease, error)
	Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error)
	Release(ctx context.Context, leases []store.Lease) error
	Claim(ctx context.Context, l store.Lease, c store.Claim) ([]store.Claimed, time.Time, error)
	Settle(ctx context.Context, ss []store.Settlement) ([]store.Settled, error)
	Gates(ctx context.Context) ([]store.GateState, error)
}

// Target is a destination whose queue is to be drained.
type Target struct {
	Name        string // as the deliveries name it
	Lane        store.Lane
	Concurrency int // attempts in flight at a time
}

// Options are what a Runner works with. All but Failed are needed.
type Options struct {
	Store   Store
	Node    string
	Targets func() []Target // under the running configuration
	// Deliver makes one attempt and says what comes next. It is called by many
	// goroutines, returns soon after ctx ends, and does not panic. Lease and
	// Delivery of the settlement are filled in by the runner.
	Deliver func(ctx context.Context, c *store.Claimed) store.Settlement
	Log     *slog.Logger
	Now     func() time.Time
	Drain   time.Duration // how long a stop waits for attempts in flight
	Bytes   int64         // of bodies that all queues together hold in hand, beyond one delivery each
	// Failed is closed once the store will never write again: nothing is then
	// worth waiting for. It may be nil.
	Failed <-chan struct{}
}

const (
	leaseTTL   = 15 * time.Second
	leaseRenew = 3 * time.Second
	pollEvery  = 5 * time.Second // safety net: wake-ups are what normally counts

	recordWithin = 5 * time.Second // after a stop, the last outcomes

	settleBatch   = 256
	settleBacklog = 1024
)

// Runner drains the queues of the lanes it holds.
type Runner struct {
	Options
	settles chan settling
	held    atomic.Int64  // bytes of bodies in hand, or granted to claims, over all queues
	changed chan struct{} // configuration or gates changed

	workers sync.WaitGroup // of all queues, halted ones too

	mu     sync.Mutex
	lanes  map[store.Lane]*lane
	queues map[string]*queue
	former map[string]*queue // of targets that are gone; they may have attempts in flight
}

// New makes a Runner; nothing happens before Run.
func New(o Options) *Runner {
	return &Runner{
		Options: o,
		settles: make(chan settling, settleBacklog),
		changed: make(chan struct{}, 1),
		lanes:   map[store.Lane]*lane{},
		queues:  map[string]*queue{},
		former:  map[string]*queue{},
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

// Wake tells that deliveries for a destination may have fallen due. It does not
// block, and costs little if the queue is awake already.
func (r *Runner) Wake(destination string) {
	r.mu.Lock()
	q := r.queues[destination]
	r.mu.Unlock()
	if q != nil {
		q.signal()
	}
}

// Refresh tells that targets or gates have changed.
func (r *Runner) Refresh() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then lets the attempts in flight end, for up to
// Drain, records what came of them, and gives the lanes back.
func (r *Runner) Run(ctx context.Context) error {
	// Attempts outlive ctx: a clean stop waits for them.
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		r.settleAll(work)
	}()

	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for ctx.Err() == nil {
		r.sync(ctx, work)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-r.changed:
		}
	}
	r.stop(work, abort)
	close(r.settles)
	r.record(settled, abort)
	r.release(context.WithoutCancel(ctx))
	return nil
}

// sync brings leases, queues and gates in line with the targets.
func (r *Runner) sync(ctx, work context.Context) {
	targets := r.Targets()
	r.lease(ctx, work, targets)

	gates, err := r.Store.Gates(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Warn("gates not read", "error", err)
		}
		return // nothing starts without knowing what a person has paused
	}
	gate := make(map[string]seawall.Gate, len(gates))
	for _, g := range gates {
		gate[g.Destination] = g.Gate
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := make(map[string]bool, len(targets))
	for _, t := range targets {
		wanted[t.Name] = true
		l := r.lanes[t.Lane]
		if l == nil {
			continue
		}
		q := r.queues[t.Name]
		if q == nil || q.lane != l {
			if q == nil {
				q = r.former[t.Name]
				delete(r.former, t.Name)
			}
			if q != nil {
				q.halt()
			}
			q = newQueue(r, l, t, q)
			r.queues[t.Name] = q
			q.setGate(gate[t.Name])
			q.start()
			continue
		}
		q.resize(t.Concurrency)
		q.setGate(gate[t.Name])
	}
	for name, q := range r.queues {
		if !wanted[name] {
			q.halt()
			delete(r.queues, name)
			r.former[name] = q
		}
	}
}

// lease renews what is held and acquires what is wanted.
func (r *Runner) lease(ctx, work context.Context, targets []Target) {
	standing, ok := r.renew(ctx)
	if !ok {
		return
	}
	var missing []store.Lane
	has := map[store.Lane]bool{}
	for _, l := range standing {
		has[l.Lane] = true
	}
	for _, t := range targets {
		if !has[t.Lane] {
			has[t.Lane] = true
			missing = append(missing, t.Lane)
		}
	}
	if len(missing) > 0 {
		got, err := r.Store.Acquire(ctx, r.Node, missing, leaseTTL)
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("lanes not acquired", "error", err)
		}
		standing = append(standing, got...)
	}
	r.hold(work, standing)
}

// renew extends the leases held. If the store cannot be reached they run out by
// themselves.
func (r *Runner) renew(ctx context.Context) (standing []store.Lease, ok bool) {
	r.mu.Lock()
	held := make([]store.Lease, 0, len(r.lanes))
	for _, l := range r.lanes {
		held = append(held, l.current())
	}
	r.mu.Unlock()
	if len(held) == 0 {
		return nil, true
	}
	standing, err := r.Store.Renew(ctx, held, leaseTTL)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Warn("leases not renewed", "error", err)
		}
		return nil, false
	}
	return standing, true
}

// hold makes the standing leases the lanes we own.
func (r *Runner) hold(work context.Context, standing []store.Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := map[store.Lane]bool{}
	for _, s := range standing {
		now[s.Lane] = true
		l := r.lanes[s.Lane]
		if l != nil && l.current().Token == s.Token && l.ctx.Err() == nil && l.extend(s) {
			continue
		}
		if l != nil {
			l.drop()
		}
		r.lanes[s.Lane] = newLane(work, s)
	}
	for k, l := range r.lanes {
		if !now[k] {
			l.drop()
			delete(r.lanes, k)
		}
	}
}

// stop halts all queues and waits for their attempts, at most Drain. The leases
// are kept alive meanwhile.
func (r *Runner) stop(work context.Context, abort context.CancelFunc) {
	r.mu.Lock()
	for _, q := range r.queues {
		q.halt()
	}
	r.mu.Unlock()
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
		case <-tick.C:
			if standing, ok := r.renew(work); ok {
				r.hold(work, standing)
			}
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

func (r *Runner) release(ctx context.Context) {
	var leases []store.Lease
	for _, l := range r.lanes {
		leases = append(leases, l.current())
		l.drop()
	}
	if len(leases) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := r.Store.Release(ctx, leases); err != nil {
		r.Log.Warn("lanes not released", "error", err)
	}
}
