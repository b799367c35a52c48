package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// moveFrames is by how many pages the write-ahead log grows from one pass of the
// mover to the next, and checkpointFrames how long it may get before it is begun
// anew: 4 MB and 64 MB (docs/decisions/store-sqlite.md has the figures).
const (
	moveFrames       = 1000
	checkpointFrames = 16000
)

// restartFrames is how long it may get although readers keep it from being
// begun anew. There may be one at every moment, for as long as claims and lists
// overlap, and the log would grow until the disk is full.
const restartFrames = 2 * checkpointFrames

// syncRounds is how often the mover may sync the file before the log is begun
// anew: each round leaves what was written during the one before.
const syncRounds = 3

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
		w.logLength, w.logBegun, w.mover.seen = 0, 0, 0
	}
	w.s.stats.frames.Add(n - w.logLength)
	w.logLength = n
}

// checkpoint has the log moved into the file. The mover does so bit by bit, while
// commits go on, and syncs the file once the log is long; then the writer itself
// moves the little that came meanwhile, so that the log is moved whole and the
// next commit begins it anew. If the writer moved and synced it all, commits would
// wait for the whole of it. Both see their errors, which SQLite's own hook would
// swallow: a sync of the file that failed must stop the store like one of the log.
//
// A reader may keep the log from being begun anew; what counts is therefore how
// much it grew since it was last moved.
func (w *writer) checkpoint() {
	if w.s.poisoned() {
		return
	}
	m := w.mover
	select {
	case err := <-m.done:
		m.busy = false
		if err != nil {
			w.s.log.Warn("checkpoint failed", "error", w.s.judge(err))
			return
		}
		// What is left is what the log grew by since the mover last looked.
		left := w.logLength - m.seen
		m.seen = w.logLength
		if m.syncs >= syncRounds || m.syncs > 0 && left < moveFrames {
			w.moveRest()
			return
		}
	default:
	}
	long := w.logLength-w.logBegun >= checkpointFrames || w.shrink
	if !m.busy && (w.logLength-m.seen >= moveFrames || long && w.logLength > m.seen) {
		if m.busy = true; long {
			m.syncs++
		}
		m.want <- long
	}
}

// moveRest moves what the mover has left, and what it was kept from.
func (w *writer) moveRest() {
	w.mover.syncs = 0
	w.logBegun, w.shrink = w.logLength, false
	w.s.stats.checkpoints.Add(1)
	if err := w.mover.release(); err != nil {
		w.s.log.Warn("checkpoint failed", "error", w.s.judge(err))
		return
	}
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
