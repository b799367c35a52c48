package nodes

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 6: the primary fails and its synchronous standby takes its place; the old
// one comes back as the standby of the new one. Every other time the old
// primary is not dead but goes on beside the new one, and nodes are still
// connected to it: without a standby it can make nothing durable, and must not
// have anything acknowledged.
func TestG1_FailoverLosesNothing(t *testing.T) {
	promotions := rows.Times(2, 20)
	primary := pgcluster.Start(t, pgcluster.Options{})
	database(t, primary)
	standby, err := primary.Standby()
	must(t, err)
	t.Cleanup(func() { must(t, standby.Close()) })
	url := pgcluster.URLOf("seawall", primary, standby)
	s := open(t, stage{store: func(int) string { return url }})
	r := rows.Random(6)
	s.send(rate(), time.Duration(promotions)*60*time.Second+time.Minute)
	s.shared()

	var slowest time.Duration
	for i := range promotions {
		witness.Pause(s.ctx, time.Duration(r.Int64N(int64(2*time.Second))))
		over := s.history.Begin(witness.Fault{What: "the primary failed"})
		if i%2 == 0 {
			must(t, primary.Kill())
			must(t, standby.Promote())
		} else {
			must(t, standby.Promote())
			witness.Pause(s.ctx, 5*time.Second)
		}
		must(t, primary.Rejoin(standby))
		primary, standby = standby, primary
		back := time.Now()
		slowest = max(slowest, s.flowing(back, takeoverWithin))
		s.until(takeoverWithin, "an acknowledgement", func() bool { return s.history.AckedSince(back) > 0 })
		over()
	}
	s.settle()
	t.Logf("%d failovers; delivering again within %s of the standby's return", promotions, slowest.Round(time.Millisecond))
}
