package pgcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// newDir makes a short directory name, since a socket's path may have some 100
// characters only. The name tells which process it belongs to, so that what a
// killed test left behind is removed by the next one.
func newDir(owner *syscall.Credential, o Options) (string, error) {
	sweep()
	in := os.TempDir()
	switch {
	case o.InMemory && roomy(memory):
		in = memory
	case o.Dir != "":
		in = o.Dir
	}
	dir, err := os.MkdirTemp(in, fmt.Sprintf("seawall-pg-%d-", os.Getpid()))
	if err != nil {
		return "", err
	}
	if owner != nil {
		err = os.Chown(dir, int(owner.Uid), int(owner.Gid))
	}
	return dir, err
}

const memory = "/dev/shm"

// roomy tells whether a directory has room for a test's data.
func roomy(dir string) bool {
	const room = 4 << 30
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && s.Bavail*uint64(s.Bsize) > room
}

// sweep removes directories of processes that are no more.
func sweep() {
	var left []string
	for _, in := range []string{os.TempDir(), memory} {
		found, _ := filepath.Glob(filepath.Join(in, "seawall-pg-*"))
		left = append(left, found...)
	}
	for _, dir := range left {
		name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "seawall-pg-"), "-")
		pid, err := strconv.Atoi(name)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && len(processesIn(filepath.Join(dir, "data"))) == 0 {
			os.RemoveAll(dir)
		}
	}
}

// processesIn returns the processes that work in a directory: each process of a
// PostgreSQL server works in its data directory, whoever its parent is by now.
func processesIn(dir string) (pids []int) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	for _, link := range links {
		// The kernel says so where the directory has been removed meanwhile.
		at, err := os.Readlink(link)
		if err != nil || strings.TrimSuffix(at, " (deleted)") != dir {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
