package lane

import (
	"context"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
)

// shares remembers how lanes were shared out last: it is the same every few
// seconds.
type shares struct {
	lanes []store.Lane
	nodes []string
	by    map[store.Lane]string
}

func (s *shares) of(lanes []store.Lane, nodes []string) map[store.Lane]string {
	if s.by == nil || !slices.Equal(s.lanes, lanes) || !slices.Equal(s.nodes, nodes) {
		*s = shares{lanes, nodes, share(lanes, nodes)}
	}
	return s.by
}

// lease says that we live, gives up what is another's and takes what is ours. It
// tells whether we hold all that is ours.
func (r *Runner) lease(ctx, work context.Context, w *Wanted) bool {
	nodes, err := r.Store.Beat(ctx, store.Node{Name: r.Node, Revision: w.Revision}, leaseTTL)
	if err != nil {
		r.warn(ctx, "the store was not told that this node lives", err)
		return false // we keep what we have for as long as it lasts
	}
	ours := r.ours(w, nodes)
	r.giveUp(ours)
	r.release(ctx)
	return r.acquire(ctx, work, ours)
}

// ours are the lanes that fall to this node. Only the nodes of the newest
// revision share: another may not know of all there is to do, nor how.
func (r *Runner) ours(w *Wanted, nodes []store.Node) map[store.Lane]bool {
	newest := w.Revision
	for _, n := range nodes {
		newest = max(newest, n.Revision)
	}
	var names []string
	for _, n := range nodes {
		if n.Revision == newest && n.Name != r.Node {
			names = append(names, n.Name)
		}
	}
	if w.Revision == newest {
		names = append(names, r.Node)
	}
	slices.Sort(names)

	var lanes []store.Lane
	seen, ours := map[store.Lane]bool{}, map[store.Lane]bool{}
	stray := func(l store.Lane) {
		if favourite(l, names) == r.Node {
			ours[l] = true
		}
	}
	for _, t := range w.Targets {
		switch {
		case seen[t.Lane]:
		case t.Stray:
			stray(t.Lane)
		default:
			lanes = append(lanes, t.Lane)
		}
		seen[t.Lane] = true
	}
	for _, d := range r.Duties {
		stray(d.lane())
	}
	for l, n := range r.shares.of(lanes, names) {
		if n == r.Node {
			ours[l] = true
		}
	}
	return ours
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
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	standing, err := r.Store.Renew(ctx, held, leaseTTL)
	if err != nil {
		r.warn(ctx, "leases not renewed", err)
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
		r.own(work, s)
	}
	for k, l := range r.lanes {
		if !now[k] {
			r.lose(l)
			delete(r.lanes, k)
		}
	}
}

// lose ends a lane that is no longer ours; the caller has the lock.
func (r *Runner) lose(l *lane) {
	l.drop()
	for k, q := range r.queues {
		if q.lane == l {
			r.retire(k)
		}
	}
}

// own makes a lease a lane of ours, or prolongs it; the caller has the lock.
func (r *Runner) own(work context.Context, s store.Lease) {
	l := r.lanes[s.Lane]
	if l != nil && l.current().Token == s.Token && l.ctx.Err() == nil && l.extend(s) {
		return
	}
	if l != nil {
		r.lose(l)
	}
	r.lanes[s.Lane] = newLane(work, s)
}

// acquire takes those of our lanes that we do not hold.
func (r *Runner) acquire(ctx, work context.Context, ours map[store.Lane]bool) (all bool) {
	var missing []store.Lane
	r.mu.Lock()
	for k := range ours {
		if r.lanes[k] == nil {
			missing = append(missing, k)
		}
	}
	r.mu.Unlock()
	if len(missing) == 0 {
		return true
	}
	got, err := r.Store.Acquire(ctx, r.Node, missing, leaseTTL)
	if err != nil {
		r.warn(ctx, "lanes not acquired", err)
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range got {
		r.own(work, s)
	}
	return len(got) == len(missing)
}

// giveUp begins to give up the lanes that are no longer ours, and keeps those
// that are again.
func (r *Runner) giveUp(ours map[store.Lane]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, l := range r.lanes {
		switch {
		case ours[k]:
			l.idle = nil
		case l.idle == nil:
			r.vacate(l)
		}
	}
}

// vacate halts what runs in a lane, and sees when its last attempt has ended and
// is recorded; the caller has the lock.
func (r *Runner) vacate(l *lane) {
	idle := make(chan struct{})
	l.idle = idle
	var halted []*queue
	for k, q := range r.queues {
		if q.lane == l {
			r.retire(k)
		}
	}
	for _, q := range r.former {
		if q.lane == l {
			halted = append(halted, q)
		}
	}
	duty := l.duty
	l.duty = nil
	if duty != nil {
		duty.cancel()
	}
	go func() {
		for _, q := range halted {
			q.wait()
		}
		if duty != nil {
			<-duty.done
		}
		close(idle)
		r.Refresh()
	}()
}

// release gives back the lanes that have been vacated, and says so, that their
// next owner need not wait.
func (r *Runner) release(ctx context.Context) {
	var empty []*lane
	r.mu.Lock()
	for _, l := range r.lanes {
		if l.vacant() {
			empty = append(empty, l)
		}
	}
	r.mu.Unlock()
	r.giveBack(ctx, empty)
}

// end gives back whatever is left.
func (r *Runner) end(ctx context.Context) {
	var left []*lane
	r.mu.Lock()
	for _, l := range r.lanes {
		left = append(left, l)
	}
	r.mu.Unlock()
	r.giveBack(ctx, left)
}

// releaseTime bounds it: a stop need not wait for a store that is away.
const releaseTime = 2 * time.Second

func (r *Runner) giveBack(ctx context.Context, ls []*lane) {
	if len(ls) == 0 {
		return
	}
	leases := make([]store.Lease, len(ls))
	for i, l := range ls {
		leases[i] = l.current()
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	if err := r.Store.Release(ctx, leases); err != nil {
		r.warn(ctx, "lanes not released", err)
		return // they run out by themselves, unless the next try succeeds
	}
	r.mu.Lock()
	for _, l := range ls {
		l.drop()
		delete(r.lanes, l.current().Lane)
	}
	r.mu.Unlock()
	r.Store.Tell(store.Signal{})
}

// leave gives everything up: the others share it out among them while we finish
// what is in flight.
func (r *Runner) leave(ctx context.Context) {
	r.giveUp(nil)
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	if err := r.Store.Leave(ctx, r.Node); err != nil {
		r.warn(ctx, "the store was not told that this node leaves", err)
	}
	r.Store.Tell(store.Signal{})
}
