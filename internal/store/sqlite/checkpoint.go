package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// moveFrames is how many pages of the write-ahead log the mover takes at a time,
// and checkpointFrames how long the log may grow before the writer has it begun
// anew: 2 MB and 64 MB (docs/decisions/store-sqlite.md has the figures).
const (
	moveFrames       = 500
	checkpointFrames = 16000
)

// restartFrames is how long it may get although readers keep it from being
// begun anew. There may be one at every moment, for as long as claims and lists
// overlap, and the log would grow until the disk is full.
const restartFrames = 2 * checkpointFrames

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
		w.logLength, w.logMoved, w.logBegun = 0, 0, 0
	}
	w.s.stats.frames.Add(n - w.logLength)
	w.logLength = n
}

// checkpoint moves the log into the file. The mover does so bit by bit, while
// commits go on; once the log is long the writer itself takes the little that
// came meanwhile, so that the log is moved whole and the next commit begins it
// anew. If the writer moved it all, commits would wait for the whole of it. Both
// see their errors, which SQLite's own hook would swallow: a sync of the file
// that failed must stop the store like one of the log.
//
// A reader may keep the log from being begun anew; what counts is therefore how
// much it grew since it was last moved.
func (w *writer) checkpoint() {
	if w.s.poisoned() {
		return
	}
	select {
	case err := <-w.mover.done:
		w.mover.busy = false
		if err != nil {
			w.s.log.Warn("checkpoint failed", "error", w.s.judge(err))
			return
		}
		if w.logLength-w.logBegun >= checkpointFrames || w.shrink {
			w.moveRest()
		}
	default:
	}
	if !w.mover.busy && (w.logLength-w.logMoved >= moveFrames || w.shrink) {
		w.mover.busy, w.logMoved = true, w.logLength
		w.mover.want <- struct{}{}
	}
}

// moveRest moves what the mover has left.
func (w *writer) moveRest() {
	w.logMoved, w.logBegun, w.shrink = w.logLength, w.logLength, false
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

// mover moves pages of the log into the file, on a connection of its own.
type mover struct {
	c    *conn
	want chan struct{} // holds one
	done chan error    // holds one
	end  chan struct{} // closed when it has ended
	busy bool          // the writer's: a pass is under way
}

func newMover(c *conn) *mover {
	return &mover{c: c, want: make(chan struct{}, 1), done: make(chan error, 1), end: make(chan struct{})}
}

func (m *mover) run() {
	defer close(m.end)
	for range m.want {
		m.done <- m.c.use(qCheckpoint).exec()
	}
}

// close lets a pass under way end; the writer must have ended.
func (m *mover) close() {
	close(m.want)
	<-m.end
	m.c.close()
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
