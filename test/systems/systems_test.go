package systems

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

func TestMain(m *testing.M) { rows.Main(m, pgcluster.Main) }

// scene is what a row happens in.
type scene struct{ *rows.Scene }

const patience = rows.Patience

// each runs a row on one node and on two.
func each(t *testing.T, row func(t *testing.T, nodes int)) { rows.Each(t, row) }

func open(t *testing.T, nodes int, setup witness.Setup) *scene {
	t.Helper()
	return &scene{rows.Open(t, nodes, setup)}
}

// send posts events to a source without a signature, to all nodes by turns.
func (s *scene) send(source string, n int) {
	s.Helper()
	for i := range n {
		addr := s.Fleet.Nodes[i%len(s.Fleet.Nodes)].Addr
		status, said, err := s.Do(http.MethodPost, "http://"+addr+"/in/"+source, http.Header{"Content-Type": {"application/json"}},
			fmt.Sprintf(`{"source":%q,"n":%d}`, source, sent.Add(1)))
		if err != nil || status != http.StatusOK {
			s.Abort("an event was answered %d: %v: %s", status, err, said)
		}
	}
}

var sent atomic.Int64

// spread sends events, now and then, until every node has delivered some of them:
// a limit that only one node knows of would show nothing before. It returns how
// many it sent.
func (s *scene) spread(source string) (n int) {
	s.Helper()
	left := map[int]int{}
	for i, g := range s.Fleet.Nodes {
		left[i], _ = g.Attempts(s.Context())
	}
	s.Until(patience, "every node delivers", func() bool {
		s.send(source, 4)
		n += 4
		witness.Pause(s.Context(), 300*time.Millisecond)
		for i, before := range left {
			if now, err := s.Fleet.Nodes[i].Attempts(s.Context()); err == nil && now > before {
				delete(left, i)
			}
		}
		return len(left) == 0
	})
	return n
}

// system is how a system stands, as a node knows it.
type system struct {
	Name    string
	Breaker string
	Pending int
	Held    int
	Dead    int
}

// system reads how one stands.
func (s *scene) system(node int, name string) system {
	s.Helper()
	var page struct{ Data []system }
	s.Ask(node, "/systems", &page)
	for _, y := range page.Data {
		if y.Name == name {
			return y
		}
	}
	s.Abort("no system %s", name)
	return system{}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
