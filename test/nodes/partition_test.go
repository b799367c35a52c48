package nodes

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/faultproxy"
	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 8, the partition: between one node and the database nothing passes, and
// nobody says so. The other node takes over; what the first one still has under
// way arrives when the network is back, and changes nothing.
func TestG4_NodeCutOffFromTheDatabase(t *testing.T) {
	proxies, store := behind(t, pgcluster.Shared(t))
	s := open(t, stage{store: store})
	s.send(rate(), 5*time.Minute)
	s.shared()

	over := s.history.Begin(witness.Fault{What: "node 0 was cut off from the database"})
	cut := time.Now()
	proxies[0].Set(faultproxy.Weather{Dark: true})
	s.flowing(cut.Add(leaseOver), takeoverWithin) // what the node still delivers on its lease is no takeover
	slowest := time.Since(cut)
	if slowest > takeoverWithin {
		t.Errorf("all queues deliver again only after %s", slowest)
	}
	witness.Pause(s.ctx, rows.Size(20*time.Second, time.Minute)-time.Since(cut))
	proxies[0].Set(faultproxy.Weather{})
	witness.Pause(s.ctx, 3*time.Second)
	over()
	s.shared()
	s.settle()
	t.Logf("taken over within %s", slowest.Round(time.Millisecond))
}

// leaseOver is when a node that can renew nothing has stopped by itself.
const leaseOver = 13 * time.Second

// Row 8, bad weather: every packet late, and then connections that are reset.
func TestG1_LateAndResetConnections(t *testing.T) {
	proxies, store := behind(t, pgcluster.Shared(t))
	s := open(t, stage{store: store})
	s.send(100, 5*time.Minute)
	s.shared()
	for what, w := range map[string]faultproxy.Weather{
		"packets were late":      {Latency: 200 * time.Millisecond, Jitter: 100 * time.Millisecond},
		"connections were reset": {Reset: 0.01},
	} {
		over := s.history.Begin(witness.Fault{What: what})
		for _, p := range proxies {
			p.Set(w)
		}
		for until := time.Now().Add(rows.Size(6*time.Second, time.Minute)); time.Now().Before(until); {
			s.flowing(time.Now(), takeoverWithin)
		}
		for _, p := range proxies {
			p.Set(faultproxy.Weather{})
		}
		over()
		s.flowing(time.Now(), resumesWithin)
	}
	resets := proxies[0].Resets() + proxies[1].Resets()
	if resets == 0 {
		t.Error("no connection was reset: nothing was shown")
	}
	s.settle()
	t.Logf("%d connections reset", resets)
}
