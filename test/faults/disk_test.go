package faults

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

const (
	answerWithin = time.Second      // while nothing can be stored
	resumeWithin = 10 * time.Second // once it can be again
)

// answers collects what senders are told.
type answers struct {
	mu      sync.Mutex
	ok      int
	by      map[int]int
	slowest time.Duration // of those that were no 2xx
}

func (a *answers) note(status int, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if status/100 == 2 {
		a.ok++
		return
	}
	if a.by == nil {
		a.by = map[int]int{}
	}
	a.by[status]++
	a.slowest = max(a.slowest, took)
}

func (a *answers) acked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ok
}

func (a *answers) busy() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.by[503]
}

// Row 4. The disk, or the file that the process may write, is full: 503 at once,
// nothing lost, the process stays. Then there is room again, and it goes on by
// itself.
func TestG1_AFullDiskIsSurvived(t *testing.T) {
	t.Run("24 MiB tmpfs", func(t *testing.T) {
		dir := mount(t, "-t", "tmpfs", "-o", "size=24m", "tmpfs")
		fills(t, dir, nil, ballast(t, dir, 16<<20))
	})
	t.Run("prlimit", func(t *testing.T) {
		need(t, "prlimit")
		fills(t, t.TempDir(), []string{"prlimit", "--fsize=" + strconv.Itoa(8<<20) + ":unlimited"}, func(pid int) error {
			return exec.Command("prlimit", "--pid", strconv.Itoa(pid), "--fsize=unlimited").Run()
		})
	})
	t.Run("64 MiB ext4", func(t *testing.T) {
		if !*rows.Full {
			t.Skip("at full length only")
		}
		need(t, "mkfs.ext4", "losetup")
		disk := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(disk, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(disk, 64<<20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", disk).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		dir := mount(t, "-o", "loop", disk)
		fills(t, dir, nil, ballast(t, dir, 40<<20))
	})
}

// mount mounts something for the length of the test.
func mount(t *testing.T, args ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		t.Skipf("this machine does not let us mount: %s", out)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// ballast takes room that can be given back.
func ballast(t *testing.T, dir string, size int) (free func(pid int) error) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(int) error { return os.Remove(path) }
}

func fills(t *testing.T, dir string, wrap []string, free func(pid int) error) {
	s := open(t, t.TempDir(), witness.Setup{Store: "sqlite:" + filepath.Join(dir, "seawall.db")}, nil)
	s.gateway.Wrap = wrap
	s.start()
	s.ready()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var told answers
	sender := witness.NewSender(ctx, s.history, 100_000, told.note, s.gateway.Addr)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	generated := make(chan struct{})
	go func() { sender.Run(sending, 600); close(generated) }()
	until(t, time.Minute, "the disk is full", func() bool { return told.busy() > 0 })
	stop()
	<-generated
	before := told.acked()
	refused := told.busy()
	until(t, 20*time.Second, "senders are refused again and again", func() bool { return told.busy() > refused+500 })
	if err := s.gateway.Ended(0); !errors.Is(err, witness.ErrStays) {
		s.fatal("it ended: %v", err)
	}
	if err := free(s.gateway.PID()); err != nil {
		t.Fatal(err)
	}
	during := told.acked()
	resumed := until(t, resumeWithin, "events are accepted again", func() bool { return told.acked() > during })
	for seq := range 100 { // the room must do for them
		sender.Queue(1_000_000 + seq)
	}
	s.settle(sender, time.Minute)
	if told.slowest > answerWithin {
		t.Errorf("a refusal took %s, want at most %s", told.slowest, answerWithin)
	}
	for status, n := range told.by {
		if status != 503 {
			t.Errorf("%d answers %d", n, status)
		}
	}
	t.Logf("%d accepted until it was full; %d refusals, the slowest in %s; accepting again after %s",
		before, told.by[503], told.slowest.Round(time.Millisecond), resumed.Round(time.Millisecond))
}
