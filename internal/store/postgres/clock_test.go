package postgres

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// Nodes whose clocks are an hour ahead or behind hold and respect leases like
// any other: only the database's clock counts.
func TestG4_LeasesGoByTheDatabasesClock(t *testing.T) {
	url := pgcluster.Shared(t)
	node := func(off time.Duration) *Store {
		t.Helper()
		s, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		s.now = func() time.Time { return time.Now().Add(off) }
		return s
	}
	nodes := map[string]*Store{"right": node(0), "ahead": node(time.Hour), "behind": node(-time.Hour)}
	acquire := func(name, system string) int {
		t.Helper()
		ls, err := nodes[name].Acquire(t.Context(), name, []store.Lane{{System: system}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return len(ls)
	}
	for owner := range nodes {
		if n := acquire(owner, owner); n != 1 {
			t.Fatalf("the node that is %s got %d leases", owner, n)
		}
		for other := range nodes {
			if other != owner && acquire(other, owner) != 0 {
				t.Errorf("the node that is %s took a lane that the one that is %s holds", other, owner)
			}
		}
	}
}
