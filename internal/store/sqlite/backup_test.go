package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	backupFrom = "SEAWALL_TEST_BACKUP_FROM"
	backupTo   = "SEAWALL_TEST_BACKUP_TO"
)

// TestBackupProcess is what backsUp runs as a process of its own.
func TestBackupProcess(t *testing.T) {
	from, to := os.Getenv(backupFrom), os.Getenv(backupTo)
	if from == "" {
		t.Skip("run by the tests of backups")
	}
	if err := sqlite.Backup(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
}

// backUp backs up from another process, as the command does beside a gateway.
func backUp(t *testing.T, from, to string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBackupProcess$")
	cmd.Env = append(os.Environ(), backupFrom+"="+from, backupTo+"="+to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestG1_ABackupUnderLoadHoldsAllThatWasAcked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "seawall.db")
	s := open(t, path, sqlite.Options{Exclusive: true})
	refill(t, s, "orders", "before-", 5000) // enough to copy that commits fall between

	var mu sync.Mutex
	var acked []seawall.EventID
	var count atomic.Int64
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				a := benchAcceptance(fmt.Sprint("load-", i, "-", n), time.Now(), "orders", "")
				if _, err := s.Accept(context.Background(), []store.Acceptance{a}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked = append(acked, a.Event.ID)
				mu.Unlock()
				count.Add(1)
			}
		})
	}
	for round := range 3 {
		for begun := count.Load(); count.Load() < begun+100; {
			runtime.Gosched()
		}
		mu.Lock()
		before := acked
		mu.Unlock()
		to := filepath.Join(dir, fmt.Sprint("copy-", round))
		backUp(t, path, to)
		if now := count.Load(); now < int64(len(before))+10 {
			t.Errorf("while the store was copied, %d events were accepted", now-int64(len(before)))
		}
		restored(t, to, before)
	}
	close(stop)
	senders.Wait()
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// restored opens a copy as a gateway would, and looks for events in it.
func restored(t *testing.T, path string, ids []seawall.EventID) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the copy: %v, %v", info, err)
	}
	if problems, err := sqlite.Check(t.Context(), path); err != nil || len(problems) > 0 {
		t.Fatalf("the copy is not sound: %q, %v", problems, err)
	}
	c := open(t, path, sqlite.Options{Exclusive: true})
	defer c.Close()
	for _, id := range ids {
		if _, err := c.Event(t.Context(), id); err != nil {
			t.Fatalf("acknowledged before the copy was begun: %v", err)
		}
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBackupNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "seawall.db"), filepath.Join(dir, "precious")
	open(t, path, sqlite.Options{Exclusive: true})
	if err := os.WriteFile(to, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := sqlite.Backup(t.Context(), path, to)
	if !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	if err := sqlite.Backup(t.Context(), path, path); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("onto itself: %v", err)
	}
}

func TestBackupLeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "seawall.db"), filepath.Join(dir, "copy")
	s := open(t, path, sqlite.Options{})
	refill(t, s, "orders", "e", 500)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sqlite.Backup(canceled, path, to); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := sqlite.Backup(t.Context(), filepath.Join(dir, "none.db"), to); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("of a store that is not there: %v", err)
	}
	s.Close()
	damage(t, path)
	if err := sqlite.Backup(t.Context(), path, to); err == nil {
		t.Error("a damaged store was backed up as if it were sound")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// damage overwrites a page in the middle of a file that nobody has open.
func damage(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 4096)
	for i := range page {
		page[i] = 0xa5
	}
	if _, err := f.WriteAt(page, info.Size()/4096/2*4096); err != nil {
		t.Fatal(err)
	}
}

func TestCheckSaysWhatItCannotLookAt(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.db")
	if _, err := sqlite.Check(t.Context(), none); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("no store: %v", err)
	}
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Error("looking made one")
	}
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Check(t.Context(), empty); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("an empty file: %v", err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if problems, err := sqlite.Check(t.Context(), garbage); err != nil || len(problems) != 1 {
		t.Errorf("no SQLite file: %q, %v", problems, err)
	}
}
