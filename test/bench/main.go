// Bench measures the gateway against a bare durable forwarder, run by run in
// turn, on one machine: what durability, verification, deduplication and
// visibility cost on top of the least that anyone would have to pay; on both
// engines, on two nodes, and with a million deliveries waiting.
// docs/performance.md explains every line of what it prints.
//
//	go run ./test/bench                     all of it, about eleven minutes
//	go run ./test/bench -quick              two short runs and a small backlog, for a first look
//	go run ./test/bench -scenario nodes     a part: throughput, backlog, start, nodes, order, claims
//	go run ./test/bench -only postgres      one contender, for profiling
//	go run ./test/bench -isolation          what bad destinations do to the others
//	go run ./test/bench -builds OLD         processor time beside another build, in the same seconds
//	go run ./test/bench -builds OLD -only postgres   acks beside another build at -rate, by turns
//	go run ./test/bench -soak 10m           what grows on PostgreSQL under a steady load
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// parts are what may be measured by itself.
var parts = []string{"throughput", "backlog", "start", "nodes", "order", "claims"}

type options struct {
	runs    int
	conns   int
	workers int
	pending int
	warm    time.Duration
	span    time.Duration // of each measured stretch
	fixed   float64
	quick   bool
	json    bool
	dir     string
	binary  string
	only    []string
	part    map[string]bool
	keep    bool
	disk    string // that the stores are on
	soak    time.Duration
	builds  []string // binaries
	isolate bool
}

// startOnly tells that nothing but the start is to be measured.
func (o options) startOnly() bool { return len(o.part) == 1 && o.part["start"] }

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	o := parse()
	if err := os.Chdir(root()); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var r result
	var err error
	switch {
	case o.soak > 0:
		r, err = soak(ctx, o)
	case len(o.builds) > 0 && slices.Contains(o.only, "postgres"):
		r, err = compareTurns(ctx, o)
	case len(o.builds) > 0:
		r, err = compareBuilds(ctx, o)
	case o.isolate:
		r, err = isolate(ctx, o)
	default:
		r, err = compare(ctx, o)
	}
	if err != nil {
		log.Fatal(err)
	}
	finish(o, r)
}

func parse() options {
	var o options
	var only, scenario, others string
	var claims bool
	flag.IntVar(&o.runs, "runs", 5, "runs of each, taken in turn (1 to 50)")
	flag.IntVar(&o.conns, "conns", 64, "connections of the load generator")
	flag.IntVar(&o.workers, "concurrency", 128, "deliveries in flight at once, of each; a gateway's counts as in flight until its outcome is recorded")
	flag.IntVar(&o.pending, "pending", 1_000_000, "deliveries of the backlog")
	flag.DurationVar(&o.span, "span", 4*time.Second, "length of each measured stretch (at most 1m)")
	flag.Float64Var(&o.fixed, "rate", 0, "events/s of the fixed-rate stretch; 0: half of what the gateway delivers at most")
	flag.BoolVar(&o.quick, "quick", false, "two runs of 2 s stretches, and a backlog of 100,000")
	flag.BoolVar(&claims, "claims", false, "-scenario claims")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.StringVar(&o.dir, "dir", "", "where the stores go; a real disk, or fsync costs nothing (default: the system's temporary directory)")
	flag.StringVar(&o.binary, "binary", "", "the gateway to measure (default: built from this tree)")
	flag.StringVar(&only, "only", "", "only these contenders, with commas: "+strings.Join(names(), ", "))
	flag.StringVar(&scenario, "scenario", "", "only these parts, with commas: "+strings.Join(parts, ", "))
	flag.StringVar(&others, "builds", "", "instead, compare the processor time of an event with these builds of the gateway, with commas, all at the same time")
	flag.BoolVar(&o.keep, "keep", false, "after an error, keep the stores and what the servers printed, and say where")
	flag.DurationVar(&o.soak, "soak", 0, "load PostgreSQL steadily for that long instead, and watch what grows")
	flag.BoolVar(&o.isolate, "isolation", false, "measure what bad destinations do to the others instead, on SQLite or -only postgres")
	flag.Parse()
	o.warm = time.Second
	if o.quick {
		o.hurry()
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	if others != "" {
		o.builds = strings.Split(others, ",")
	}
	if claims {
		scenario = "claims"
	}
	o.part = map[string]bool{}
	for _, p := range parts {
		o.part[p] = scenario == ""
	}
	if scenario != "" {
		clear(o.part)
		for p := range strings.SplitSeq(scenario, ",") {
			o.part[p] = true
		}
	}
	if err := o.validate(); err != nil {
		log.Print(err)
		os.Exit(2)
	}
	if flag.NArg() > 0 || o.runs < 1 || o.runs > 50 || o.conns < 1 || o.conns > 1000 || o.workers < 4 || o.pending < 1000 ||
		o.span <= 0 || o.span > time.Minute || o.soak < 0 || o.soak > 24*time.Hour {
		flag.Usage()
		os.Exit(2)
	}
	return o
}

// hurry makes everything short that was not asked for by name.
func (o *options) hurry() {
	set := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { set[f.Name] = true })
	o.warm = 500 * time.Millisecond
	if !set["runs"] {
		o.runs = 2
	}
	if !set["span"] {
		o.span = 2 * time.Second
	}
	if !set["pending"] {
		o.pending = 100_000
	}
}

func names() (all []string) {
	for _, c := range contenders {
		all = append(all, c.name)
	}
	return all
}

// root is the module's directory, so that bench works from anywhere in it.
func root() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		log.Fatalf("go env GOMOD: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// result is what a measurement has to show.
type result interface {
	print()
	passed() bool
}

func finish(o options, r result) {
	if o.json {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			log.Fatal(err)
		}
	} else {
		r.print()
	}
	if !r.passed() {
		os.Exit(1)
	}
}

// progress goes to stderr: stdout is the report's.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
