package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

// ordered makes an event's delivery one of its entity's line.
func ordered(a *store.Acceptance, o seawall.Ordering, version int64) {
	a.Event.Version = fmt.Sprint(version)
	rank, _ := order.Rank([]string{a.Event.Version}, order.Integer)
	a.Event.Entity = a.Deliveries[0].Entity
	d := &a.Deliveries[0]
	d.Order, d.Rank = o, order.On(a.Event.Source, rank)
}

// BenchmarkLine accepts and settles events of 10,000 entities, one after the other
// as they come, with and without an order: the difference is what order costs.
func BenchmarkLine(b *testing.B) {
	var plain float64
	for _, o := range []seawall.Ordering{seawall.Unordered, seawall.Sequence, seawall.Latest} {
		b.Run(o.String(), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "seawall.db"), sqlite.Options{})
			ls, err := s.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			concurrently(b, 64, func(i int64) error {
				a := benchAcceptance(fmt.Sprint("evt_1Nabcdefghijkl", i), time.Now(), "orders", fmt.Sprint("order/", scattered(i)))
				a.Event.Entity = a.Deliveries[0].Entity
				if o != seawall.Unordered {
					ordered(&a, o, i)
				}
				if _, err := s.Accept(context.Background(), []store.Acceptance{a}); err != nil {
					return err
				}
				out, err := s.Settle(context.Background(), []store.Settlement{benchSettlement(ls[0], a.Event.Seq, a.Deliveries[0])})
				if err == nil && out[0] != store.Done {
					err = fmt.Errorf("settled as %d", out[0])
				}
				return err
			})
			report(b, s)
			cost := b.Elapsed().Seconds() / float64(b.N)
			if o == seawall.Unordered {
				plain = cost
			}
			b.ReportMetric(plain/cost, "of-unordered")
		})
	}
}

// scattered is one of 10,000, of which neighbours in time have nothing in common.
func scattered(i int64) uint64 { return uint64(i) * 0x9E3779B97F4A7C15 >> 32 % 10_000 }
