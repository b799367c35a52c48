package nodes

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
)

// Row 9: a node stands still for longer than its leases, and goes on as if
// nothing had been. By then others have its lanes: it starts nothing, and what
// it records is refused.
func TestG4_PausedNodeSettlesNothing(t *testing.T) {
	pauses := rows.Times(2, 50)
	s := open(t, stage{})
	r := rows.Random(9)
	s.send(200, time.Duration(pauses)*90*time.Second+time.Minute)
	s.shared()

	var slowest time.Duration
	for i := range pauses {
		long := 5*time.Second + time.Duration(r.Int64N(int64(55*time.Second)))
		if !*rows.Full { // one that outlasts the lease, and one that does not
			long = []time.Duration{18 * time.Second, 5 * time.Second}[i%2]
		}
		began := time.Now()
		must(t, s.fleet.Pause(s.ctx, r.IntN(2), long))
		slowest = max(slowest, s.longestSilence(began))
		s.shared()
	}
	if slowest > takeoverWithin {
		t.Errorf("a queue delivered nothing for %s", slowest)
	}
	s.settle()
	t.Logf("%d pauses, no queue silent for longer than %s", pauses, slowest.Round(time.Millisecond))
}

// longestSilence is for how long at most a queue has delivered nothing.
func (s *scene) longestSilence(since time.Time) time.Duration {
	l := s.history.Silences(since, time.Now())[0]
	return l.To.Sub(l.From)
}
