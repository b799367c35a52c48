package lane

import (
	"context"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A queue that always has some in hand works in the memory that it has: in order,
// and without holding on to what was taken.
func TestAHandThatIsNeverEmptyStaysWhereItIs(t *testing.T) {
	for _, depth := range []int{1, 2, 3, 7, 10, 16, 100, 300} {
		q := &queue{lane: &lane{ctx: context.Background()}, halted: make(chan struct{}), under: map[string]seawall.DeliveryID{}, working: 1}
		q.concurrency.Store(1) // the one that works already: no other is started
		taken, grown, shelf := 0, 0, (*store.Claimed)(nil)
		for i := range 5_000 {
			if !q.hold(store.Claimed{Delivery: seawall.Delivery{Attempts: i + 1}}) {
				t.Fatal("the queue does not work")
			}
			if i < depth {
				continue
			}
			if first := &q.shelf[:1][0]; first != shelf {
				grown, shelf = grown+1, first
			}
			taken++
			c, ok := q.next(false)
			if !ok || c.Delivery.Attempts != taken {
				t.Fatalf("depth %d: number %d is %d, %v", depth, taken, c.Delivery.Attempts, ok)
			}
			held := 0
			for _, c := range q.shelf[:cap(q.shelf)] {
				if c.Delivery.Attempts != 0 {
					held++
				}
			}
			if held != len(q.hand) {
				t.Fatalf("depth %d: %d in hand, %d held", depth, len(q.hand), held)
			}
		}
		if grown > 5 {
			t.Errorf("depth %d: it got new memory %d times", depth, grown)
		}
	}
}
