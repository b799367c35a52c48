package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// turns are builds of the gateway on PostgreSQL, at one fixed rate in turn: a few
// seconds each, again and again. At half load what counts is how long an answer
// takes, which builds that run at the same time would spoil for each other.
type turns struct {
	Binaries []string `json:"binaries"`
	Turns    [][]turn `json:"turns"` // of each binary, of each round
}

// turn is one stretch of one build.
type turn struct {
	P50   float64 `json:"ack_p50_ms"`
	P99   float64 `json:"ack_p99_ms"`
	CPU   float64 `json:"cpu_us"`          // an event: gateway and database
	DB    float64 `json:"database_cpu_us"` // of it the database
	Syncs float64 `json:"syncs"`           // of the log, an event
}

// compareTurns takes this tree's build first, then those asked for. The first round
// is for warming up.
func compareTurns(ctx context.Context, o options) (r *turns, err error) {
	rate := o.fixed
	if rate == 0 {
		rate = 2500
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(true)) }()
	r = &turns{Binaries: append([]string{b.gateway}, o.builds...)}
	trials := make([]*trial, len(r.Binaries))
	defer func() {
		for _, t := range trials {
			if t != nil {
				err = errors.Join(err, t.end())
			}
		}
	}()
	of := slices.IndexFunc(contenders, func(c contender) bool { return c.name == "postgres" })
	for i, binary := range r.Binaries {
		b.gateway = binary
		if trials[i], err = b.begin(contenders[of], filepath.Join(b.dir, fmt.Sprint("build-", i))); err != nil {
			return nil, err
		}
	}
	r.Turns = make([][]turn, len(trials))
	for round := range o.runs + 1 {
		for k := range trials {
			i := (k + round) % len(trials) // who goes first changes
			one, err := trials[i].turn(o.conns, rate, o.span)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			if round > 0 {
				r.Turns[i] = append(r.Turns[i], one)
			}
			progress("round %d, build %d: %+.2f", round, i, one)
		}
	}
	return r, nil
}

// turn is a stretch of one build, and what it cost.
func (t *trial) turn(conns int, rate float64, span time.Duration) (u turn, err error) {
	before, err := t.spent()
	if err != nil {
		return u, err
	}
	res, err := t.stretch(conns, rate, span)
	if err != nil {
		return u, err
	}
	after, err := t.spent()
	if err != nil {
		return u, err
	}
	n := float64(len(res.Acked))
	figures := run{}
	t.note(figures, res, "")
	return turn{figures["ack p50"], figures["ack p99"], float64((after.all - before.all).Microseconds()) / n,
		float64((after.db - before.db).Microseconds()) / n, (after.syncs - before.syncs) / n}, nil
}

// spending is the processor time of gateway and database, of the database, and syncs.
type spending struct {
	all, db time.Duration
	syncs   float64
}

func (t *trial) spent() (s spending, err error) {
	if s.all, s.db, err = t.server.cpu(); err != nil {
		return s, err
	}
	s.syncs, err = t.pg.syncs()
	return s, err
}

// syncs is how often the log has been synced. Sessions tell within a second or so.
func (p *postgres) syncs() (float64, error) {
	out, err := p.Exec("postgres", "SELECT wal_sync FROM pg_stat_wal")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(out, 64)
}

func (r *turns) print() {
	for i, binary := range r.Binaries {
		median := func(of func(turn) float64) float64 {
			var vs []float64
			for _, t := range r.Turns[i] {
				vs = append(vs, of(t))
			}
			slices.Sort(vs)
			return vs[len(vs)/2]
		}
		fmt.Printf("ack p50 %5.2f ms, p99 %6.2f ms; %6.1f µs an event, of it the database %6.1f; %.3f syncs: %s\n",
			median(func(t turn) float64 { return t.P50 }), median(func(t turn) float64 { return t.P99 }),
			median(func(t turn) float64 { return t.CPU }), median(func(t turn) float64 { return t.DB }),
			median(func(t turn) float64 { return t.Syncs }), binary)
	}
}

func (r *turns) passed() bool { return true }
