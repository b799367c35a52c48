package sqlite

import (
	"sync/atomic"
	"time"
)

// Stats counts what the writer did since the store was opened.
type Stats struct {
	Commits     int64         // transactions; each is one fsync of the log
	Ops         int64         // calls that they carried
	LargestOps  int64         // calls in the largest
	Busy        time.Duration // spent in transactions, syncs included
	Frames      int64         // pages written to the log
	Checkpoints int64         // two fsyncs each
	Waiting     int           // calls that wait now
}

type stats struct {
	commits, ops, largest, busy, frames, checkpoints atomic.Int64
}

func (s *stats) committed(ops int, took time.Duration) {
	s.commits.Add(1)
	s.ops.Add(int64(ops))
	s.busy.Add(int64(took))
	if int64(ops) > s.largest.Load() {
		s.largest.Store(int64(ops))
	}
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	s.queue.mu.Lock()
	waiting := len(s.queue.ops)
	s.queue.mu.Unlock()
	return Stats{
		Commits:     s.stats.commits.Load(),
		Ops:         s.stats.ops.Load(),
		LargestOps:  s.stats.largest.Load(),
		Busy:        time.Duration(s.stats.busy.Load()),
		Frames:      s.stats.frames.Load(),
		Checkpoints: s.stats.checkpoints.Load(),
		Waiting:     waiting,
	}
}
