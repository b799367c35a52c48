package faults

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/disk"
	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
	_ "modernc.org/sqlite"
)

// recordPower runs the gateway under load, until its log has been begun anew so
// many times, with every write, sync and acknowledgement recorded. While down,
// the destination refuses odd events, so that they still wait at the end.
func recordPower(t *testing.T, begun, rate int, down *atomic.Bool) (*disk.Trace, *scene) {
	need(t, "strace")
	dir := t.TempDir()
	s := open(t, dir, witness.Setup{Retry: " first: 1s, cap: 2s, max: 100 "}, func(r witness.Received) int {
		if r.Seq%2 == 1 && down.Load() {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	out := filepath.Join(dir, "trace")
	s.gateway.Wrap = disk.Strace(out)
	s.start()
	log := beginnings{path: filepath.Join(dir, "seawall.db-wal")}
	s.load(begun*15_000, rate, func() bool { return log.count() > begun })
	if err := s.gateway.Kill(0); err != nil {
		t.Fatal(err)
	}
	s.history.Kills++
	if err := s.sink.Drain(); err != nil {
		t.Fatal(err)
	}
	trace, err := disk.Read(out, filepath.Join(dir, "seawall.db"))
	if err != nil {
		t.Fatal(err)
	}
	return trace, s
}

// load sends up to so many events at a rate, or fewer if it is enough, and waits
// until all are acknowledged.
func (s *scene) load(events, rate int, enough func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(events/rate)*time.Second+time.Minute)
	defer cancel()
	sender := witness.NewSender(ctx, s.history, 2*events+64, nil, s.gateway.Addr)
	began := time.Now()
	for seq := 0; seq < events && (seq%100 > 0 || !enough()); seq++ {
		witness.Pause(ctx, time.Until(began.Add(time.Duration(seq)*time.Second/time.Duration(rate))))
		if sender.Open() > 500 {
			witness.Pause(ctx, 50*time.Millisecond)
		}
		sender.Queue(seq)
	}
	sender.Close()
	if n := sender.Open(); n > 0 || ctx.Err() != nil {
		s.fatal("%d events not acknowledged", n)
	}
}

// beginnings watches how often SQLite's log is begun anew: its header then gets
// another salt (https://www.sqlite.org/fileformat2.html#walformat). The short logs
// of a gateway that is just making its store do not count.
type beginnings struct {
	path string
	salt [8]byte
	n    int
}

func (b *beginnings) count() int {
	f, err := os.Open(b.path)
	if err != nil {
		return b.n
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() < 2<<20 {
		return b.n
	}
	var now [8]byte
	if _, err := f.ReadAt(now[:], 16); err == nil && now != b.salt {
		b.salt = now
		b.n++
	}
	return b.n
}

// whole opens a store and looks for what was acknowledged: all of it at full
// length, else the latest and some of the others.
func whole(ctx context.Context, dir string, acked []string, r *rand.Rand) error {
	path := filepath.Join(dir, "seawall.db")
	st, err := sqlite.Open(ctx, path, sqlite.Options{Exclusive: true})
	if err != nil {
		return err
	}
	defer st.Close()
	for i, text := range acked {
		if !*rows.Full && i < len(acked)-300 && r.IntN(20) > 0 {
			continue
		}
		if err := there(ctx, st, text); err != nil {
			return fmt.Errorf("acknowledged event %d of %d: %w", i+1, len(acked), err)
		}
	}
	if err := st.Ping(ctx); err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return err
	}
	return sound(ctx, path)
}

// there looks for one event, with its body and its delivery.
func there(ctx context.Context, st *sqlite.Store, text string) error {
	id, err := seawall.ParseEventID(text)
	if err != nil {
		return err
	}
	ev, err := st.Event(ctx, id)
	if err != nil {
		return err
	}
	if _, ok := load.Intact(ev.Body); !ok {
		return fmt.Errorf("%s: its body is not the one that was sent", id)
	}
	if ds, err := st.DeliveriesOf(ctx, id); err != nil || len(ds) != 1 {
		return fmt.Errorf("%s: %d deliveries, %v", id, len(ds), err)
	}
	return nil
}

// sound is SQLite's own verdict.
func sound(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("integrity_check: %s", verdict)
	}
	return nil
}

// cut is a moment at which the power goes, and what the disk makes of it.
type cut struct {
	sync int // what happened is all before this sync took hold
	loss disk.Loss
}

// course is what a record holds, by its syncs.
type course struct {
	log, file []int // which syncs are whose
	begun     int   // the sync after which the log was begun anew for the last time; 0 if it never was
	longest   int64 // the log, in bytes
}

func courseOf(trace *disk.Trace) (c course) {
	n := 0
	for _, op := range trace.Ops {
		ofLog := strings.HasSuffix(op.Path, "-wal")
		switch {
		case op.Kind == disk.Write && ofLog && op.Offset == 0 && c.longest > 1<<20:
			c.begun = n
		case op.Kind == disk.Write && ofLog:
			c.longest = max(c.longest, op.Offset)
		case op.Kind == disk.Sync && op.Ended >= 0 && ofLog:
			c.log = append(c.log, n)
			n++
		case op.Kind == disk.Sync && op.Ended >= 0:
			c.file = append(c.file, n)
			n++
		}
	}
	return c
}

// cuts chooses n moments. The syncs of the file itself are few and dangerous,
// since the log is written over after them; so are those after the log was begun
// anew. Where there are fewer syncs than cuts, some are cut in several ways.
func (c course) cuts(n int, r *rand.Rand) (cs []cut) {
	all := append(slices.Clone(c.file), c.log...)
	for i := range n {
		at := all[r.IntN(len(all))]
		switch {
		case i < n/3:
			at = c.file[r.IntN(len(c.file))]
		case i < n/2 && c.begun > 0:
			at = c.begun + r.IntN(min(20, len(all)-c.begun))
		}
		cs = append(cs, cut{at, disk.RandomLoss(r)})
	}
	slices.SortFunc(cs, func(a, b cut) int { return a.sync - b.sync })
	return cs
}

// replay makes the disk of each cut and has it judged. It returns what was wrong.
func replay(t *testing.T, trace *disk.Trace, cs []cut, r *rand.Rand, lie func(*disk.Op) bool, judge func(dir string, acked []string) error) (wrong []string) {
	t.Helper()
	m := disk.NewImage(trace)
	m.Lie = lie
	dir := images(t)
	op, ok := m.ToSync()
	for i := 0; ok && len(cs) > 0; i++ {
		for ; len(cs) > 0 && cs[0].sync == i; cs = cs[1:] {
			if err := m.Cut(dir, cs[0].loss, r); err != nil {
				t.Fatal(err)
			}
			if err := judge(dir, m.Acked()); err != nil {
				wrong = append(wrong, fmt.Sprintf("power lost before sync %d, of %s, unsynced writes: %s: %v",
					i, filepath.Base(op.Path), cs[0].loss, err))
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		op, ok = m.ToSync()
	}
	return wrong
}

// images is where disks are made: in memory, if the machine has that.
func images(t *testing.T) string {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "seawall-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "disk")
}

// Row 2. What a run of the real binary writes and syncs is recorded, with its
// answers to the senders in the same order, and replayed into a disk at the
// moment of a cut: what had been synced is there; of the rest nothing, all, any
// pages, any sectors, or the beginning. The store must open, be sound, and hold
// every event that had been acknowledged by then, with its delivery. One such
// disk the gateway is started on, and must deliver from.
//
// Whoever changes how the log is moved or begun anew runs this:
//
//	go test ./test/faults -run TestG1_PowerLoss -v -timeout 1h -faults.full
func TestG1_PowerLossLosesNothingAcknowledged(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	trace, s := recordPower(t, rows.Times(1, 3), rows.Size(2000, 1000), &down)
	c := courseOf(trace)
	if len(c.file) < 3 || c.begun == 0 {
		t.Fatalf("the file was synced %d times, the log last begun anew before sync %d: too few to tell; it grew to %d MB",
			len(c.file), c.begun, c.longest>>20)
	}
	t.Logf("%d syncs of the log, %d of the file; the log grew to %d MB", len(c.log), len(c.file), c.longest>>20)
	r := rows.Random(2)
	check := func(dir string, acked []string) error { return whole(t.Context(), dir, acked, r) }

	t.Run("cuts", func(t *testing.T) {
		wrong := replay(t, trace, c.cuts(rows.Times(40, 2000), r), r, nil, check)
		for _, w := range wrong[:min(len(wrong), 10)] {
			t.Error(w)
		}
		if len(wrong) > 10 {
			t.Errorf("and %d more", len(wrong)-10)
		}
	})
	last := []cut{{len(c.log) + len(c.file) - 1, disk.Dropped}}
	t.Run("delivered", func(t *testing.T) {
		down.Store(false)
		if wrong := replay(t, trace, last, r, nil, func(dir string, acked []string) error { return s.deliver(t, dir, acked) }); len(wrong) > 0 {
			t.Error(wrong[0])
		}
	})
	// The replay is only worth something if it notices a gateway that does not
	// sync, or writes its log over before the file is synced.
	for name, suffix := range map[string]string{"a log that is not synced": "-wal", "a file that is not synced": ".db"} {
		t.Run("planted: "+name, func(t *testing.T) {
			lie := func(op *disk.Op) bool { return strings.HasSuffix(op.Path, suffix) }
			if wrong := replay(t, trace, last, r, lie, check); len(wrong) == 0 {
				t.Error("went unnoticed")
			}
		})
	}
}

// put replaces the gateway's store by the files in dir.
func (s *scene) put(dir string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		name := "seawall.db" + suffix
		if err := os.Remove(filepath.Join(s.gateway.Dir, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(s.gateway.Dir, name), text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deliver starts the gateway on a disk and waits until everything that had been
// acknowledged, and refused by the destination, is delivered.
func (s *scene) deliver(t *testing.T, dir string, acked []string) error {
	if err := s.put(dir); err != nil {
		return err
	}
	owed := map[string]bool{}
	for _, id := range acked {
		owed[id] = true
	}
	s.gateway.Wrap = nil
	if err := s.gateway.Start(); err != nil {
		return err
	}
	defer s.gateway.Discard()
	began := time.Now()
	for deadline := began.Add(40 * time.Second); ; witness.Pause(t.Context(), 50*time.Millisecond) {
		for _, got := range s.history.Received() {
			if got.Delivered() && got.Intact && got.Forged == "" {
				delete(owed, got.Event)
			}
		}
		switch {
		case len(owed) == 0:
			t.Logf("all delivered within %s of the start", time.Since(began).Round(time.Millisecond))
			return s.gateway.Stop()
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d acknowledged events not delivered; %s", len(owed), len(acked), s.gateway.Said())
		}
	}
}
