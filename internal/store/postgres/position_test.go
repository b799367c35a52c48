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

// A delivery that only counts joins again, when it is replayed, a line whose position
// has expired: what comes after it is to find that it was delivered.
func TestG5_AReplayedDeliveryBelongsToALine(t *testing.T) {
	url := database(t)
	s, c := open(t, url, postgres.Options{}), connect(t, url)
	l := lease(t, s, "n1")
	a := benchAcceptance("evt_1", time.Now(), "orders", "order/1")
	a.Deliveries[0].Counts = true
	accept(t, s, a)
	in := benchSettlement(l, a.Deliveries[0])
	in.State = seawall.Dead
	out, err := s.Settle(t.Context(), []store.Settlement{in})
	if err != nil || out[0] != store.Done {
		t.Fatalf("settled as %v, %v", out, err)
	}
	_, err = c.Exec(t.Context(), "DELETE FROM position")
	must(t, err)
	ds, err := s.Replay(t.Context(), []seawall.DeliveryID{a.Deliveries[0].ID}, store.ReplayOptions{At: time.Now()}, seawall.Action{By: "test", At: time.Now()})
	if err != nil || len(ds) != 1 {
		t.Fatalf("replayed %v, %v", ds, err)
	}
	var there int
	must(t, c.QueryRow(t.Context(), "SELECT count(*) FROM delivery d JOIN position p ON p.id = d.line").Scan(&there))
	if there != 1 {
		t.Error("it belongs to a line that is not there")
	}
}
