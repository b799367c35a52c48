package sqlite

import (
	"syscall"

	lib "modernc.org/sqlite/lib"
)

// rangeWrite is SYNC_FILE_RANGE_WRITE of sync_file_range(2).
const rangeWrite = 2

// writeBack has the kernel begin to write what was written to the file, so that
// the sync that follows some time later finds little. It promises nothing, and
// errors are that sync's to report.
func (c *conn) writeBack() {
	f, err := c.file()
	if err != nil {
		return
	}
	fd := (*lib.TunixFile)(pointer(f)).Fh
	_ = syscall.SyncFileRange(int(fd), 0, 0, rangeWrite)
}
