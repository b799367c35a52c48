package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

// drainFor bounds how long a run waits for what was accepted to be delivered.
const drainFor = 60 * time.Second

// run is one run of one contender: figures by name, see figures.
type run map[string]float64

// trial is a started contender with its sink, fed in stretches.
type trial struct {
	*server
	sink  *load.Sink
	track *track
	plan  load.Plan
	acked int64
	next  int
}

func begin(o options, c contender, dir string, wrapper ...string) (*trial, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	t := &trial{track: newTrack()}
	var err error
	if t.sink, err = load.NewSink(t.track.receive); err != nil {
		return nil, err
	}
	if t.server, err = start(c, dir, t.sink.Addr, wrapper...); err != nil {
		t.sink.Close()
		return nil, err
	}
	t.plan = load.Plan{Addr: t.addr, Path: path, Secret: sourceSecret, Run: "bench", Conns: o.conns}
	return t, nil
}

func (t *trial) end() error {
	err := t.stop()
	t.sink.Close()
	return err
}

// stretch sends at a rate (0: all that is taken) for a while, and waits until
// everything acknowledged has been delivered.
func (t *trial) stretch(rate float64, span time.Duration) (load.Result, error) {
	p := t.plan
	p.First, p.Rate, p.For, p.Most = t.next, rate, span, mostEvents-t.next
	res := load.Drive(p)
	t.next = res.Next
	t.acked += int64(len(res.Acked))
	if res.Refused+res.Failed > 0 {
		return res, fmt.Errorf("%d requests refused, %d unanswered: %s", res.Refused, res.Failed, t.said())
	}
	if len(res.Acked) == 0 {
		return res, fmt.Errorf("nothing was acknowledged: %s", t.said())
	}
	if err := t.track.wait(t.acked, drainFor); err != nil {
		return res, fmt.Errorf("%w: %s", err, t.said())
	}
	return res, nil
}

// measure is one whole run: warm up, all out over all connections, fixed rate.
func measure(o options, c contender, dir string, rate float64) (run, error) {
	t, err := begin(o, c, dir)
	if err != nil {
		return nil, err
	}
	r, err := t.measure(o, rate)
	if endErr := t.end(); err == nil {
		err = endErr
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return r, os.RemoveAll(dir)
}

func (t *trial) measure(o options, rate float64) (run, error) {
	if _, err := t.stretch(0, o.warm); err != nil {
		return nil, err
	}
	before, err := t.clock()
	if err != nil {
		return nil, err
	}
	full, err := t.stretch(0, o.span)
	if err != nil {
		return nil, err
	}
	after, err := t.clock()
	if err != nil {
		return nil, err
	}
	r := run{}
	last := t.note(r, full, "")
	n := float64(len(full.Acked))
	r["acked"] = n / full.Ended.Sub(full.Began).Seconds()
	r["delivered"] = n / last.Sub(full.Began).Seconds()
	r["cpu"] = float64((after.server - before.server).Microseconds()) / n
	r["others"] = others(before, after, runtime.NumCPU())

	if rate > 0 {
		r["rate"] = rate
		half, err := t.stretch(rate, o.span)
		if err != nil {
			return nil, err
		}
		t.note(r, half, "half ")
	}
	peak, err := t.peak()
	if err != nil {
		return nil, err
	}
	r["rss"] = float64(peak) / (1 << 20)
	r["repeats"] = float64(t.track.repeats.Load() + t.track.strange.Load())
	return r, nil
}

// note adds a stretch's latencies, in milliseconds, and returns when the last
// event was delivered.
func (t *trial) note(r run, res load.Result, prefix string) (last time.Time) {
	acks := make([]time.Duration, 0, len(res.Acked))
	whole := make([]time.Duration, 0, len(res.Acked))
	for _, s := range res.Acked {
		acks = append(acks, s.Acked.Sub(s.Began))
		at, _ := t.track.arrived(s.Seq)
		whole = append(whole, at.Sub(s.Began))
		if at.After(last) {
			last = at
		}
	}
	ms := func(ds []time.Duration, q float64) float64 { return float64(load.Quantile(ds, q)) / 1e6 }
	r[prefix+"ack p50"], r[prefix+"ack p99"] = ms(acks, 0.5), ms(acks, 0.99)
	r[prefix+"whole p50"], r[prefix+"whole p99"] = ms(whole, 0.5), ms(whole, 0.99)
	return last
}
