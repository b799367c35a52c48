// Bench measures the gateway against a bare durable forwarder, run by run in
// turn, on one machine: what durability, verification, deduplication and
// visibility cost on top of the least that anyone would have to pay.
// docs/performance.md explains every line of what it prints.
//
//	go run ./test/bench            five runs of each, about four minutes
//	go run ./test/bench -quick     two short runs of each, for a first look
//	go run ./test/bench -claims    the cost of claim and settle, 1 k to 1 M pending
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

type options struct {
	runs    int
	conns   int
	workers int
	warm    time.Duration
	span    time.Duration // of each measured stretch
	rate    float64
	quick   bool
	claims  bool
	json    bool
	dir     string
	binary  string
	only    string
	keep    bool
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	o := parse()
	if err := os.Chdir(root()); err != nil {
		log.Fatal(err)
	}
	if o.claims {
		r, err := measureClaims(o.quick)
		if err != nil {
			log.Fatal(err)
		}
		finish(o, r)
		return
	}
	dir, err := os.MkdirTemp(o.dir, "seawall-bench-")
	if err != nil {
		log.Fatal(err)
	}
	r, err := compare(o, dir)
	if err != nil && o.keep {
		log.Fatalf("%v\neverything is left in %s", err, dir)
	}
	if rmErr := os.RemoveAll(dir); err == nil {
		err = rmErr
	}
	if err != nil {
		log.Fatal(err)
	}
	finish(o, r)
}

func parse() options {
	var o options
	flag.IntVar(&o.runs, "runs", 5, "runs of each, taken in turn (1 to 50)")
	flag.IntVar(&o.conns, "conns", 64, "connections of the load generator")
	flag.IntVar(&o.workers, "concurrency", 128, "deliveries in flight at once, of either; a gateway's counts as in flight until its outcome is recorded")
	flag.DurationVar(&o.span, "span", 5*time.Second, "length of each measured stretch (at most 1m)")
	flag.Float64Var(&o.rate, "rate", 0, "events/s of the fixed-rate stretch; 0: half of what the gateway delivers at most")
	flag.BoolVar(&o.quick, "quick", false, "two runs of 2 s stretches")
	flag.BoolVar(&o.claims, "claims", false, "measure claim and settle against the backlog instead")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.StringVar(&o.dir, "dir", "", "where the stores go; a real disk, or fsync costs nothing (default: the system's temporary directory)")
	flag.StringVar(&o.binary, "binary", "", "the gateway to measure (default: built from this tree)")
	flag.StringVar(&o.only, "only", "", "run only this one, baseline or seawall, without a comparison")
	flag.BoolVar(&o.keep, "keep", false, "after an error, keep the stores and what the servers printed, and say where")
	flag.Parse()
	o.warm = time.Second
	if o.quick {
		o.runs, o.span, o.warm = 2, 2*time.Second, 500*time.Millisecond
	}
	if flag.NArg() > 0 || o.runs < 1 || o.runs > 50 || o.conns < 1 || o.conns > 1000 || o.workers < 1 || o.span <= 0 || o.span > time.Minute {
		flag.Usage()
		os.Exit(2)
	}
	return o
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
