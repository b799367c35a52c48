package sqlite_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

var kilobyte = make([]byte, 1024)

func benchAcceptance(id string, now time.Time, destination, entity string) store.Acceptance {
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: id, Type: "order.paid",
		ReceivedAt: now, Method: "POST", URL: "https://hooks.example.com/in/shop", Remote: "192.0.2.1:51234",
		Proof: "stripe v1, secret 1 of 1", Revision: 1, Body: kilobyte,
		Headers: map[string][]string{"Content-Type": {"application/json"}, "User-Agent": {"Shop/1.0"},
			"Content-Length": {"1024"}, "Accept-Encoding": {"gzip"}, "Webhook-Id": {id}, "Webhook-Timestamp": {"1795487276"}},
		Decisions: []seawall.Decision{{Route: "shop to " + destination, Matched: true}}}
	a := store.Acceptance{Event: e, Expires: now.Add(30 * 24 * time.Hour)}
	sum := sha256.Sum256(e.Body)
	copy(a.BodyHash[:], sum[:])
	a.Deliveries = []seawall.Delivery{{ID: e.ID.Delivery(1), Route: "shop to " + destination, Destination: destination,
		System: destination, Entity: entity, Due: now, Revision: 1}}
	return a
}

// BenchmarkAccept accepts 1 KB events with a dedupe key and one delivery, each
// caller waiting for its own.
func BenchmarkAccept(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "seawall.db"), sqlite.Options{Exclusive: true})
			concurrently(b, callers, func(i int64) error {
				_, err := s.Accept(context.Background(), []store.Acceptance{benchAcceptance(fmt.Sprint("evt_1Nabcdefghijkl", i), time.Now(), "orders", "")})
				return err
			})
			report(b, s)
		})
	}
}

// BenchmarkPath accepts and settles each event, as a gateway whose destinations
// keep up does.
func BenchmarkPath(b *testing.B) {
	for _, bm := range []struct {
		name    string
		callers int
		random  bool // source event ids that share no prefix
	}{{"1", 1, false}, {"64", 64, false}, {"64random", 64, true}} {
		b.Run(bm.name, func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "seawall.db"), sqlite.Options{Exclusive: true})
			ls, err := s.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			concurrently(b, bm.callers, func(i int64) error {
				id := fmt.Sprint("evt_1Nabcdefghijkl", i)
				if bm.random {
					id = seawall.NewEventID(time.Now(), rand.Reader).Delivery(1).String()[18:] + id
				}
				a := benchAcceptance(id, time.Now(), "orders", "")
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
		})
	}
}

func benchSettlement(l store.Lease, seq int64, d seawall.Delivery) store.Settlement {
	now := time.Now()
	return store.Settlement{Lease: l, Delivery: d.ID, Seq: seq, State: seawall.Delivered, At: now,
		Attempt: &seawall.Attempt{N: d.Attempts + 1, At: now, Took: time.Millisecond, Revision: 1, Node: "n1",
			Request: seawall.Request{Method: "POST", URL: "https://orders.internal/hooks", Original: true, BodySize: 1024,
				Headers: map[string][]string{"Webhook-Id": {d.ID.String()}, "Webhook-Timestamp": {"1795487276"},
					"Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="}, "Content-Type": {"application/json"}}},
			Response: &seawall.Response{Status: 200, Proto: "HTTP/1.1", Headers: map[string][]string{"Content-Type": {"text/plain"}}, Body: []byte("ok")}}}
}

// concurrently runs f b.N times over all callers.
func concurrently(b *testing.B, callers int, f func(i int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

func report(b *testing.B, s *sqlite.Store) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(s.Stats().Commits)/float64(b.N), "fsyncs/event")
	b.ReportMetric(float64(s.Stats().Frames)/float64(b.N), "pages/event")
}

// BenchmarkClaimSettle claims 100 deliveries and settles them, again and again,
// from a backlog of which half waits for a dead destination and a tenth is of
// one entity. It prints what a round costs, which must not depend on how many
// wait.
func BenchmarkClaimSettle(b *testing.B) {
	var first float64
	for _, pending := range []int{1_000, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(pending), func(b *testing.B) {
			if pending > 10_000 && testing.Short() {
				b.Skip("takes half a minute to fill")
			}
			s := open(b, filepath.Join(b.TempDir(), "seawall.db"), sqlite.Options{Exclusive: true})
			fill(b, s, pending)
			ls, err := s.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				claimSettle(b, s, ls[0])
				b.StopTimer() // what left the backlog is replaced
				refill(b, s, "orders", fmt.Sprint("refill-", b.N, "-", i, "-"), 100)
				b.StartTimer()
			}
			cost := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(cost/100*1e6, "µs/delivery")
			if pending == 1_000 {
				first = cost
			}
			b.ReportMetric(cost/first, "of-smallest")
		})
	}
}

// claimSettle takes 100 deliveries and delivers them.
func claimSettle(b *testing.B, s *sqlite.Store, l store.Lease) {
	now := time.Now()
	due, _, err := s.Claim(b.Context(), l, store.Claim{Destination: "orders", Now: now, Limit: 100})
	if err != nil || len(due) != 100 {
		b.Fatalf("claimed %d: %v", len(due), err)
	}
	in := make([]store.Settlement, len(due))
	for i, d := range due {
		in[i] = benchSettlement(l, d.Event.Seq, d.Delivery)
	}
	if _, err := s.Settle(b.Context(), in); err != nil {
		b.Fatal(err)
	}
}

// refill accepts n events for a destination.
func refill(b testing.TB, s *sqlite.Store, destination, id string, n int) {
	b.Helper()
	batch := make([]store.Acceptance, n)
	for i := range batch {
		batch[i] = benchAcceptance(fmt.Sprint(id, i), time.Now(), destination, "")
	}
	if _, err := s.Accept(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
}

// fill accepts events for a dead destination (half of them), for one entity at
// orders (a tenth) and for 20 other entities at orders and elsewhere.
func fill(b *testing.B, s *sqlite.Store, n int) {
	b.Helper()
	now := time.Now()
	batch := make([]store.Acceptance, 0, 500)
	for i := range n {
		destination, entity := "orders", fmt.Sprint("order/", i%20)
		switch {
		case i%2 == 0:
			destination = "dead"
		case i%10 == 1:
			entity = "order/hot"
		case i%10 == 3:
			destination = fmt.Sprint("other-", i%7)
		}
		a := benchAcceptance(fmt.Sprint("evt_", i), now, destination, entity)
		a.Event.Body = kilobyte[:100] // the disk is shared
		batch = append(batch, a)
		if len(batch) == cap(batch) || i == n-1 {
			if _, err := s.Accept(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}
