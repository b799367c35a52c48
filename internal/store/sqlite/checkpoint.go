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

// restartFrames is how long it may get although readers keep it from being
// begun anew. There may be one at every moment, for as long as claims and lists
// overlap, and the log would grow until the disk is full.
const restartFrames = 4 * checkpointFrames

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

// logged counts the pages of the commit that just ended.
func (w *writer) logged() {
	n := int64(*(*int32)(pointer(w.frames)))
	if n < w.logLength { // begun anew
		w.logLength, w.logMoved = 0, 0
	}
	w.s.stats.frames.Add(n - w.logLength)
	w.logLength = n
}

// checkpoint moves the log into the file when it has grown enough since it last
// was. The writer does so itself, as SQLite would within COMMIT, but after its
// callers have their answers; and it sees the errors, which SQLite would
// swallow: a sync of the file that failed must stop the store like one of the
// log. A reader may keep the log from being begun anew, hence "since it last
// was": without that, each commit would be followed by a sync of the file.
func (w *writer) checkpoint() {
	if w.logLength-w.logMoved < checkpointFrames && !w.shrink || w.s.poisoned() {
		return
	}
	w.logMoved, w.shrink = w.logLength, false
	w.s.stats.checkpoints.Add(1)
	if w.logLength >= restartFrames {
		// Without readers everything is moved; those that come after that read
		// the file alone, and so leave the log to the next commit.
		defer w.s.holdReaders()()
	}
	if err := w.use(qCheckpoint).exec(); err != nil {
		w.s.log.Warn("checkpoint failed", "error", w.s.judge(err))
	}
}

// holdReaders waits until no connection reads, and keeps it so until release.
func (s *Store) holdReaders() (release func()) {
	held := make([]*conn, 0, s.opened)
	for range s.opened {
		held = append(held, <-s.readers)
	}
	return func() {
		for _, c := range held {
			s.readers <- c
		}
	}
}
