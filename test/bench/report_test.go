package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestJudge(t *testing.T) {
	r := &report{Runs: map[string][]run{
		"baseline": {{"delivered": 100, "ack p99": 1}, {"delivered": 300, "ack p99": 2}, {"delivered": 200, "ack p99": 3}},
		"seawall":  {{"delivered": 80, "ack p99": 4}, {"delivered": 100, "ack p99": 4.1}, {"delivered": 120, "ack p99": 4.2}},
	}}
	r.judge()
	got := map[string]line{}
	for _, l := range r.Lines {
		got[l.Figure] = l
	}
	if l := got["delivered"]; *l.Ratio != 0.5 || *l.Least != 1.0/3 || *l.Most != 0.8 || !*l.Pass {
		t.Errorf("delivered: ratio %v of %v to %v, pass %v; want 0.5 of 0.33 to 0.8, pass", *l.Ratio, *l.Least, *l.Most, *l.Pass)
	}
	if l := got["ack p99"]; *l.Ratio != 2.05 || *l.Pass {
		t.Errorf("ack p99: ratio %v, pass %v; want 2.05, fail", *l.Ratio, *l.Pass)
	}
	if l := got["rss"]; l.Ratio != nil || l.Pass != nil || l.Baseline != nil {
		t.Errorf("rss was not measured, yet has figures: %+v", l)
	}
	if r.passed() {
		t.Error("a missed target passed")
	}
}

func TestParseClaims(t *testing.T) {
	const out = `goos: linux
BenchmarkClaimSettle/pending=1000-2     	     500	   200000 ns/op	      12 B/op
BenchmarkClaimSettle/pending=1000-2     	     500	   220000 ns/op
BenchmarkClaimSettle/pending=1M-2       	     500	   315000 ns/op
BenchmarkOther/pending=9-2              	     500	        1 ns/op
PASS
`
	c, err := parseClaims(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Lines) != 2 || c.Lines[0] != (claimLine{1000, 210000}) || c.Lines[1] != (claimLine{1_000_000, 315000}) {
		t.Errorf("lines %v", c.Lines)
	}
	if c.Ratio != 1.5 || !c.Pass {
		t.Errorf("ratio %v, pass %v; want 1.5, pass", c.Ratio, c.Pass)
	}
	if _, err := parseClaims("PASS\n"); err == nil {
		t.Error("no figures is no error")
	}
}

func TestReadSyncs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts")
	const text = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.00    0.500000         100      5000           fdatasync
  1.00    0.005000         500        10         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.505000         100      5010         1 total
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := readSyncs(file); n != 5010 || err != nil {
		t.Errorf("%d, %v; want 5010", n, err)
	}
}
