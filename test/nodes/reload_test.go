package nodes

import (
	"syscall"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 17, reload: one node after the other reads its file anew, under load. No
// request fails, nothing is lost or repeated, and in the end both run the same.
func TestG10_ReloadsFailNoRequest(t *testing.T) {
	reloads := rows.Times(20, 200)
	s := open(t, stage{})
	s.send(rate(), time.Duration(reloads)*5*time.Second+time.Minute)
	s.shared()
	before := s.revision(0)
	for i := range reloads {
		g := s.fleet.Nodes[i%2]
		// All files say the same, as they do where one is rolled out; the one that
		// is read first makes the revision.
		for j, each := range s.fleet.Nodes {
			setup := s.fleet.Setups[j]
			setup.Slots = slots + 1 - i%2
			must(t, each.Configure(setup))
		}
		must(t, g.Signal(syscall.SIGHUP))
		s.until(10*time.Second, "both nodes run what the one has read", func() bool {
			return s.revision(0) == s.revision(1) && s.revision(0) > before
		})
		before = s.revision(0)
		witness.Pause(s.ctx, 50*time.Millisecond)
	}
	s.settle()
	if n := s.history.Failed(); n > 0 {
		t.Errorf("%d requests failed: %v", n, s.answers.of)
	}
	if n := s.history.Repeated(); n > 0 {
		t.Errorf("%d deliveries repeated", n)
	}
	t.Logf("%d reloads, up to revision %d", reloads, before)
}

// revision is the number of the configuration that a node runs; 0 if it does not
// say.
func (s *scene) revision(node int) int64 {
	n, err := s.fleet.Nodes[node].Revision(s.ctx)
	if err != nil {
		return 0
	}
	return n
}
