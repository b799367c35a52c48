package faults

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 17, on one node. SIGHUP again and again under load, with a valid file, an
// invalid one, and another bound on concurrency in turn: no request fails, and
// nothing is lost, repeated or sent beyond the largest bound.
func TestG10_ReloadsUnderLoadFailNothing(t *testing.T) {
	var flying, most atomic.Int64
	s := open(t, t.TempDir(), witness.Setup{}, func(witness.Received) int {
		n := flying.Add(1)
		defer flying.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		witness.Pause(t.Context(), 20*time.Millisecond)
		return 200
	})
	s.start()
	s.ready()
	n := rows.Times(24, 200)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Second+time.Minute)
	defer cancel()
	var told answers
	sender := witness.NewSender(ctx, s.history, 200_000, told.note, s.gateway.Addr)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	generated := make(chan struct{})
	go func() { sender.Run(sending, 500); close(generated) }()

	const reloaded, refused = "configuration reloaded", "configuration not reloaded"
	for i := range n {
		setup, want := s.setup, reloaded
		setup.Slots = []int{64, 8, 32, 1}[i/2%4]
		if i%2 == 1 {
			setup.Extra, want = "surprise: yes", refused
		}
		if err := s.gateway.Configure(setup); err != nil {
			t.Fatal(err)
		}
		before := s.gateway.Logged(want)
		if err := s.gateway.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, 10*time.Second, want, func() bool { return s.gateway.Logged(want) > before })
		witness.Pause(ctx, 50*time.Millisecond)
	}
	if err := s.gateway.Configure(s.setup); err != nil {
		t.Fatal(err)
	}
	if err := s.gateway.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	stop()
	<-generated
	s.settle(sender, time.Minute)
	if len(told.by) > 0 {
		t.Errorf("requests failed: %v", told.by)
	}
	if most.Load() > int64(s.setup.Slots) {
		t.Errorf("%d deliveries in flight, at most %d", most.Load(), s.setup.Slots)
	}
	if _, acked, _, _ := s.history.Counts(); acked < n*20 {
		t.Errorf("%d events acknowledged: too few to tell", acked)
	} else {
		t.Logf("%d reloads, half of them refused; %d events acknowledged and delivered, at most %d in flight", n, acked, most.Load())
	}
}
