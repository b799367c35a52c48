package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	r := &report{
		Runs: map[string][]run{
			"baseline":       {{"delivered": 100, "calm whole p99": 1}, {"delivered": 300, "calm whole p99": 2}, {"delivered": 200, "calm whole p99": 3}},
			"sqlite":         {{"delivered": 120, "calm whole p99": 9}, {"delivered": 150, "calm whole p99": 23}, {"delivered": 180, "calm whole p99": 24}},
			"sqlite-backlog": {{"rss": 100}, {"rss": 256}, {"rss": 300}},
		},
		Claims: []claims{{"sqlite", []claimLine{{1_000, 50, 50}, {1_000_000, 80, 71}}}},
	}
	r.judge()
	got := map[string]verdict{}
	for _, v := range r.Verdicts {
		got[v.Figure+" of "+v.Of] = v
	}
	if v := got["delivered of sqlite"]; v.Value != 0.75 || v.Least != 0.5 || v.Most != 1.2 || !v.Pass {
		t.Errorf("delivered: %+v; want 0.75 of 0.5 to 1.2, pass", v)
	}
	if v := got["calm whole p99 of sqlite"]; v.Value != 21 || v.Least != 8 || v.Most != 21 || v.Pass {
		t.Errorf("end-to-end p99: %+v; want 21 ms above, fail", v)
	}
	if v := got["rss of sqlite-backlog"]; v.Value != 256 || v.Pass {
		t.Errorf("memory: %+v; want 256, which is not under 256", v)
	}
	if v := got["claims of sqlite"]; v.Value != 1.51 || v.Pass {
		t.Errorf("claims: %+v; want 1.51, fail", v)
	}
	if len(got) != 4 {
		t.Errorf("what was not measured was judged: %v", got)
	}
	if r.passed() {
		t.Error("a missed target passed")
	}
}

// The targets name contenders and figures that there are.
func TestTargetsAreMeasured(t *testing.T) {
	known := map[string]bool{"": true}
	for _, c := range contenders {
		known[c.name] = true
	}
	for _, f := range figures {
		known[f.name] = true
	}
	for _, tt := range targets {
		for _, name := range []string{tt.figure, tt.of, tt.against} {
			if !known[name] {
				t.Errorf("%s: there is no %q", tt.title, name)
			}
		}
	}
}

func TestBacklogIsWhatItIsSaidToBe(t *testing.T) {
	var dead, hot, sink, other, now int
	for i := range 10_000 {
		destination, entity, wait := place(i)
		switch {
		case destination == deadDestination:
			dead++
		case destination == sinkDestination && entity == "order/hot":
			hot++
		case destination == sinkDestination:
			sink++
		default:
			other++
		}
		if wait == 0 && destination != deadDestination {
			now++
		}
	}
	if dead != 5_000 || hot != 1_000 || sink != 2_000 || other != 2_000 || now != 0 {
		t.Errorf("dead %d, one entity %d, sink %d, others %d, due now elsewhere %d", dead, hot, sink, other, now)
	}
}

func TestContendersOfAPart(t *testing.T) {
	for part, want := range map[string]string{
		"throughput": "baseline sqlite postgres",
		"backlog":    "sqlite sqlite-backlog postgres postgres-backlog",
		"start":      "sqlite-backlog postgres-backlog",
		"nodes":      "postgres nodes",
		"order":      "sqlite postgres sqlite-named sqlite-ordered sqlite-hot postgres-named postgres-ordered postgres-hot",
		"claims":     "",
	} {
		var got []string
		for _, c := range (options{part: map[string]bool{part: true}}).contenders() {
			got = append(got, c.name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", part, got, want)
		}
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
