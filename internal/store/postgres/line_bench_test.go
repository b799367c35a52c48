package postgres_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// BenchmarkOrdered is BenchmarkPath beside the same where each event is one of 10,000
// entities that are kept in order.
func BenchmarkOrdered(b *testing.B) {
	for _, how := range []seawall.Ordering{seawall.Unordered, seawall.Sequence, seawall.Latest} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprint(how, "/", callers), func(b *testing.B) { benchOrdered(b, how, callers) })
		}
	}
}

func benchOrdered(b *testing.B, how seawall.Ordering, callers int) {
	s := newBench(b)
	ls, err := s.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	const entities = 10_000
	event := func(i int64) store.Acceptance {
		a := benchAcceptance(fmt.Sprint("evt_1Nabcdefghijkl", i), time.Now(), "orders", fmt.Sprint("order/", (i+entities)%entities))
		d := &a.Deliveries[0]
		if d.Order = how; how != seawall.Unordered {
			a.Event.Version = strconv.FormatInt(i, 10)
			rank, err := order.Rank([]string{a.Event.Version})
			if err != nil {
				b.Error(err)
			}
			d.Rank = order.On("shop", rank)
		}
		return a
	}
	for i := int64(-entities); i < 0; { // all are known
		var batch []store.Acceptance
		var ss []store.Settlement
		for ; i < 0 && len(batch) < 200; i++ {
			batch = append(batch, event(i))
		}
		if _, err := s.Accept(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		for _, a := range batch {
			in := benchSettlement(ls[0], a.Deliveries[0])
			in.Seq = a.Event.Seq
			ss = append(ss, in)
		}
		if _, err := s.Settle(b.Context(), ss); err != nil {
			b.Fatal(err)
		}
	}
	s.reset(b)
	concurrently(b, callers, func(i int64) error {
		a := event(i)
		if _, err := s.Accept(context.Background(), []store.Acceptance{a}); err != nil {
			return err
		}
		// What waits is settled by who settles the one before it.
		for next := a.Deliveries[0]; next.State == seawall.Pending; {
			in := benchSettlement(ls[0], next)
			if next.ID == a.Deliveries[0].ID {
				in.Seq = a.Event.Seq
			}
			ss := []store.Settlement{in}
			out, err := s.Settle(context.Background(), ss)
			if err == nil && out[0] != store.Done {
				err = fmt.Errorf("settled as %d", out[0])
			}
			if err != nil || ss[0].Next == nil {
				return err
			}
			next = ss[0].Next.Delivery
		}
		return nil
	})
	s.report(b, b.N)
}
