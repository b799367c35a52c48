package postgres

import "sync/atomic"

// Stats counts what the batchers did since the store was opened.
type Stats struct {
	Commits int64 // transactions, each one round trip
	Ops     int64 // calls that they carried
	Waiting int   // calls that wait now
}

type stats struct{ commits, ops atomic.Int64 }

func (s *stats) committed(ops int) {
	s.commits.Add(1)
	s.ops.Add(int64(ops))
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	return Stats{
		Commits: s.stats.commits.Load(), Ops: s.stats.ops.Load(),
		Waiting: s.accepts.waiting() + s.settles.waiting(),
	}
}
