package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// flat is how much dearer claim and settle may get from the smallest backlog to
// the largest: nothing, but for the noise of a shared machine.
const flat = 1.5

const (
	smallBacklog = 1_000
	claimBatch   = 100
	claimRounds  = 300
	claimBody    = 100 // bytes: the disk is shared, and what is claimed is the same
)

// claims is what claim and settle cost on one engine, by how much waits.
type claims struct {
	Engine string      `json:"engine"`
	Lines  []claimLine `json:"backlogs"`
}

type claimLine struct {
	Pending int     `json:"pending"`
	Claim   float64 `json:"claim_us"`  // of a batch, median
	Settle  float64 `json:"settle_us"` // likewise
}

func (l claimLine) cost() float64 { return l.Claim + l.Settle }

// claims measures the store itself, without a gateway: claim a batch, settle it,
// and put as much back, again and again.
func (b *bench) claims(ctx context.Context) (all []claims, err error) {
	for _, engine := range b.engines() {
		c := claims{Engine: engine}
		for _, n := range []int{smallBacklog, b.pending} {
			l, err := b.claim(ctx, engine, n)
			if err != nil {
				return nil, fmt.Errorf("%s, %d pending: %w", engine, n, err)
			}
			progress("%s, %d pending: claim %.0f µs, settle %.0f µs", engine, n, l.Claim, l.Settle)
			c.Lines = append(c.Lines, l)
		}
		all = append(all, c)
	}
	return all, nil
}

func (b *bench) claim(ctx context.Context, engine string, n int) (l claimLine, err error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-claims-%d", engine, n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return l, err
	}
	defer os.RemoveAll(dir)
	addr, database, err := b.newStore(engine, dir)
	if err != nil {
		return l, err
	}
	if database != "" {
		defer func() { err = errors.Join(err, b.pg.DropDatabase(database)) }()
	}
	s, err := openStore(ctx, addr)
	if err != nil {
		return l, err
	}
	sd := &seeder{Store: s}
	l, err = sd.claimLine(ctx, n, func() error {
		if database == "" {
			return nil
		}
		_, err := b.pg.Exec(database, "VACUUM (ANALYZE)")
		return err
	})
	return l, errors.Join(err, s.Close())
}

func (s *seeder) claimLine(ctx context.Context, n int, rest func() error) (l claimLine, err error) {
	l.Pending = n
	if err := s.fill(ctx, n, claimBody, place); err != nil {
		return l, err
	}
	if err := rest(); err != nil {
		return l, err
	}
	ls, err := s.Acquire(ctx, "bench", []store.Lane{{System: sinkDestination}}, time.Hour)
	if err != nil {
		return l, err
	}
	if len(ls) != 1 {
		return l, errors.New("the sink's lane is not to be had")
	}
	if err := s.due(ctx, claimBatch, claimBody); err != nil {
		return l, err
	}
	var claim, settle []float64
	for i := range claimRounds {
		c, st, err := s.round(ctx, ls[0], i == 0)
		if err != nil {
			return l, err
		}
		claim, settle = append(claim, c), append(settle, st)
		if err := s.due(ctx, claimBatch, claimBody); err != nil {
			return l, err
		}
	}
	l.Claim, l.Settle = *median(claim), *median(settle)
	return l, nil
}

// round claims a batch and delivers it; both in microseconds.
func (s *seeder) round(ctx context.Context, l store.Lease, first bool) (claim, settle float64, err error) {
	began := time.Now()
	due, _, err := s.Claim(ctx, l, store.Claim{Destination: sinkDestination, Now: began, Limit: claimBatch, Rescan: first})
	if err != nil {
		return 0, 0, err
	}
	if len(due) != claimBatch {
		return 0, 0, fmt.Errorf("claimed %d of %d", len(due), claimBatch)
	}
	claimed := time.Now()
	in := make([]store.Settlement, len(due))
	for i, d := range due {
		in[i] = settlement(l, d, claimed)
	}
	out, err := s.Settle(ctx, in)
	if err != nil {
		return 0, 0, err
	}
	for _, o := range out {
		if o != store.Done {
			return 0, 0, fmt.Errorf("settled as %d", o)
		}
	}
	return micros(claimed.Sub(began)), micros(time.Since(claimed)), nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// settlement is that of an attempt that went well.
func settlement(l store.Lease, c store.Claimed, now time.Time) store.Settlement {
	d := c.Delivery
	return store.Settlement{Lease: l, Delivery: d.ID, Seq: c.Event.Seq, State: seawall.Delivered, At: now,
		Attempt: &seawall.Attempt{N: d.Attempts + 1, At: now, Took: time.Millisecond, Revision: 1, Node: "bench",
			Request: seawall.Request{Method: "POST", URL: "http://127.0.0.1:9/", Original: true, BodySize: claimBody,
				Headers: map[string][]string{"Webhook-Id": {d.ID.String()}, "Webhook-Timestamp": {"1795487276"},
					"Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="}, "Content-Type": {"application/json"}}},
			Response: &seawall.Response{Status: 200, Proto: "HTTP/1.1"}}}
}

func (c claims) verdict() verdict {
	first, last := c.Lines[0], c.Lines[len(c.Lines)-1]
	v := last.cost() / first.cost()
	return verdict{Title: fmt.Sprintf("claim and settle, %d pending to %d, %s", last.Pending, first.Pending, c.Engine),
		Figure: "claims", Of: c.Engine, Kind: ratio, Sense: atMost, Bound: flat, Value: v, Least: v, Most: v, Pass: v <= flat}
}

func (c claims) print() {
	fmt.Printf("\n%-26s %12s %12s\n", c.Engine+", µs for "+fmt.Sprint(claimBatch), "claim", "settle")
	for _, l := range c.Lines {
		fmt.Printf("%-26s %12.0f %12.0f\n", fmt.Sprint(l.Pending, " pending"), l.Claim, l.Settle)
	}
}
