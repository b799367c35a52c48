package systems

import (
	"slices"
	"sync"
	"time"
)

// arrivals is when requests reached a system, and how many were there at a time.
type arrivals struct {
	mu     sync.Mutex
	at     []time.Time
	flight int
	most   int
}

// come notes one; the caller says when it goes.
func (a *arrivals) come() (gone func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Now())
	a.flight++
	a.most = max(a.most, a.flight)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.flight--
	}
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

func (a *arrivals) peak() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.most
}

// forget begins anew; what is under way stays so.
func (a *arrivals) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.most = nil, a.flight
}

// idle tells whether nothing is under way.
func (a *arrivals) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.flight == 0
}

// between counts those that came after one time and before another.
func (a *arrivals) between(from, to time.Time) (n int) {
	for _, at := range a.times() {
		if at.After(from) && at.Before(to) {
			n++
		}
	}
	return n
}

func (a *arrivals) times() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	ts := slices.Clone(a.at)
	slices.SortFunc(ts, time.Time.Compare)
	return ts
}

// within is the most that came within any span of a length.
func (a *arrivals) within(d time.Duration) (most int) {
	ts := a.times()
	for i, j := 0, 0; j < len(ts); j++ {
		for ts[j].Sub(ts[i]) > d {
			i++
		}
		most = max(most, j-i+1)
	}
	return most
}

// span is from the first to the last.
func (a *arrivals) span() time.Duration {
	ts := a.times()
	if len(ts) == 0 {
		return 0
	}
	return ts[len(ts)-1].Sub(ts[0])
}
