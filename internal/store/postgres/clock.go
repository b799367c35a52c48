package postgres

import (
	"sync/atomic"
	"time"
)

// Leases and retention go by the database's clock in the statements themselves.
// What else has a time, when something falls due and when a key expires, is
// computed by nodes, and must be the same time for all of them: each adds what its
// own clock lacks.

const qClock = "SELECT " + now

// clockApart is from what difference on a node goes by the database's clock. Below
// it nothing is added, so that time does not tremble.
const clockApart = 2 * time.Second

// skew is how far the database's clock is ahead of this node's.
type skew struct{ ahead atomic.Int64 }

// Ahead is how far the database's clock is ahead of this node's; 0 while they agree
// to about two seconds.
func (s *Store) Ahead() time.Duration { return time.Duration(s.skew.ahead.Load()) }

// time is this node's time, by the database's clock where they differ.
func (s *Store) time() time.Time { return s.own().Add(s.Ahead()) }

// compareClock notes how far the clocks are apart, and logs it when that begins or
// ends. theirs was read between asked and answered, which are of our own clock.
func (s *Store) compareClock(theirs, asked, answered time.Time) {
	s.days.oldest.Store(dayAt(theirs) - daysBehind)
	was, least, most := s.Ahead(), theirs.Sub(answered), theirs.Sub(asked)
	if was >= least-clockApart && was <= most+clockApart {
		return
	}
	ahead := least + (most-least)/2
	if ahead.Abs() <= clockApart {
		ahead = 0
	}
	s.skew.ahead.Store(int64(ahead))
	switch {
	case ahead == 0:
		s.log.Info("the clocks of this node and of the database agree again")
	case was == 0:
		s.log.Warn("the clocks of this node and of the database differ: the database's counts",
			"ahead", ahead.Round(time.Millisecond), "hint", "is the time of both kept by NTP?")
	}
}
