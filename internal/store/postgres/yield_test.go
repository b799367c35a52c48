package postgres_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
)

// arrive accepts a version of order/1.
func arrive(t *testing.T, s *postgres.Store, how seawall.Ordering, version int) *seawall.Delivery {
	t.Helper()
	batch := []store.Acceptance{versioned(t, how, "order/1", version)}
	_, err := s.Accept(t.Context(), batch)
	must(t, err)
	return &batch[0].Deliveries[0]
}

// versioned is an event of a version of an entity.
func versioned(t *testing.T, how seawall.Ordering, entity string, version int) store.Acceptance {
	t.Helper()
	a := benchAcceptance(entity+"_"+strconv.Itoa(version), time.Now(), "orders", entity)
	a.Event.Version = strconv.Itoa(version)
	rank, err := order.Rank([]string{a.Event.Version})
	must(t, err)
	d := &a.Deliveries[0]
	d.Order, d.Rank = how, order.On("shop", rank)
	return a
}

// Positions that a node remembers have expired, many of those that one batch joins:
// they are made anew, also while others stand in the way at lines beside them.
func TestG5_ExpiredPositionsAreMadeAnew(t *testing.T) {
	url := database(t)
	s, c := open(t, url, postgres.Options{}), connect(t, url)
	batch := func(version int) {
		var as []store.Acceptance
		for i := range 10 {
			as = append(as, versioned(t, seawall.Latest, fmt.Sprint("order/", 10+i), version))
		}
		_, err := s.Accept(t.Context(), as)
		must(t, err)
	}
	batch(1) // makes them
	batch(2) // they are remembered
	_, err := c.Exec(t.Context(), "DELETE FROM delivery; DELETE FROM position WHERE entity <> 'order/1'")
	must(t, err)
	arrive(t, s, seawall.Latest, 1)
	arrive(t, s, seawall.Latest, 2) // finds the first in its way: what is in the way is read ahead now
	batch(3)
	var positions int
	must(t, c.QueryRow(t.Context(), "SELECT count(*) FROM position").Scan(&positions))
	if positions != 11 {
		t.Errorf("%d positions, want 11", positions)
	}
}

// Two nodes get the first events of one entity at once: both see that nobody has a
// position, one of them makes it, and the other one joins its line.
func TestG5_APositionIsMadeOnce(t *testing.T) {
	url := database(t)
	a, b := open(t, url, postgres.Options{}), open(t, url, postgres.Options{})
	accept(t, a, benchAcceptance("another", time.Now(), "orders", "order/0")) // makes the names
	accept(t, b, benchAcceptance("another", time.Now(), "orders", "order/0"))
	other, watch := connect(t, url), connect(t, url)
	tx, err := other.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE delivery IN SHARE MODE") // which is written after positions were looked for
	must(t, err)
	var wg sync.WaitGroup
	ds := make([]*seawall.Delivery, 2)
	for i, s := range []*postgres.Store{a, b} {
		wg.Go(func() { ds[i] = arrive(t, s, seawall.Sequence, i+1) })
	}
	awaitLocks(t, watch, 2)
	must(t, tx.Commit(t.Context()))
	wg.Wait()
	if ds[0] == nil || ds[1] == nil {
		t.FailNow()
	}
	var turns, positions int
	for _, d := range ds {
		now, err := a.Delivery(t.Context(), d.ID)
		must(t, err)
		if now.State == seawall.Pending {
			turns++
		}
	}
	must(t, watch.QueryRow(t.Context(), "SELECT count(*) FROM position WHERE entity = 'order/1'").Scan(&positions))
	if turns != 1 || positions != 1 {
		t.Errorf("%d of two have the turn, at %d positions", turns, positions)
	}
}

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
