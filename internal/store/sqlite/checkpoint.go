package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// checkpointFrames is how long the write-ahead log may grow before its pages
// are moved into the database file: 4,000 pages are 16 MB. Shorter logs cost
// throughput, longer ones stall longer (docs/decisions/store-sqlite.md).
const checkpointFrames = 4000

var qCheckpoint = newQuery("PRAGMA wal_checkpoint(PASSIVE)")

// watchLog has SQLite tell the length of the log at each commit.
func (c *conn) watchLog() {
	hook := func(_ *libc.TLS, frames, _, _ uintptr, n int32) int32 {
		*(*int32)(pointer(frames)) = n
		return lib.SQLITE_OK
	}
	lib.Xsqlite3_wal_hook(c.tls, c.db, *(*uintptr)(unsafe.Pointer(&struct {
		f func(*libc.TLS, uintptr, uintptr, uintptr, int32) int32
	}{hook})), c.frames)
}

// checkpoint moves the log into the file when it is long enough. The writer
// does so itself, as SQLite would within COMMIT, but after its callers have
// their answers; and it sees the errors, which SQLite would swallow: a sync of
// the file that failed must stop the store like one of the log.
func (w *writer) checkpoint() {
	n := *(*int32)(pointer(w.frames))
	if n < checkpointFrames || w.s.poisoned() {
		return
	}
	*(*int32)(pointer(w.frames)) = 0
	w.s.stats.checkpoints.Add(1)
	if err := w.use(qCheckpoint).exec(); err != nil {
		w.s.judge(err)
		w.s.log.Warn("checkpoint failed", "error", err)
	}
}

// checkpointSoon has the next checkpoint come after this commit.
func (w *writer) checkpointSoon() { *(*int32)(pointer(w.frames)) = checkpointFrames }
