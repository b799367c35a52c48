package sqlite

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// What the statements of a line do, counted in SQLite's own steps, does not depend on
// how many wait in it: neither an arrival, nor the turn of the next, nor a claim.
func TestG7_ALongLineCostsNoMoreThanAShortOne(t *testing.T) {
	steps := func(waiting int) map[string]int {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "seawall.db"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var head seawall.Delivery
		for i := 0; i <= waiting; {
			var batch []store.Acceptance
			for ; i <= waiting && len(batch) < 1000; i++ {
				batch = append(batch, inLine(i))
			}
			if _, err := s.Accept(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if head.ID.IsZero() {
				head = batch[0].Deliveries[0]
			}
		}
		ls, err := s.Acquire(t.Context(), "n1", []store.Lane{{System: "orders"}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		work := map[string]int{}
		err = s.write(t.Context(), 0, func(w *txn) error {
			for _, q := range queries {
				w.use(q).work()
			}
			a := inLine(waiting + 1)
			as, _, err := prepare([]store.Acceptance{a})
			if err != nil {
				return err
			}
			if _, err := w.accept(&as[0]); err != nil {
				return err
			}
			in := &settlement{Settlement: &store.Settlement{Lease: ls[0], Delivery: head.ID, State: seawall.Delivered, At: time.Now()}}
			if out, err := w.settle(in); err != nil || out != store.Done || in.Next == nil {
				return fmt.Errorf("settled as %d, next %v: %w", out, in.Next, err)
			}
			for _, q := range queries {
				if n := w.use(q).work(); n > 0 {
					work[q.sql] = n
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if due, _, err := s.Claim(t.Context(), ls[0], store.Claim{Destination: "orders", Now: time.Now(), Rescan: true, Limit: 10}); err != nil || len(due) != 1 {
			t.Fatalf("claimed %d: %v", len(due), err)
		}
		for range s.opened {
			c := <-s.readers
			if n := c.use(qReady).work(); n > 0 {
				work["claim"] = n
			}
			defer func() { s.readers <- c }()
		}
		return work
	}
	long := 20_000
	if testing.Short() {
		long = 2_000
	}
	few, many := steps(10), steps(long)
	for sql, n := range many {
		if n > 2*few[sql]+20 {
			t.Errorf("%d steps with %d waiting, %d with 10:\n%s", n, long, few[sql], sql)
		}
	}
	if many["claim"] == 0 || many[qFirst.sql] == 0 {
		t.Error("nothing was counted")
	}
}

// inLine is the i-th event of one entity.
func inLine(i int) store.Acceptance {
	now := time.Now()
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: fmt.Sprint(i), Entity: "order/1", Version: fmt.Sprint(i), ReceivedAt: now, Body: []byte("{}")}
	rank, err := order.Rank([]string{e.Version}, order.Integer)
	if err != nil {
		panic(err)
	}
	return store.Acceptance{Event: e, Expires: now.Add(time.Hour), Deliveries: []seawall.Delivery{{ID: e.ID.Delivery(1), Route: "r", Destination: "orders",
		System: "orders", Entity: e.Entity, Order: seawall.Sequence, Rank: order.On("shop", rank), Due: now}}}
}
