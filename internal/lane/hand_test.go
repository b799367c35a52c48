package lane

import (
	"context"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A queue that always has a few in hand works in the memory that it has: in order,
// and without holding on to what was taken.
func TestAHandThatIsNeverEmptyStaysWhereItIs(t *testing.T) {
	q := &queue{lane: &lane{ctx: context.Background()}, halted: make(chan struct{}), under: map[string]seawall.DeliveryID{}, working: 1}
	q.concurrency.Store(1) // which runs, so that none is begun
	taken, grown, shelf := 0, 0, (*store.Claimed)(nil)
	for i := range 10_000 {
		if !q.hold(store.Claimed{Delivery: seawall.Delivery{Attempts: i}}) {
			t.Fatal("the queue does not work")
		}
		if i < 10 {
			continue
		}
		if first := &q.shelf[:1][0]; first != shelf {
			grown, shelf = grown+1, first
		}
		c, ok := q.next(false)
		if !ok || c.Delivery.Attempts != taken {
			t.Fatalf("number %d is %d, %v", taken, c.Delivery.Attempts, ok)
		}
		taken++
		held := 0
		for _, c := range q.shelf[:cap(q.shelf)] {
			if c.Delivery.Attempts != 0 {
				held++
			}
		}
		if held > len(q.hand) {
			t.Fatalf("%d in hand, %d held", len(q.hand), held)
		}
	}
	if grown > 5 {
		t.Errorf("it got new memory %d times", grown)
	}
}
