package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

// Beside the load, a bad destination has this many events waiting before
// anything is measured, and gets as many a second all the while. The gateway it
// is compared with has the same, at a good one.
const (
	badWaiting = 1000
	badRate    = 50
	steadyRate = 500 // of the load, where latency is measured
	badFirst   = 2 * mostEvents
)

// ills are what is measured, one after the other.
var ills = []string{"hang", "drip", "reset", "error", "refuse", "endless", "tls", "dns", "100 of 1000"}

const many = "100 of 1000"

// isolation is what one ill did to the others: ratios of neighbouring runs.
type isolation struct {
	Ill        string    `json:"ill"`
	Throughput []float64 `json:"throughput"` // delivered a second beside a bad destination, against beside a good one
	P99        []float64 `json:"p99"`        // end to end, likewise
	Ms         []float64 `json:"p99_ms"`
}

// bounds are RELIABILITY's: the others' throughput by at most 10 %, p99 by at
// most 20 %; with a tenth of a thousand dead, 30 % both.
func (i isolation) bounds() (throughput, p99 float64) {
	if i.Ill == many {
		return 0.7, 1.3
	}
	return 0.9, 1.2
}

func (i isolation) passed() bool {
	throughput, p99 := i.bounds()
	return *median(i.Throughput) >= throughput && *median(i.P99) <= p99
}

type isolations struct {
	Engine string      `json:"engine"`
	Runs   int         `json:"runs"`
	Ills   []isolation `json:"ills"`
}

func (r *isolations) passed() bool {
	return !slices.ContainsFunc(r.Ills, func(i isolation) bool { return !i.passed() })
}

func (r *isolations) print() {
	fmt.Printf("%s: what the others get beside a bad destination, against beside a good one; medians of %d pairs of runs\n", r.Engine, r.Runs)
	fmt.Printf("%d events wait for it, and it gets %d/s more; throughput all out, p99 end to end at %d/s\n\n", badWaiting, badRate, steadyRate)
	fmt.Printf("%-12s %10s  %-14s %8s  %-14s %8s\n", "", "throughput", "", "p99", "", "")
	for _, i := range r.Ills {
		said := "FAIL"
		if i.passed() {
			said = "PASS"
		}
		fmt.Printf("%-12s %10.2f  %-14s %8.2f  %-14s %5.1f ms  %s\n", i.Ill, *median(i.Throughput), spread(i.Throughput),
			*median(i.P99), spread(i.P99), *median(i.Ms), said)
	}
}

func spread(vs []float64) string {
	return fmt.Sprintf("%.2f to %.2f", slices.Min(vs), slices.Max(vs))
}

// isolate measures each ill in pairs of runs, so that whatever else the machine
// does falls on both.
func isolate(ctx context.Context, o options) (_ *isolations, err error) {
	c := contender{name: "sqlite", title: "SQLite", engine: "sqlite", nodes: 1}
	if slices.Contains(o.only, "postgres") {
		c = contender{name: "postgres", title: "PostgreSQL", engine: "postgres", nodes: 1}
	} else {
		o.only = []string{"sqlite"}
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(err == nil || !o.keep)) }()
	t, err := newTroubles()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	res := &isolations{Engine: c.title, Runs: o.runs}
	for _, ill := range ills {
		i := isolation{Ill: ill}
		for n := range o.runs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			well, err := b.besides(c, t, ill, false, n)
			if err != nil {
				return nil, fmt.Errorf("beside a good one: %w", err)
			}
			badly, err := b.besides(c, t, ill, true, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ill, err)
			}
			i.Throughput = append(i.Throughput, badly["delivered"]/well["delivered"])
			i.P99 = append(i.P99, badly["steady whole p99"]/well["steady whole p99"])
			i.Ms = append(i.Ms, badly["steady whole p99"])
			progress("%-12s %d: delivered %6.0f/s, beside a good one %6.0f/s; p99 %.1f, %.1f ms", ill, n+1,
				badly["delivered"], well["delivered"], badly["steady whole p99"], well["steady whole p99"])
		}
		res.Ills = append(res.Ills, i)
	}
	return res, nil
}

// besides measures a gateway that has a bad destination, or a good one in its
// place.
func (b *bench) besides(c contender, ts *troubles, ill string, bad bool, n int) (run, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("ill-%d-%t-%d", slices.Index(ills, ill), bad, n))
	var good, ailing []string
	t, err := b.beginWith(c, dir, func(sink string) (more beside) {
		switch {
		case ill == many:
			more, good, ailing = ts.many(sink, bad)
		case bad:
			more = ts.one(ill)
		default:
			more = ts.one("calm")
		}
		return more
	}, "")
	if err != nil {
		return nil, err
	}
	t.paths, t.badPaths = good, ailing
	r, err := t.besides(b.options)
	t.server.discard() // what hangs would hold up a stop
	t.server = nil
	if endErr := t.end(); err == nil {
		err = endErr
	}
	if err != nil {
		return nil, err
	}
	return r, os.RemoveAll(dir)
}

// besides is the measurement itself.
func (t *trial) besides(o options) (run, error) {
	waiting := load.Drive(t.badly(8, 0, time.Minute, badFirst, badWaiting))
	if len(waiting.Acked) != badWaiting {
		return nil, fmt.Errorf("%d of %d events for the bad destination were taken: %s", len(waiting.Acked), badWaiting, t.server.said())
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for first := waiting.Next; ctx.Err() == nil; {
			first = load.Drive(t.badly(2, badRate, 200*time.Millisecond, first, 0)).Next
		}
	})
	r := run{}
	if err := t.allOut(o, r); err != nil {
		return nil, err
	}
	res, err := t.stretch(o.conns, steadyRate, o.span)
	if err != nil {
		return nil, err
	}
	t.note(r, res, "steady ")
	return r, nil
}

// badly is a stretch of load on what is bad, or would be.
func (t *trial) badly(conns int, rate float64, span time.Duration, first, most int) load.Plan {
	p := t.server.plan(conns, t.run+"-bad")
	p.Path, p.Paths, p.First, p.Rate, p.For, p.Most = "/in/"+backlogSource, t.badPaths, first, rate, span, most
	return p
}
