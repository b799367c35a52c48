package lane

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A queue that always has some in hand works in the memory that it has: in order,
// and without holding on to what was taken.
func TestAHandThatIsNeverEmptyStaysWhereItIs(t *testing.T) {
	for _, depth := range []int{1, 2, 3, 7, 10, 16, 100, 300} {
		q := &queue{lane: &lane{ctx: context.Background()}, halted: make(chan struct{}), under: map[string]seawall.DeliveryID{}, working: 1}
		q.concurrency.Store(1) // the one that works already: no other is started
		taken, grown, shelf := 0, 0, (*entry)(nil)
		for i := range 5_000 {
			if !q.hold(entry{Claimed: store.Claimed{Delivery: seawall.Delivery{Attempts: i + 1}}}) {
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

// What a person cancels while it is in hand, and long before it is tried, is not sent.
func TestG6_WhatIsCanceledInHandIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		tried := make(map[seawall.DeliveryID]bool)
		r, stop := start(m, func(_ context.Context, c *store.Claimed, _ Pass) store.Settlement {
			m.mu.Lock()
			tried[c.Delivery.ID] = true
			m.mu.Unlock()
			time.Sleep(10 * time.Second) // slow, and well: no breaker opens
			return store.Settlement{State: seawall.Delivered}
		}, "a")
		synctest.Wait()
		ds := accept(m, r, "a", 200)
		time.Sleep(time.Minute)
		last := ds[len(ds)-1].ID
		m.mu.Lock()
		m.pending["a"] = slices.DeleteFunc(m.pending["a"], func(c store.Claimed) bool { return c.Delivery.ID == last })
		m.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if tried[last] || len(tried) != len(ds)-1 {
			t.Errorf("%d of %d were sent, the canceled one too: %v", len(tried), len(ds), tried[last])
		}
	})
}

// A sender's headers count in hand like a body does.
func TestG8_HeadersInHandAreCounted(t *testing.T) {
	ev := &seawall.Event{Headers: http.Header{}, Body: []byte("{}")}
	for i := range 490 { // so many, and 64 KiB, may come
		ev.Headers[fmt.Sprintf("X-%d", i)] = []string{fmt.Sprintf("%0120d", i)}
	}
	if n := bulk(ev); n < 115_000 || n > 150_000 { // 120 KB were measured
		t.Errorf("%d bytes", n)
	}
}
