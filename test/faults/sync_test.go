package faults

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/disk"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// exitWithin is how soon a gateway ends after the disk has failed it.
const exitWithin = 5 * time.Second

// A slow machine makes larger groups, and takes longer to come to the sync that
// fails.
const failsWithin = 3 * time.Minute

// Row 3. From some sync on, or some write, every one fails with EIO. Nothing
// that is not on the disk is acknowledged any more, and the process ends soon.
// What the failed sync was to save is then taken away, as a kernel may do, and
// the gateway is started on what is left: nothing acknowledged is missing.
func TestG1_AfterAFailedSyncTheProcessEndsAndLosesNothing(t *testing.T) {
	need(t, "strace")
	r := rows.Random(3)
	for i := range rows.Times(3, 50) {
		calls, n := "fsync,fdatasync", 30+r.IntN(300)
		if i%3 == 2 {
			calls, n = "pwrite64", 300+r.IntN(3000)
		}
		t.Run(fmt.Sprintf("%s from %d on", calls, n), func(t *testing.T) {
			failing(t, fmt.Sprintf("%s:error=EIO:when=%d+", calls, n))
		})
	}
}

func failing(t *testing.T, inject string) {
	dir := t.TempDir()
	s := open(t, dir, witness.Setup{}, nil)
	out := filepath.Join(dir, "trace")
	s.gateway.Wrap = disk.Strace(out, inject)
	ctx, cancel := context.WithTimeout(t.Context(), 2*failsWithin)
	defer cancel()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	sender := witness.NewSender(ctx, s.history, 100_000, nil, s.gateway.Addr)
	generated := make(chan struct{})
	go func() { sender.Run(sending, 300); close(generated) }()
	s.start()
	err := s.gateway.Ended(failsWithin)
	ended := time.Now()
	if err == nil || errors.Is(err, witness.ErrStays) {
		s.fatal("with a disk that fails it ended with %v", err)
	}
	s.history.Kills++
	if err := s.sink.Drain(); err != nil {
		t.Fatal(err)
	}

	trace, err := disk.Read(out, filepath.Join(dir, "seawall.db"))
	if err != nil {
		t.Fatal(err)
	}
	failed := firstFailure(trace)
	if failed == nil {
		t.Fatal("nothing failed")
	}
	if took := ended.Sub(failed.At); took > exitWithin {
		s.fatal("it ended %s after the first failure, want within %s", took, exitWithin)
	}
	m := disk.NewImage(trace)
	for ok := true; ok; {
		_, ok = m.ToSync()
	}
	left := images(t)
	if err := m.Cut(left, disk.Dropped, rows.Random(3)); err != nil {
		t.Fatal(err)
	}
	if err := whole(ctx, left, m.Acked(), rows.Random(3)); err != nil {
		t.Errorf("the first failure was of %s; after it: %v", filepath.Base(failed.Path), err)
	}
	if err := s.put(left); err != nil {
		t.Fatal(err)
	}
	s.gateway.Wrap = nil
	s.start()
	stop()
	<-generated
	s.settle(sender, 40*time.Second)
	_, acked, _, _ := s.history.Counts()
	t.Logf("%d acknowledged before it failed, %d in all; it ended %s after", len(m.Acked()), acked, ended.Sub(failed.At).Round(time.Millisecond))
}

func firstFailure(trace *disk.Trace) *disk.Op {
	for _, op := range trace.Ops {
		if op.Err != "" {
			return op
		}
	}
	return nil
}
