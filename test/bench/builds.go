package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// builds is what an event costs several builds of the gateway and the baseline
// that run at the same time, each under a load of its own. Whatever else the
// machine does falls on all of them in the same seconds, so that a few per cent
// show where runs in turn differ by half.
type builds struct {
	Binaries []string    `json:"binaries"`
	CPU      [][]float64 `json:"cpu_us"` // an event; of each binary, of each round
}

// compareBuilds measures this tree's build first, then those asked for, then the
// baseline, on SQLite. The first round is for warming up.
func compareBuilds(ctx context.Context, o options) (r *builds, err error) {
	o.only = []string{"baseline", "sqlite"}
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(true)) }()
	r = &builds{Binaries: append(append([]string{b.gateway}, o.builds...), "baseline")}
	trials := make([]*trial, len(r.Binaries))
	defer func() {
		for _, t := range trials {
			if t != nil {
				err = errors.Join(err, t.end())
			}
		}
	}()
	for i, binary := range r.Binaries {
		c := contenders[0]
		if binary != "baseline" {
			b.gateway, c = binary, contenders[1]
		}
		if trials[i], err = b.begin(c, filepath.Join(b.dir, fmt.Sprint("build-", i))); err != nil {
			return nil, err
		}
	}
	r.CPU = make([][]float64, len(trials))
	for round := range o.runs + 1 {
		costs, errs := make([]float64, len(trials)), make([]error, len(trials))
		var wg sync.WaitGroup
		for i, t := range trials {
			wg.Go(func() { costs[i], errs[i] = t.cost(o.conns/len(trials), o.span) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if round > 0 {
			for i := range trials {
				r.CPU[i] = append(r.CPU[i], costs[i])
			}
		}
		progress("round %d: %.1f µs an event", round, costs)
	}
	return r, nil
}

// cost is the processor time of an event, in microseconds, over a stretch all out.
func (t *trial) cost(conns int, span time.Duration) (float64, error) {
	before, _, err := t.server.cpu()
	if err != nil {
		return 0, err
	}
	res, err := t.stretch(max(conns, 1), 0, span)
	if err != nil {
		return 0, err
	}
	after, _, err := t.server.cpu()
	return float64((after - before).Microseconds()) / float64(len(res.Acked)), err
}

func (r *builds) print() {
	for i, binary := range r.Binaries {
		fmt.Printf("%6.1f µs an event, %.3f of the first: %s\n", mean(r.CPU[i]), mean(r.CPU[i])/mean(r.CPU[0]), binary)
	}
}

func (r *builds) passed() bool { return true }

func mean(values []float64) (m float64) {
	for _, v := range values {
		m += v / float64(len(values))
	}
	return m
}
