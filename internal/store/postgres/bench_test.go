package postgres_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

var kilobyte = bytes.Repeat([]byte("k"), 1024)

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

// bench is a store on a server of its own, on a disk, and what it cost so far.
type bench struct {
	*postgres.Store
	conn  *pgx.Conn // to ask the server
	wal   int64
	cpu   time.Duration
	began postgres.Stats
}

func newBench(b *testing.B) *bench {
	b.Helper()
	c := pgcluster.Start(b, pgcluster.Options{Settings: map[string]string{"shared_buffers": "512MB", "max_wal_size": "4GB"}})
	if err := c.CreateDatabase("seawall", ""); err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), c.URL("seawall")+"&application_name=bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(context.Background()) })
	return &bench{Store: open(b, c.URL("seawall"), postgres.Options{}), conn: conn}
}

func (s *bench) reset(b *testing.B) {
	s.wal, s.cpu, s.began = s.walNow(b), s.cpuNow(b), s.Stats()
	b.ResetTimer()
}

// report tells what an event cost: commits, bytes of log, and the time of the
// processor that the server's sessions took.
func (s *bench) report(b *testing.B, events int) {
	b.StopTimer()
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(s.Stats().Commits-s.began.Commits)/float64(events), "commits/event")
	b.ReportMetric(float64(s.walNow(b)-s.wal)/float64(events), "WAL-B/event")
	b.ReportMetric(float64((s.cpuNow(b)-s.cpu).Microseconds())/float64(events), "server-µs/event")
}

func (s *bench) walNow(b *testing.B) (n int64) {
	b.Helper()
	if err := s.conn.QueryRow(b.Context(), "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// cpuNow sums over the sessions, where the system tells (Linux).
func (s *bench) cpuNow(b *testing.B) (d time.Duration) {
	b.Helper()
	rows, err := s.conn.Query(b.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = 'seawall'")
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 12 {
			for _, f := range fields[11:13] {
				ticks, _ := strconv.Atoi(f)
				d += time.Duration(ticks) * 10 * time.Millisecond
			}
		}
	}
	return d
}

// BenchmarkAccept accepts 1 KB events with a dedupe key and one delivery, each
// caller waiting for its own.
func BenchmarkAccept(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := newBench(b)
			s.reset(b)
			concurrently(b, callers, func(i int64) error {
				_, err := s.Accept(context.Background(), []store.Acceptance{benchAcceptance(fmt.Sprint("evt_1Nabcdefghijkl", i), time.Now(), "orders", "")})
				return err
			})
			s.report(b, b.N)
		})
	}
}

// BenchmarkPath accepts and settles each event, as a gateway whose destinations
// keep up does.
func BenchmarkPath(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := newBench(b)
			ls, err := s.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			s.reset(b)
			concurrently(b, callers, func(i int64) error {
				a := benchAcceptance(fmt.Sprint("evt_1Nabcdefghijkl", i), time.Now(), "orders", "")
				if _, err := s.Accept(context.Background(), []store.Acceptance{a}); err != nil {
					return err
				}
				in := benchSettlement(ls[0], a.Deliveries[0])
				in.Seq = a.Event.Seq
				out, err := s.Settle(context.Background(), []store.Settlement{in})
				if err == nil && out[0] != store.Done {
					err = fmt.Errorf("settled as %d", out[0])
				}
				return err
			})
			s.report(b, b.N)
		})
	}
}

func benchSettlement(l store.Lease, d seawall.Delivery) store.Settlement {
	now := time.Now()
	return store.Settlement{Lease: l, Delivery: d.ID, State: seawall.Delivered, At: now,
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
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkClaimSettle claims 100 deliveries and settles them, again and again,
// from a backlog of which half waits for a dead destination and a tenth is of
// one entity. What a round costs must not depend on how many wait.
func BenchmarkClaimSettle(b *testing.B) {
	for _, pending := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(pending), func(b *testing.B) {
			if pending > 10_000 && testing.Short() {
				b.Skip("takes a minute to fill")
			}
			s := newBench(b)
			fillBacklog(b, s, pending)
			ls, err := s.Acquire(b.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			s.reset(b)
			for i := range b.N {
				claimSettle(b, s, ls[0], i == 0)
				b.StopTimer() // what left the backlog is replaced
				refill(b, s, "orders", fmt.Sprint("refill-", b.N, "-", i, "-"), 100)
				b.StartTimer()
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/100*1e6, "µs/delivery")
		})
	}
}

// claimSettle takes 100 deliveries and delivers them.
func claimSettle(b *testing.B, s *bench, l store.Lease, rescan bool) {
	due, _, err := s.Claim(b.Context(), l, store.Claim{Destination: "orders", Now: time.Now(), Limit: 100, Rescan: rescan})
	if err != nil || len(due) != 100 {
		b.Fatalf("claimed %d: %v", len(due), err)
	}
	in := make([]store.Settlement, len(due))
	for i, d := range due {
		in[i] = benchSettlement(l, d.Delivery)
		in[i].Seq = d.Event.Seq
	}
	if _, err := s.Settle(b.Context(), in); err != nil {
		b.Fatal(err)
	}
}

// refill accepts n events for a destination.
func refill(b testing.TB, s *bench, destination, id string, n int) {
	b.Helper()
	batch := make([]store.Acceptance, n)
	for i := range batch {
		batch[i] = benchAcceptance(fmt.Sprint(id, i), time.Now(), destination, "")
	}
	if _, err := s.Accept(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
}

// fillBacklog accepts events for a dead destination (half of them), for one
// entity at orders (a tenth) and for 20 other entities at orders and elsewhere.
func fillBacklog(b *testing.B, s *bench, n int) {
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
