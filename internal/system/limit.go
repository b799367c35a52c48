package system

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
)

const (
	ahead      = 250 * time.Millisecond // for which permits are taken at most
	gather     = 100 * time.Millisecond // that permits are let come together for
	shareAgain = 100 * time.Millisecond // between two wants of shares
)

// take gets permits of the rate for those who wait, and for as many more as went
// lately within the time that they hold. It returns when to look again, zero for
// at once.
func (y *System) take(ctx context.Context) time.Time {
	s, set := y.all, y.set.Load()
	every := set.Limit.Every
	if every == 0 {
		return time.Time{}
	}
	y.mu.Lock()
	now := s.Now()
	lately := y.granted
	if gone := now.Sub(y.took); gone > ahead {
		lately = int(int64(lately) * int64(ahead) / int64(gone))
	}
	want := max(y.line.count, min(lately, int(ahead/every)), 1)
	want = min(want, set.Limit.Burst)
	y.took, y.granted = now, 0
	y.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, storeTime)
	got, wait, err := s.Store.Take(ctx, y.name, store.Rate{Every: every, Burst: set.Limit.Burst}, want)
	cancel()
	if err != nil {
		s.complain("the store gives no permits of a rate", "system", y.name, "error", err)
		return s.Now().Add(retryNot)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if got > 0 {
		y.permits, y.lapse = got, now.Add(ahead)
	}
	if got < want {
		// There are none left: let a few come together, so that not each is a
		// question of its own.
		few := min(gather, every*time.Duration(want))
		y.nextTake = s.Now().Add(max(wait, few))
	}
	if got > 0 {
		return time.Time{}
	}
	return y.nextTake
}

// mine is how many requests at a time this node may have under way. The caller
// has the lock, like in wants.
func (y *System) mine(most int, now time.Time) int {
	if y.all.Alone {
		return most
	}
	if !now.Before(y.partEnds) {
		return 0
	}
	if y.asking {
		most = min(most, y.reported)
	}
	return min(y.part, most)
}

// wants has the share renewed at once where more is wanted than was asked for;
// whatever else is lacking comes with the next renewal.
func (y *System) wants(now time.Time) {
	if !y.all.Alone && (y.peak > y.asked || !now.Before(y.partEnds)) {
		y.asked = y.peak
		poke(y.all.wanting)
	}
}

// share renews this node's part of what systems take at a time. Of those that it
// has asked nothing of since the last time it wants nothing, and then says no
// more.
func (s *Systems) share(ctx context.Context) {
	if s.Alone {
		return
	}
	var ys []*System
	var wants []store.Share
	for _, y := range *s.by.Load() {
		if w, any := y.wanted(); any {
			ys, wants = append(ys, y), append(wants, w)
		}
	}
	if len(wants) == 0 {
		return
	}
	start := s.Now()
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	got, err := s.Store.Share(ctx, s.Node, wants, shareTTL)
	if err != nil {
		for i, y := range ys {
			y.unsure(wants[i].Used)
		}
		s.complain("the store gives no shares of what systems take at a time", "error", err)
		return
	}
	for i, y := range ys {
		y.share(got[i], wants[i].Want, start.Add(shareTTL-margin))
	}
}

// wanted is what a system's share should be.
func (y *System) wanted() (store.Share, bool) {
	set := y.set.Load()
	y.mu.Lock()
	defer y.mu.Unlock()
	most := set.Limit.Concurrency
	want := min(max(y.peak, y.flight+y.line.count), most)
	y.peak = y.flight + y.line.count
	if most == 0 || y.gone {
		want = 0
	}
	if want == 0 && y.partEnds.IsZero() {
		return store.Share{}, false
	}
	// What was said to be under way is not exceeded before the answer: what is
	// beyond it may be given to others.
	y.asking, y.reported = true, y.flight
	return store.Share{System: y.name, Limit: max(most, 1), Want: want, Used: y.flight}, true
}

// unsure notes that a renewal may have taken away all but what was reported.
func (y *System) unsure(reported int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.part, y.asking = min(y.part, reported), false
}

func (y *System) share(part, want int, until time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.part, y.partEnds, y.asked, y.asking = part, until, want, false
	if want == 0 {
		y.part, y.partEnds = 0, time.Time{}
	}
	y.changed()
}

// giveBack tells that this node wants nothing any more.
func (s *Systems) giveBack(ctx context.Context) {
	var wants []store.Share
	for _, y := range *s.by.Load() {
		if w, any := y.wanted(); any {
			w.Want = 0
			wants = append(wants, w)
		}
	}
	if len(wants) == 0 || s.Alone {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	_, _ = s.Store.Share(ctx, s.Node, wants, shareTTL) // else it runs out
}
