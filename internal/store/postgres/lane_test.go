package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
)

// A node renews its leases in whatever order it has them, while outcomes of all
// its lanes are written: neither has the other wait in a circle, which would hold
// up both for a second.
func TestG7_RenewalsAndSettlementsNeverWaitInACircle(t *testing.T) {
	url := database(t)
	s := open(t, url, postgres.Options{})
	var lanes []store.Lane
	for i := range 40 {
		lanes = append(lanes, store.Lane{System: fmt.Sprint("system ", i)})
	}
	leases, err := s.Acquire(t.Context(), "n1", lanes, time.Minute)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				var ss []store.Settlement
				for _, l := range leases {
					ss = append(ss, store.Settlement{Lease: l, Delivery: seawall.EventID{1}.Delivery(1), Seq: 1, State: seawall.Delivered, At: time.Now()})
				}
				if _, err := s.Settle(t.Context(), ss); err != nil {
					t.Errorf("settle: %v", err)
				}
			}
		})
	}
	for ctx.Err() == nil {
		some := slices.Clone(leases)
		rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		if _, err := s.Renew(t.Context(), some, time.Minute); err != nil {
			t.Errorf("renew: %v", err)
		}
	}
	all.Wait()
	c := connect(t, url)
	var deadlocks int
	time.Sleep(time.Second) // the server counts them a little later
	must(t, c.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks))
	if deadlocks > 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
}
