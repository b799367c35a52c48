package system

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	maxOpen  = 5 * time.Minute
	probeFor = 45 * time.Second // a probe that is heard nothing of is given up; longer where its timeout is
	slack    = 15 * time.Second // beyond the timeout of a probe
	retryNot = time.Second      // until the store is asked again that did not answer
	setBack  = time.Minute      // nodes' clocks differ by less; a move further ahead than that was before a clock was set back
)

// isOpen tells whether the breaker is open, and until when nobody may try: what
// is past says that a probe may be made, or is ours to make. The caller has the
// lock.
func (y *System) isOpen(now time.Time) (until time.Time, open bool) {
	if set := y.set.Load(); set.Breaker.Off || y.gone {
		return time.Time{}, false
	}
	if !y.tripped.IsZero() && y.st.Breaker == seawall.BreakerClosed {
		// It is not written yet: nobody may probe what is not known to be open.
		return laterOf(y.tripped, now.Add(retryNot)), true
	}
	switch y.st.Breaker {
	case seawall.BreakerOpen:
		if isOver(&y.st, now) {
			return time.Time{}, true
		}
		return clamp(y.st.Until, now, maxOpen), true
	case seawall.BreakerHalfOpen:
		if ours := y.ours(now); ours && !y.probing || !ours && isOver(&y.st, now) {
			return time.Time{}, true
		}
		return y.st.Until, true
	}
	return time.Time{}, false
}

// isOver tells whether the time is over for which a breaker is open, or for which
// somebody has its probe. A clock that was set back makes neither last longer.
func isOver(st *store.SystemState, now time.Time) bool {
	return !now.Before(clamp(st.Until, now, maxOpen)) || st.Since.After(now.Add(setBack))
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ours tells whether we have the one probe.
func (y *System) ours(now time.Time) bool {
	return y.st.Breaker == seawall.BreakerHalfOpen && y.st.Node == y.all.Node && now.Before(y.st.Until)
}

// adopt takes in what stands in the store.
func (y *System) adopt(st store.SystemState) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if st.Version <= y.st.Version {
		return
	}
	if st.Breaker != y.st.Breaker || !st.Since.Equal(y.st.Since) {
		y.era.Add(1)
		y.probing = false
		y.seen.reset()
	}
	if st.Breaker != seawall.BreakerClosed {
		y.tripped = time.Time{}
	}
	if st.Hold.After(y.held) || st.Hold.Before(y.st.Hold) {
		y.held = st.Hold
	}
	y.st = st
	y.changed()
}

// Reset closes the breaker and forgets what the system asked for, by a person's
// word.
func (y *System) Reset(ctx context.Context) error {
	return y.change(ctx, func(next *store.SystemState, now time.Time) (string, bool) {
		kind := ""
		if next.Breaker != seawall.BreakerClosed {
			kind = Closed
			shut(next, now)
		}
		ok := kind != "" || !next.Hold.IsZero()
		next.Hold = time.Time{}
		return kind, ok
	})
}

func shut(next *store.SystemState, now time.Time) {
	next.Breaker, next.Since, next.Until = seawall.BreakerClosed, now, time.Time{}
	next.Node, next.Why, next.Opens = "", "", 0
}

// change moves what all nodes know of the system. f makes the next state of what
// stands, and says of which kind an event of it would be ("": of none); it is
// asked again where another node was faster, and says no if there is nothing left
// to do.
func (y *System) change(ctx context.Context, f func(next *store.SystemState, now time.Time) (kind string, ok bool)) error {
	s := y.all
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	for range 8 {
		y.mu.Lock()
		next := y.st
		y.mu.Unlock()
		kind, ok := f(&next, s.Now())
		if !ok {
			return nil
		}
		var events []store.Acceptance
		if kind != "" && s.Emit != nil {
			events = s.Emit(kind, y.name, about(&next))
		}
		now, done, err := s.Store.SetSystem(ctx, next, events)
		if err != nil {
			return err
		}
		y.adopt(now)
		if !done {
			continue
		}
		s.tell(y.name)
		if len(events) > 0 && s.Accepted != nil {
			s.Accepted(events)
		}
		switch kind {
		case Opened:
			s.Log.Warn("breaker opened", "system", y.name, "until", next.Until, "error", next.Why)
		case Closed:
			s.Log.Info("breaker closed", "system", y.name)
		}
		return nil
	}
	return fmt.Errorf("state of system %q: other nodes change it all the time", y.name)
}

// about is what an event says of a system.
func about(st *store.SystemState) map[string]any {
	data := map[string]any{"system": st.System, "breaker": st.Breaker.String(), "since": st.Since.UTC().Format(time.RFC3339Nano)}
	if st.Breaker == seawall.BreakerOpen {
		data["until"] = st.Until.UTC().Format(time.RFC3339Nano)
		data["why"] = st.Why
	}
	return data
}

// trip opens the breaker here at once, and for all as soon as it is written.
func (y *System) trip(set *settings, why string) {
	y.mu.Lock()
	if !y.tripped.IsZero() || y.st.Breaker != seawall.BreakerClosed {
		y.mu.Unlock()
		return
	}
	now := y.all.Now()
	y.tripped = now.Add(set.Breaker.Open)
	y.era.Add(1)
	y.changed()
	y.mu.Unlock()
	y.all.spawn(func() { y.write(set, why) })
}

// write has the store know that the breaker is open. If it cannot, the breaker
// closes again, and counts anew: a store that does not write gives out no work.
func (y *System) write(set *settings, why string) {
	err := y.change(context.Background(), func(next *store.SystemState, now time.Time) (string, bool) {
		if next.Breaker != seawall.BreakerClosed {
			return "", false
		}
		opened(next, set, now, why)
		next.Opens = 1
		return Opened, true
	})
	y.mu.Lock()
	defer y.mu.Unlock()
	y.tripped = time.Time{}
	if err != nil {
		y.all.complain("a breaker that should open is not written", "system", y.name, "error", err)
		y.seen.reset()
	}
	y.changed()
}

func opened(next *store.SystemState, set *settings, now time.Time, why string) {
	wait := set.Breaker.Open
	for range min(next.Opens, 16) {
		wait = min(2*wait, max(maxOpen, set.Breaker.Open))
	}
	next.Breaker, next.Since, next.Until, next.Node, next.Why = seawall.BreakerOpen, now, now.Add(wait), "", why
}

// takeProbe tries to get the one probe over all nodes. It returns when to try
// again, zero for at once.
func (y *System) takeProbe(ctx context.Context) time.Time {
	err := y.change(ctx, func(next *store.SystemState, now time.Time) (string, bool) {
		if next.Breaker == seawall.BreakerClosed || !isOver(next, now) {
			return "", false
		}
		next.Breaker, next.Since, next.Until, next.Node = seawall.BreakerHalfOpen, now, now.Add(probeFor), y.all.Node
		return "", true
	})
	if err != nil {
		y.all.complain("a probe is due, and the store does not say whose", "system", y.name, "error", err)
		return y.all.Now().Add(retryNot)
	}
	return time.Time{}
}

// probeTakes sees that nobody else probes for as long as this may take.
func (y *System) probeTakes(limits send.Timeouts) {
	whole := limits.Whole
	if whole == 0 {
		whole = maxHold
	}
	if whole+slack <= probeFor {
		return
	}
	_ = y.change(context.Background(), func(next *store.SystemState, now time.Time) (string, bool) {
		until := now.Add(whole + slack)
		if next.Breaker != seawall.BreakerHalfOpen || next.Node != y.all.Node || !next.Until.Before(until) {
			return "", false
		}
		next.Until = until
		return "", true
	})
}

// probed moves the breaker as its probe turned out.
func (y *System) probed(set *settings, ok bool, why string) {
	y.all.spawn(func() {
		err := y.change(context.Background(), func(next *store.SystemState, now time.Time) (string, bool) {
			if next.Breaker != seawall.BreakerHalfOpen || next.Node != y.all.Node {
				return "", false
			}
			if ok {
				shut(next, now)
				return Closed, true
			}
			opened(next, set, now, why)
			next.Opens++
			return "", true
		})
		if err != nil {
			y.all.complain("what a probe found is not written", "system", y.name, "error", err)
			y.mu.Lock()
			y.probing = false // another may be made
			y.changed()
			y.mu.Unlock()
		}
	})
}

// verdict is what a reply says of a system's health; ok false where it says
// nothing.
func verdict(r send.Reply) (failed, ok bool) {
	switch {
	case r.Canceled:
		return false, false
	case r.Response == nil, r.Err != nil:
		return true, true
	default:
		return r.Response.Status >= 500, true
	}
}

// why is a reply's trouble in a few words.
func why(r send.Reply) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return fmt.Sprintf("HTTP %d", r.Response.Status)
}

// window counts requests over the last while, in a ring of slots.
type window struct {
	mu    sync.Mutex
	width time.Duration
	slots [10]slot
}

type slot struct {
	at              int64 // number of its time since the epoch
	all, fail, slow int
}

func (w *window) size(whole time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if width := max(whole/time.Duration(len(w.slots)), time.Millisecond); width != w.width {
		w.width, w.slots = width, [10]slot{}
	}
}

func (w *window) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots = [10]slot{}
}

// add counts one request and returns what the window holds then.
func (w *window) add(now time.Time, failed, slow bool) (sum slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := now.UnixNano() / int64(w.width)
	s := &w.slots[n%int64(len(w.slots))]
	if s.at != n {
		*s = slot{at: n}
	}
	s.all++
	if failed {
		s.fail++
	}
	if slow {
		s.slow++
	}
	for _, s := range w.slots {
		if d := n - s.at; d >= 0 && d < int64(len(w.slots)) {
			sum.all, sum.fail, sum.slow = sum.all+s.all, sum.fail+s.fail, sum.slow+s.slow
		}
	}
	return sum
}

// rate is how many requests a second there were, lately.
func (w *window) rate(now time.Time) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := now.UnixNano() / int64(w.width)
	count := 0
	for _, s := range w.slots {
		if d := n - s.at; d == 0 || d == 1 {
			count += s.all
		}
	}
	over := w.width + time.Duration(now.UnixNano()%int64(w.width))
	return float64(count) / over.Seconds()
}

// trips tells whether the breaker opens on that, and why.
func trips(b config.Breaker, sum slot) (string, bool) {
	if b.Off || sum.all < b.Least {
		return "", false
	}
	if part := float64(sum.fail) / float64(sum.all); part >= b.Failures {
		return fmt.Sprintf("%d of %d requests failed within %s", sum.fail, sum.all, b.Window), true
	}
	if part := float64(sum.slow) / float64(sum.all); b.Slow > 0 && part >= b.SlowRate {
		return fmt.Sprintf("%d of %d requests took longer than %s within %s", sum.slow, sum.all, b.Slow, b.Window), true
	}
	return "", false
}
