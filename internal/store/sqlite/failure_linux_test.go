package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// logFiles returns the descriptors under which the process has the log open.
func logFiles(t *testing.T, s *Store) (fds []int) {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", l.Name())); err == nil && to == s.path+"-wal" {
			fd, err := strconv.Atoi(l.Name())
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
	}
	if len(fds) == 0 {
		t.Fatal("the log is not open")
	}
	return fds
}

// divert makes descriptors another file's, so that writing and syncing fail as
// that one does.
func divert(t *testing.T, fds []int, to string, mode int) {
	t.Helper()
	fd, err := syscall.Open(to, mode, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for _, old := range fds {
		if err := syscall.Dup3(fd, old, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func failedYet(s *Store) bool {
	select {
	case <-s.Failed():
		return true
	default:
		return false
	}
}

func TestG1_AfterAFailedSyncNothingIsAcked(t *testing.T) {
	for name, to := range map[string]struct {
		path string
		mode int
	}{
		"sync":  {"/dev/null", syscall.O_RDWR},   // takes every write, refuses the sync
		"write": {"/dev/null", syscall.O_RDONLY}, // refuses the write
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			if err := s.Record(t.Context(), seawall.Action{What: "before"}); err != nil {
				t.Fatal(err)
			}
			log := logFiles(t, s)
			divert(t, log, to.path, to.mode)
			if err := s.Record(t.Context(), seawall.Action{What: "failing"}); !errors.Is(err, seawall.ErrUnavailable) {
				t.Errorf("the write that failed: %v", err)
			}
			if !failedYet(s) {
				t.Error("the store does not say that it failed")
			}
			divert(t, log, s.path+"-wal", syscall.O_RDWR) // works again, but must not be trusted
			if err := s.Record(t.Context(), seawall.Action{What: "after"}); !errors.Is(err, seawall.ErrUnavailable) {
				t.Errorf("a write after it: %v", err)
			}
		})
	}
}

func TestG1_AFullDiskIsRecoveredFrom(t *testing.T) {
	s := openTest(t)
	log := logFiles(t, s)
	divert(t, log, "/dev/full", syscall.O_RDWR)
	for range 2 {
		if err := s.Record(t.Context(), seawall.Action{What: "no room"}); !errors.Is(err, seawall.ErrUnavailable) {
			t.Errorf("on a full disk: %v", err)
		}
	}
	if failedYet(s) {
		t.Error("a full disk counts as a failed one")
	}
	divert(t, log, s.path+"-wal", syscall.O_RDWR)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("once there is room again: %v", err)
	}
	list, err := s.ListActions(t.Context(), "", store.Page{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("what was refused is there: %v, %v", list.Items, err)
	}
}
