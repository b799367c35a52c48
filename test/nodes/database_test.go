package nodes

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// resumesWithin is how soon after its database is back a node works again.
const resumesWithin = 10 * time.Second

// Row 5: the database is killed, stopped at once, and its connections ended.
func TestG1_DatabaseThatDiesIsNoFalseAck(t *testing.T) {
	c := pgcluster.Start(t, pgcluster.Options{})
	url := database(t, c)
	s := open(t, stage{store: func(int) string { return url }})
	r := rows.Random(5)
	kills, stops := rows.Times(3, 50), rows.Times(1, 20)
	ended := rows.Size(5*time.Second, time.Minute)
	s.send(rate(), time.Duration(kills+stops)*20*time.Second+ended+time.Minute)
	s.shared()

	var slowest time.Duration
	for i := range kills + stops {
		witness.Pause(s.ctx, time.Duration(r.Int64N(int64(time.Second))))
		what, end := "PostgreSQL was killed", c.Kill
		if i >= kills {
			what, end = "PostgreSQL was stopped at once", func() error { return c.Stop(pgcluster.Immediate) }
		}
		over := s.history.Begin(witness.Fault{What: what})
		must(t, end())
		must(t, c.Start())
		back := time.Now()
		slowest = max(slowest, s.flowing(back, resumesWithin))
		s.until(resumesWithin-time.Since(back), "an acknowledgement", func() bool { return s.history.AckedSince(back) > 0 })
		over()
	}
	over := s.history.Begin(witness.Fault{What: "connections were ended"})
	for until := time.Now().Add(ended); time.Now().Before(until); witness.Pause(s.ctx, 100*time.Millisecond) {
		_, err := c.Exec("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
		must(t, err)
	}
	back := time.Now()
	slowest = max(slowest, s.flowing(back, resumesWithin))
	over()
	s.settle()
	t.Logf("%d kills, %d stops, connections ended for %s; delivering again within %s", kills, stops, ended, slowest.Round(time.Millisecond))
}

// database makes one on a cluster of the test's own and returns its URL.
func database(t *testing.T, c *pgcluster.Cluster) string {
	t.Helper()
	must(t, c.CreateDatabase("seawall", ""))
	return c.URL("seawall")
}
