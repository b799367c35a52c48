package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
)

// Whoever settles a head that yields may never hear that it is committed: the second
// time changes nothing, whatever became of the head.
func TestG5_AHeadYieldsOnce(t *testing.T) {
	for how, others := range map[seawall.Ordering]int{seawall.Sequence: 1, seawall.Latest: 3} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			s := open(t, database(t), postgres.Options{})
			ls, err := s.Acquire(t.Context(), "n1", []store.Lane{{System: "orders"}}, time.Minute)
			must(t, err)
			head, other := arrive(t, s, how, 2), arrive(t, s, how, others)
			if head.State != seawall.Pending || other.State != seawall.Held {
				t.Fatalf("they are %s and %s", head.State, other.State)
			}
			in := benchSettlement(ls[0], *head)
			in.State, in.Due, in.Attempt.Outcome = seawall.Pending, time.Now().Add(time.Hour), seawall.Refused
			var stood [2]seawall.Delivery
			for i := range stood {
				ss := []store.Settlement{in}
				_, err := s.Settle(t.Context(), ss)
				must(t, err)
				if next := ss[0].Next; i == 0 && (next == nil || next.Delivery.ID != other.ID || next.Event == nil) || i > 0 && next != nil {
					t.Errorf("time %d: handed over %+v", i+1, next)
				}
				now, err := s.Delivery(t.Context(), head.ID)
				must(t, err)
				if stood[i] = *now; now.Attempts != 1 || now.State == seawall.Pending || fmt.Sprint(*now) != fmt.Sprint(stood[0]) {
					t.Errorf("time %d: %+v, at first %+v", i+1, now, stood[0])
				}
				if now, err := s.Delivery(t.Context(), other.ID); err != nil || now.State != seawall.Pending {
					t.Errorf("time %d: the other one is %+v, %v", i+1, now, err)
				}
				if as, err := s.Attempts(t.Context(), head.ID); err != nil || len(as) != 1 {
					t.Errorf("time %d: %d attempts, %v", i+1, len(as), err)
				}
			}
		})
	}
}
