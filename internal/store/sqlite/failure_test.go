package sqlite

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/seawall-dev/seawall/seawall"
)

func TestG1_WhichErrorsStopTheStore(t *testing.T) {
	for _, tt := range []struct {
		code     int32
		errno    syscall.Errno
		poisoned bool
	}{
		{lib.SQLITE_IOERR_FSYNC, syscall.EIO, true},
		{lib.SQLITE_IOERR_FSYNC, syscall.ENOSPC, true}, // what was taken may be gone
		{lib.SQLITE_IOERR_WRITE, syscall.EIO, true},
		{lib.SQLITE_IOERR_READ, syscall.EIO, true},
		{lib.SQLITE_CORRUPT, 0, true},
		{lib.SQLITE_FULL, syscall.ENOSPC, false},
		{lib.SQLITE_IOERR_WRITE, syscall.EFBIG, false},
		{lib.SQLITE_IOERR_WRITE, syscall.EDQUOT, false},
		{lib.SQLITE_BUSY, 0, false},
		{lib.SQLITE_READONLY, 0, false},
	} {
		s := openTest(t)
		err := s.judge(fmt.Errorf("commit: %w", &sqlError{code: tt.code, errno: int32(tt.errno), msg: "test"}))
		if !errors.Is(err, seawall.ErrUnavailable) {
			t.Errorf("code %d: %v is not unavailable", tt.code, err)
		}
		if s.poisoned() != tt.poisoned {
			t.Errorf("code %d, errno %v: the store is stopped: %v", tt.code, tt.errno, s.poisoned())
		}
	}
}
