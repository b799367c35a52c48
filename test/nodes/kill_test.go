package nodes

import (
	"context"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 1: one of two nodes is killed and started again, at random times, while
// events come. Now and then the other one is left alone long enough to take
// over what the killed one had.
func TestG4_KilledNodesLoseNothing(t *testing.T) {
	const (
		first, last = 50 * time.Millisecond, 2 * time.Second
		leftAlone   = 10 // of so many kills the last one
	)
	kills := rows.Times(8, 300)
	s := open(t, stage{})
	r := rows.Random(1)
	s.send(rate(), time.Duration(kills)*5*time.Second+time.Minute)
	s.shared()
	var slowest time.Duration
	for i := range kills {
		witness.Pause(s.ctx, first+time.Duration(r.Int64N(int64(last-first))))
		node := r.IntN(2)
		must(t, s.fleet.Kill(node))
		if (i+1)%leftAlone == 0 || i+1 == kills {
			slowest = max(slowest, s.flowing(time.Now(), takeoverWithin))
		}
		must(t, s.fleet.Nodes[node].Start())
		s.sender.Repeat()
	}
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	for _, g := range s.fleet.Nodes {
		must(t, g.Ready(ctx))
	}
	s.settle()
	t.Logf("%d kills, takeover within %s", kills, slowest.Round(time.Millisecond))
}
