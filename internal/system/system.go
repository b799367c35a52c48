package system

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
)

// ErrOpen is that a system is left alone and whoever asked does not wait for it.
var ErrOpen = errors.New("the system's breaker is open")

// System is one outside system. Its state outlives reloads.
type System struct {
	all    *Systems
	name   string
	freely *Pass // everybody's, while nothing holds anything back
	set    atomic.Pointer[settings]
	free   atomic.Bool  // nothing holds anything back
	era    atomic.Int64 // counts the breaker's moves: what began in one tells nothing of another
	seen   window

	mu      sync.Mutex
	line    line
	serving bool // somebody waits, and serve runs
	wake    chan struct{}
	gone    bool // not in the configuration any more: nothing is held back

	st      store.SystemState // newest known
	tripped time.Time         // not zero: it is open already, until then, though the store does not know yet
	probing bool              // the probe that we have is with somebody
	held    time.Time         // the system asked for nothing before then; st.Hold, or known here alone yet
	pace    pace

	flight   int // passes under a limit
	peak     int // most of them, with who waited, since the share was renewed last
	part     int // of the concurrency that is ours
	partEnds time.Time
	asked    int  // for how many, the last time
	asking   bool // it is being renewed
	reported int  // and this many were said to be under way

	permits  int // of the rate, taken and not used
	lapse    time.Time
	granted  int       // passes since the last take
	took     time.Time // when that was
	nextTake time.Time
}

// settings are what a configuration says of a system, ready to work by.
type settings struct {
	config.System
	sender *send.Sender
	auth   auth // nil: none
}

func (s *Systems) system(name string) *System {
	y := &System{all: s, name: name, wake: make(chan struct{}, 1)}
	y.freely = &Pass{y: y}
	s.mu.Lock()
	y.st = s.states[name]
	s.mu.Unlock()
	y.st.System, y.held = name, y.st.Hold
	return y
}

// Name is its name.
func (y *System) Name() string { return y.name }

func (y *System) use(c *config.System, sender *send.Sender, box *seal.Box) {
	set := &settings{System: *c, sender: sender}
	set.Breaker = usual(c.Breaker)
	set.Limit = usualLimit(c.Limit)
	var before auth
	if old := y.set.Load(); old != nil {
		before = old.auth
	}
	set.auth = y.authOf(c, sender, box, before)
	y.seen.size(set.Breaker.Window)
	y.set.Store(set)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.gone = false
	y.changed()
}

func (y *System) retire() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.gone = true
	y.changed()
}

// usual fills in what a configuration made by hand leaves out.
func usual(b config.Breaker) config.Breaker {
	def(&b.Failures, 0.5)
	def(&b.SlowRate, 0.8)
	def(&b.Least, 20)
	def(&b.Window, 30*time.Second)
	def(&b.Open, 5*time.Second)
	return b
}

func usualLimit(l config.Limit) config.Limit {
	if l.Every > 0 && l.Burst == 0 {
		l.Burst = max(1, int(time.Second/l.Every))
	}
	return l
}

func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Enter waits until the system may be asked once more: its breaker, what it asked
// of us, how many it takes at a time and how often. flow is in whose turn: flows
// take turns. It costs next to nothing where nothing holds anything back. The
// error is that of ctx.
func (y *System) Enter(ctx context.Context, flow string) (*Pass, error) {
	return y.enter(ctx, flow, false)
}

// EnterClosed is Enter for those who have another way: it gives [ErrOpen] at once
// when the breaker is open, and when it opens meanwhile. It waits, or has the
// probe, when one is due, so that somebody finds out that the system is back.
func (y *System) EnterClosed(ctx context.Context, flow string) (*Pass, error) {
	return y.enter(ctx, flow, true)
}

func (y *System) enter(ctx context.Context, flow string, hasty bool) (*Pass, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if y.free.Load() {
		return y.freely, nil
	}
	y.mu.Lock()
	w := y.line.add(flow, hasty)
	y.peak = max(y.peak, y.flight+y.line.count)
	y.settle()
	if y.line.count > 0 && !y.serving {
		y.serving = true
		go y.serve(context.WithoutCancel(ctx))
	}
	y.mu.Unlock()
	select {
	case <-w.done:
	case <-ctx.Done():
		y.mu.Lock()
		waited := y.line.leave(w)
		y.changed()
		y.mu.Unlock()
		if waited {
			return nil, ctx.Err()
		}
	}
	return w.pass, w.err
}

// Open tells whether the breaker is open, and until when at least.
func (y *System) Open() (until time.Time, open bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.isOpen(y.all.Now())
}

// Left tells whether the system is to be left alone, and until when at least: its
// breaker is open, or it asked for a pause.
func (y *System) Left() (until time.Time, left bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	now := y.all.Now()
	if held := clamp(y.held, now, maxHold); now.Before(held) {
		return held, true
	}
	until, open := y.isOpen(now)
	return until, open && until.After(now)
}

// changed lets those in who may, and wakes who sees to the others. The caller has
// the lock, like in what follows.
func (y *System) changed() {
	y.settle()
	if y.line.count > 0 || y.serving {
		poke(y.wake)
	}
}

// settle lets in everybody who may be let in without asking the store.
func (y *System) settle() (need, time.Time) {
	now := y.all.Now()
	set := y.set.Load()
	defer func() { y.free.Store(y.unbound(set, now)) }()
	for y.line.count > 0 {
		if until, open := y.isOpen(now); open && until.After(now) {
			if y.line.turnAway(ErrOpen); y.line.count == 0 {
				break
			}
		}
		n, at := y.may(set, now)
		if n != nothing {
			return n, at
		}
		y.admit(set, now)
	}
	return nothing, time.Time{}
}

// unbound tells whether nothing holds anything back, until something changes.
func (y *System) unbound(set *settings, now time.Time) bool {
	if y.gone {
		return true
	}
	calm := y.tripped.IsZero() && (set.Breaker.Off || y.st.Breaker == 0) && !y.pace.on() && !now.Before(y.held)
	return calm && set.Limit.Every == 0 && set.Limit.Concurrency == 0 && y.line.count == 0
}

// need is what the next in line waits for.
type need uint8

const (
	nothing need = iota
	change       // a word from elsewhere, or a time
	permits      // permits of the rate
	probe        // the probe
)

// may tells what the next in line waits for, and until when at most; the zero
// time is for as long as it takes.
func (y *System) may(set *settings, now time.Time) (need, time.Time) {
	if y.gone {
		return nothing, time.Time{}
	}
	if held := clamp(y.held, now, maxHold); now.Before(held) {
		return change, held
	}
	probes := false
	if until, open := y.isOpen(now); open {
		if now.Before(until) {
			return change, until
		}
		probes = true
	}
	if most := set.Limit.Concurrency; most > 0 && y.flight >= y.mine(most, now) {
		y.wants(now)
		return change, time.Time{}
	}
	if at := y.pace.next; y.pace.on() && now.Before(at) {
		return change, at
	}
	if set.Limit.Every > 0 && (y.permits == 0 || !now.Before(y.lapse)) {
		y.permits = 0
		if now.Before(y.nextTake) {
			return change, y.nextTake
		}
		return permits, time.Time{}
	}
	if probes && !y.ours(now) {
		return probe, time.Time{}
	}
	return nothing, time.Time{}
}

// admit gives the next in line its pass.
func (y *System) admit(set *settings, now time.Time) {
	w := y.line.serve()
	p := &Pass{y: y, bound: true}
	if set.Limit.Every > 0 {
		y.permits--
		p.permit = y.lapse
	}
	if _, open := y.isOpen(now); open {
		p.probe, y.probing = true, true
	}
	y.pace.pass(now)
	y.granted++
	y.flight++
	w.pass = p
	close(w.done)
}

// serve sees to those who wait until nobody does.
func (y *System) serve(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		y.mu.Lock()
		n, at := y.settle()
		if y.line.count == 0 {
			y.serving = false
			y.mu.Unlock()
			return
		}
		y.mu.Unlock()
		switch n {
		case permits:
			if at = y.take(ctx); at.IsZero() {
				continue
			}
		case probe:
			if at = y.takeProbe(ctx); at.IsZero() {
				continue
			}
		}
		timer.Stop()
		if !at.IsZero() {
			timer.Reset(max(at.Sub(y.all.Now()), time.Millisecond))
		}
		select {
		case <-y.wake:
		case <-timer.C:
		}
	}
}

// clamp keeps a time that another clock said from being too far ahead.
func clamp(t, now time.Time, most time.Duration) time.Time {
	if end := now.Add(most); t.After(end) {
		return end
	}
	return t
}

func (y *System) status() Status {
	set, now := y.set.Load(), y.all.Now()
	y.mu.Lock()
	defer y.mu.Unlock()
	out := Status{
		Name: y.name, State: y.st, Off: set.Breaker.Off, Waiting: y.line.count, Flight: y.flight,
		Limit: set.Limit, Pace: y.pace.rate,
	}
	out.State.Hold = y.held
	if set.Limit.Concurrency > 0 {
		out.Share = y.mine(set.Limit.Concurrency, now)
	}
	return out
}
