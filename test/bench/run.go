package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

// drainFor bounds how long a run waits for what was accepted to be delivered.
const drainFor = 60 * time.Second

// calm is the rate at which latency is compared with next to no load, in
// events a second.
const calm = 200

// run is one run of one contender: figures by name, see figures.
type run map[string]float64

// trial is a started contender with its sink, fed in stretches.
type trial struct {
	contender
	server   *server
	pg       *postgres
	database string // made for this trial alone
	sink     *load.Sink
	track    *track
	paths    []string // that events are sent to in turn; none: the source's own
	badPaths []string // and those for bad destinations
	dir, run string
	acked    int64
	next     int

	accepting, delivering time.Duration // from the start of the process
}

func (t *trial) start(s setup) (err error) {
	if t.sink, err = load.NewSink(t.track.receive); err != nil {
		return err
	}
	s.sink = t.sink.Addr
	if t.server, err = s.start(); err != nil {
		return err
	}
	if err := t.awaitAccepting(); err != nil {
		return err
	}
	if t.backlog {
		return t.awaitDelivering()
	}
	if t.nodes > 1 {
		return t.awaitSharing()
	}
	return nil
}

// awaitAccepting sends one event until it is taken.
func (t *trial) awaitAccepting() error {
	p := t.server.plan(1, t.run)
	conn, source := load.NewConn(p.Addr), load.NewSource(p.Path, p.Secret, p.Run)
	defer conn.Close()
	taken := until(startFor, func() bool {
		status, err := conn.Do(source.Request(t.next))
		return err == nil && status/100 == 2
	})
	if !taken {
		return fmt.Errorf("nothing accepted after %s: %s", startFor, t.server.said())
	}
	t.accepting = time.Since(t.server.nodes[0].began)
	t.acked, t.next = t.acked+1, t.next+1
	return nil
}

// awaitDelivering waits for the first event of the backlog.
func (t *trial) awaitDelivering() error {
	if !until(startFor, func() bool { return t.track.backlog.Load() != 0 }) {
		return fmt.Errorf("nothing of the backlog delivered after %s: %s", startFor, t.server.said())
	}
	at, _ := t.track.backlogArrived()
	t.delivering = at.Sub(t.server.nodes[0].began)
	return nil
}

// awaitSharing waits until each node has its share of the sink's lanes.
func (t *trial) awaitSharing() error {
	shares := ""
	if until(30*time.Second, func() bool {
		out, err := t.pg.Exec(t.database, "SELECT count(*) FROM lane WHERE system = 'sink' AND node <> '' AND until > now() GROUP BY node ORDER BY node")
		shares = out
		return err == nil && out == "2\n2"
	}) {
		return nil
	}
	return fmt.Errorf("the nodes do not share the lanes: %q: %s", shares, t.server.said())
}

func (t *trial) end() (err error) {
	if t.server != nil {
		err = t.server.stop()
	}
	if t.sink != nil {
		t.sink.Close()
	}
	if t.database != "" {
		err = errors.Join(err, t.pg.DropDatabase(t.database))
	}
	return err
}

// stretch sends at a rate (0: all that is taken) for a while, and waits until
// everything acknowledged has been delivered.
func (t *trial) stretch(conns int, rate float64, span time.Duration) (load.Result, error) {
	p := t.server.plan(conns, t.run)
	p.Paths = t.paths
	p.First, p.Rate, p.For, p.Most = t.next, rate, span, t.track.base+mostEvents-t.next
	res := load.Drive(p)
	t.next = res.Next
	t.acked += int64(len(res.Acked))
	if res.Refused+res.Failed > 0 {
		return res, fmt.Errorf("%d requests refused, %d unanswered: %s", res.Refused, res.Failed, t.server.said())
	}
	if len(res.Acked) == 0 {
		return res, fmt.Errorf("nothing was acknowledged: %s", t.server.said())
	}
	if err := t.track.wait(t.acked, drainFor); err != nil {
		return res, fmt.Errorf("%w: %s", err, t.server.said())
	}
	return res, nil
}

// pace is a stretch at a fixed rate, whose figures begin with a name.
type pace struct {
	name string
	rate float64
}

// paces are those that a contender is measured at: with a backlog or as one of
// two nodes, throughput is what counts.
func (b *bench) paces(c contender) (ps []pace) {
	if c.backlog || c.nodes > 1 || c.named || !b.part["throughput"] {
		return nil
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		if rate := b.rate[engine]; rate > 0 && (c.engine == "" || c.engine == engine) {
			ps = append(ps, pace{"half " + engine + " ", rate})
		}
	}
	return append(ps, pace{"calm ", calm})
}

// measure is one whole run: warm up, all out over all connections, fixed rates.
func (b *bench) measure(c contender, dir string, paces []pace) (run, error) {
	t, err := b.begin(c, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	r, err := t.measure(b.options, paces)
	if endErr := t.end(); err == nil {
		err = endErr
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return r, os.RemoveAll(dir)
}

func (t *trial) measure(o options, paces []pace) (run, error) {
	r := run{"accepting": t.accepting.Seconds()}
	if t.backlog {
		r["delivering"] = t.delivering.Seconds()
	}
	if !o.startOnly() {
		if err := t.allOut(o, r); err != nil {
			return nil, err
		}
	}
	for _, p := range paces {
		res, err := t.stretch(o.conns, p.rate, o.span)
		if err != nil {
			return nil, err
		}
		r[p.name+"rate"] = p.rate
		t.note(r, res, p.name)
	}
	peak, err := t.server.peak()
	if err != nil {
		return nil, err
	}
	r["rss"] = float64(peak) / (1 << 20)
	r["repeats"] = float64(t.track.repeats.Load() + t.track.strange.Load())
	return r, nil
}

func (t *trial) allOut(o options, r run) error {
	if _, err := t.stretch(o.conns, 0, o.warm); err != nil {
		return err
	}
	before, err := t.server.reading(o.disk)
	if err != nil {
		return err
	}
	full, err := t.stretch(o.conns, 0, o.span)
	if err != nil {
		return err
	}
	after, err := t.server.reading(o.disk)
	if err != nil {
		return err
	}
	last := t.note(r, full, "")
	n := float64(len(full.Acked))
	r["acked"] = n / full.Ended.Sub(full.Began).Seconds()
	r["delivered"] = n / last.Sub(full.Began).Seconds()
	r["cpu"] = float64((after.server - before.server).Microseconds()) / n
	if t.pg != nil {
		r["database cpu"] = float64((after.database - before.database).Microseconds()) / n
	}
	if after.written > before.written {
		r["written"] = float64(after.written-before.written) / n
	}
	r["others"] = others(before, after, runtime.NumCPU())
	return nil
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

// once is measure, and once more if others took too much of the machine: the
// quieter of the two counts.
func (b *bench) once(i int, c contender) (run, error) {
	dir := func(again string) string { return filepath.Join(b.dir, fmt.Sprintf("%s-%d%s", c.name, i+1, again)) }
	paces := b.paces(c)
	r, err := b.measure(c, dir(""), paces)
	if err != nil {
		return nil, err
	}
	if r["others"] > quiet && !b.quick {
		progress("run %d, %-16s  others took %.0f %% of the machine: once more", i+1, c.name, r["others"])
		again, err := b.measure(c, dir("-again"), paces)
		if err != nil {
			return nil, err
		}
		if again["others"] < r["others"] {
			r = again
		}
	}
	line := fmt.Sprintf("run %d, %-16s", i+1, c.name)
	if r["delivered"] > 0 {
		line += fmt.Sprintf("  delivered %6.0f/s  ack p99 %6.2f ms  CPU %5.1f µs  others %2.0f %%", r["delivered"], r["ack p99"], r["cpu"], r["others"])
	}
	if c.backlog {
		line += fmt.Sprintf("  accepting after %.2f s, delivering %.2f s", r["accepting"], r["delivering"])
	}
	progress("%s", line)
	return r, nil
}
