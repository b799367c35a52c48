package sqlite

import (
	"errors"
	"syscall"

	lib "modernc.org/sqlite/lib"

	"github.com/seawall-dev/seawall/seawall"
)

var errFailed = seawall.Errorf(seawall.ErrUnavailable, "store: an earlier write to the disk failed").
	WithHint("restart to recover: the store is read anew from what reached the disk")

// Failed is closed once the disk has failed a write or a sync in a way after
// which nothing that this process believes of the file may be trusted. Every
// later write fails; the process should exit and open the store again.
func (s *Store) Failed() <-chan struct{} { return s.failed }

func (s *Store) poisoned() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

// judge turns an error of SQLite, which rolled the transaction back, into what
// callers are told, and poisons the store if it cannot go on.
//
// A full disk is not such a case: the pages that did not fit were refused, not
// lost, and the next commit may find room again. A failed sync is: the kernel
// may have dropped the pages and would report the next sync as fine.
func (s *Store) judge(err error) error {
	if full(err) {
		return seawall.Errorf(seawall.ErrUnavailable, "store: no space: %w", err).
			WithHint("free space where the store is, or shorten the retention")
	}
	switch code(err) & 0xff {
	case 0:
		return err
	case lib.SQLITE_IOERR, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		s.poison(err)
	}
	return seawall.Errorf(seawall.ErrUnavailable, "store: %w", err)
}

func (s *Store) poison(err error) {
	s.failOnce.Do(func() {
		s.log.Error("the store failed and stops writing", "error", err)
		close(s.failed)
	})
}

// full tells whether err means that there is no room: on the disk, within a
// quota, or within the largest file that the process may write.
func full(err error) bool {
	switch c := code(err); {
	case c&0xff == lib.SQLITE_FULL:
		return true
	case c == lib.SQLITE_IOERR_WRITE:
		switch errno(err) {
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
			return true
		}
	}
	return false
}

// constraint tells whether a statement was refused for what it would have
// written, which leaves the transaction usable.
func constraint(err error) bool { return code(err)&0xff == lib.SQLITE_CONSTRAINT }

// errno is the operating system's reason behind err.
func errno(err error) syscall.Errno {
	var e *sqlError
	if errors.As(err, &e) {
		return syscall.Errno(e.errno)
	}
	return 0
}
