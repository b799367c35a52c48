package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

// mostEvents is how many events one run may send, all stretches together.
// Events of a backlog are numbered from here on.
const mostEvents = 4 << 20

// track notes when each event first reached the sink, at the cost of one
// atomic write.
type track struct {
	epoch    time.Time
	base     int            // number of the first event
	at       []atomic.Int64 // of the events from base on, in nanoseconds since epoch; 0: not yet
	distinct atomic.Int64
	repeats  atomic.Int64
	strange  atomic.Int64 // nothing that we sent
	backlog  atomic.Int64 // nanoseconds since epoch when the first of the backlog came; 0: none did
}

func newTrack() *track {
	return &track{epoch: time.Now(), at: make([]atomic.Int64, mostEvents)}
}

// restart forgets all events before a number, once they have arrived: a long run
// sends more than there is room for.
func (t *track) restart(base int) {
	for i := range min(base-t.base, len(t.at)) {
		t.at[i].Store(0)
	}
	t.base = base
	t.distinct.Store(0)
}

func (t *track) receive(r load.Request) int {
	n, ok := load.Seq(r.Body)
	n -= t.base
	switch {
	case !ok:
		t.strange.Add(1)
	case n < 0:
		t.repeats.Add(1)
	case n >= len(t.at):
		t.backlog.CompareAndSwap(0, int64(r.At.Sub(t.epoch)))
	case t.at[n].CompareAndSwap(0, int64(r.At.Sub(t.epoch))):
		t.distinct.Add(1)
	default:
		t.repeats.Add(1)
	}
	return http.StatusOK
}

// wait returns when n different events have arrived.
func (t *track) wait(n int64, most time.Duration) error {
	if until(most, func() bool { return t.distinct.Load() >= n }) {
		return nil
	}
	return fmt.Errorf("%d of %d events delivered after %s, %d of them more than once, %d strangers",
		t.distinct.Load(), n, most, t.repeats.Load(), t.strange.Load())
}

// until asks now and then whether something is so, and tells whether it became
// so in time.
func until(most time.Duration, so func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// arrived is when an event reached the sink.
func (t *track) arrived(n int) (time.Time, bool) {
	at := t.at[n-t.base].Load()
	return t.epoch.Add(time.Duration(at)), at != 0
}

// backlogArrived is when the first event of a backlog did.
func (t *track) backlogArrived() (time.Time, bool) {
	at := t.backlog.Load()
	return t.epoch.Add(time.Duration(at)), at != 0
}
