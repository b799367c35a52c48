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
const mostEvents = 4 << 20

// track notes when each event first reached the sink, at the cost of one
// atomic write.
type track struct {
	epoch    time.Time
	at       []atomic.Int64 // nanoseconds since epoch; 0: not yet
	distinct atomic.Int64
	repeats  atomic.Int64
	strange  atomic.Int64 // nothing that we sent
}

func newTrack() *track {
	return &track{epoch: time.Now(), at: make([]atomic.Int64, mostEvents)}
}

func (t *track) receive(r load.Request) int {
	n, ok := load.Seq(r.Body)
	switch {
	case !ok || n >= len(t.at):
		t.strange.Add(1)
	case t.at[n].CompareAndSwap(0, int64(r.At.Sub(t.epoch))):
		t.distinct.Add(1)
	default:
		t.repeats.Add(1)
	}
	return http.StatusOK
}

// wait returns when n different events have arrived.
func (t *track) wait(n int64, most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for t.distinct.Load() < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events delivered after %s, %d of them more than once, %d strangers",
				t.distinct.Load(), n, most, t.repeats.Load(), t.strange.Load())
		}
	}
	return nil
}

// arrived is when an event reached the sink.
func (t *track) arrived(n int) (time.Time, bool) {
	at := t.at[n].Load()
	return t.epoch.Add(time.Duration(at)), at != 0
}
