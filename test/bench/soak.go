package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	soakLoad    = 0.6 // of what was delivered all out
	soakSamples = 30
	// kept is how long events are kept, as a share of the soak: what retention
	// deletes is as much as arrives for most of it.
	kept = 6
)

// soaked is what a soak saw.
type soaked struct {
	For      string    `json:"for"`
	Rate     float64   `json:"rate"`
	Kept     string    `json:"kept"`
	Samples  []run     `json:"samples"`
	Verdicts []verdict `json:"verdicts"`
	CPUs     int       `json:"cpus"`
	Go       string    `json:"go"`
}

// soakFigures are the columns, in the order they are printed.
var soakFigures = []figure{
	{"at", "s", "", 0},
	{"delivered", "events/s", "", 0},
	{"ack p99", "ack p99", "", 1},
	{"whole p99", "e2e p99", "", 1},
	{"waiting", "waiting", "", 0},
	{"hot", "hot MiB", "", 1},
	{"hot indexes", "indexes", "", 1},
	{"dead", "dead rows", "", 0},
	{"vacuums", "vacuums", "", 0},
	{"dedupe", "dedupe MiB", "", 1},
	{"events", "events", "", 0},
	{"all", "all MiB", "", 0},
	{"wal", "WAL MiB/s", "", 1},
	{"disk", "disk MiB/s", "", 1},
	{"rss", "RSS MiB", "", 0},
	{"goroutines", "goroutines", "", 0},
	{"descriptors", "fds", "", 0},
	{"connections", "conns", "", 0},
	{"others", "others %", "", 0},
}

// flatness is what must not grow: from the second third of a soak to the last,
// by the medians.
var flatness = []struct {
	figure, title string
	most          float64
}{
	{"hot", "the hot table", 1.1},
	{"hot indexes", "its indexes", 1.1},
	{"all", "all tables and indexes", 1.1},
	{"rss", "memory of the gateway", 1.05},
	{"goroutines", "goroutines", 1.05},
	{"descriptors", "descriptors", 1.05},
}

// soak loads PostgreSQL steadily and watches what grows.
func soak(ctx context.Context, o options) (s *soaked, err error) {
	o.only, o.pending = []string{"postgres"}, 1000
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(err == nil || !o.keep)) }()
	var c contender
	for _, c = range contenders {
		if c.name == "postgres" {
			break
		}
	}
	probe, err := b.measure(c, filepath.Join(b.dir, "probe"), nil)
	if err != nil {
		return nil, err
	}
	keep := max(o.soak/kept, 10*time.Second).Round(time.Second)
	s = &soaked{For: o.soak.String(), Kept: keep.String(), Rate: soakLoad * probe["delivered"], CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if o.fixed > 0 {
		s.Rate = o.fixed
	}
	progress("all out %.0f/s; %.0f/s for %s, events kept for %s", probe["delivered"], s.Rate, o.soak, keep)
	t, err := b.beginWith(c, filepath.Join(b.dir, "soak"), nil, fmt.Sprintf("retention: { events: %s, dead: %s }\n", keep, keep))
	if err != nil {
		return nil, err
	}
	err = s.watch(ctx, b, t)
	if endErr := t.end(); err == nil {
		err = endErr
	}
	if err != nil {
		return nil, err
	}
	s.judge()
	return s, nil
}

func (s *soaked) watch(ctx context.Context, b *bench, t *trial) error {
	began := time.Now()
	every := max(b.soak/soakSamples, 2*time.Second)
	s.header()
	for time.Since(began) < b.soak {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := t.sample(b, s.Rate, every)
		if err != nil {
			return err
		}
		r["at"] = time.Since(began).Seconds()
		s.Samples = append(s.Samples, r)
		s.line(r)
	}
	return nil
}

// sample is one stretch of the load and what is there after it.
func (t *trial) sample(b *bench, rate float64, span time.Duration) (run, error) {
	t.track.restart(t.next)
	t.acked = 0
	before, err := t.server.reading(b.disk)
	if err != nil {
		return nil, err
	}
	wal, err := t.pg.numbers(t.database, []string{"wal_bytes"}, "pg_stat_wal")
	if err != nil {
		return nil, err
	}
	res, err := t.stretch(b.conns, rate, span)
	if err != nil {
		return nil, err
	}
	after, err := t.server.reading(b.disk)
	if err != nil {
		return nil, err
	}
	r := run{"others": others(before, after, runtime.NumCPU())}
	last := t.note(r, res, "")
	r["disk"] = float64(after.written-before.written) / (1 << 20) / after.at.Sub(before.at).Seconds()
	r["delivered"] = float64(len(res.Acked)) / last.Sub(res.Began).Seconds()
	return r, errors.Join(t.sizes(r, wal["wal_bytes"], after.at.Sub(before.at)), t.runtime(r))
}

// sizes tells what the database holds.
func (t *trial) sizes(r run, wal float64, took time.Duration) error {
	const mib = 1 << 20
	m, err := t.pg.numbers(t.database, []string{
		"pg_table_size('delivery') AS hot", "pg_indexes_size('delivery') AS indexes",
		"pg_total_relation_size('dedupe') AS dedupe", "pg_database_size(current_database()) AS size",
		"(SELECT count(*) FROM delivery) AS waiting",
		"(SELECT sum(n_live_tup) FROM pg_stat_user_tables WHERE relname LIKE 'event_%') AS events",
		"(SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'delivery') AS dead",
		"(SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'delivery') AS vacuums",
		"(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()) AS connections",
		"wal_bytes"}, "pg_stat_wal")
	if err != nil {
		return err
	}
	r["hot"], r["hot indexes"], r["dedupe"], r["all"] = m["hot"]/mib, m["indexes"]/mib, m["dedupe"]/mib, m["size"]/mib
	r["waiting"], r["events"], r["dead"], r["vacuums"], r["connections"] = m["waiting"], m["events"], m["dead"], m["vacuums"], m["connections"]
	r["wal"] = (m["wal_bytes"] - wal) / mib / took.Seconds()
	return nil
}

// runtime tells what the gateway holds.
func (t *trial) runtime(r run) error {
	node := t.server.nodes[0]
	rss, err := resident(node.pid)
	if err != nil {
		return err
	}
	r["rss"] = float64(rss) / (1 << 20)
	resp, err := http.Get("http://" + node.admin + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		to, ok := map[string]string{"go_goroutines": "goroutines", "process_open_fds": "descriptors"}[name]
		if !ok {
			continue
		}
		if r[to], err = strconv.ParseFloat(value, 64); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return lines.Err()
}

// soakLeast is how long a soak must be for what is flat to be told from what has
// not filled yet.
const soakLeast = time.Minute

func (s *soaked) judge() {
	if last := s.Samples[len(s.Samples)-1]; last["at"] < soakLeast.Seconds() {
		progress("too short to tell what stays flat: at least %s", soakLeast)
		return
	}
	third := len(s.Samples) / 3
	middle, last := s.Samples[third:2*third], s.Samples[2*third:]
	for _, f := range flatness {
		a, b := values(middle, f.figure), values(last, f.figure)
		if len(a) == 0 || len(b) == 0 {
			continue
		}
		v := *median(b) / *median(a)
		s.Verdicts = append(s.Verdicts, verdict{Title: f.title + ", last third to middle", Figure: f.figure, Of: "postgres", Kind: ratio,
			Sense: atMost, Bound: f.most, Value: v, Least: v, Most: v, Pass: v <= f.most})
	}
}

func (s *soaked) header() {
	line := ""
	for _, f := range soakFigures {
		line += fmt.Sprintf(" %*s", width(f), f.title)
	}
	progress("%s", line)
}

func (s *soaked) line(r run) { progress("%s", row(r)) }

func row(r run) (line string) {
	for _, f := range soakFigures {
		line += fmt.Sprintf(" %*s", width(f), strconv.FormatFloat(r[f.name], 'f', f.digit, 64))
	}
	return line
}

func width(f figure) int { return max(len(f.title), 6) }

func (s *soaked) passed() bool { return (&report{Verdicts: s.Verdicts}).passed() }

func (s *soaked) print() {
	fmt.Printf("PostgreSQL, %.0f events/s for %s, events kept for %s; %d CPUs shared with the load, %s\n", s.Rate, s.For, s.Kept, s.CPUs, s.Go)
	(&report{Verdicts: s.Verdicts}).printVerdicts()
}
