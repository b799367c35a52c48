package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// figure is one line of the report.
type figure struct {
	name  string
	title string
	unit  string
	digit int
}

var figures = []figure{
	{"acked", "acked events", "/s", 0},
	{"delivered", "delivered events", "/s", 0},
	{"ack p50", "ack p50, all out", "ms", 2},
	{"ack p99", "ack p99, all out", "ms", 2},
	{"whole p50", "end-to-end p50, all out", "ms", 2},
	{"whole p99", "end-to-end p99, all out", "ms", 2},
	{"half ack p50", "ack p50, fixed rate", "ms", 2},
	{"half ack p99", "ack p99, fixed rate", "ms", 2},
	{"half whole p50", "end-to-end p50, fixed rate", "ms", 2},
	{"half whole p99", "end-to-end p99, fixed rate", "ms", 2},
	{"cpu", "CPU per event", "µs", 1},
	{"syncs", "fsyncs per event", "", 3},
	{"rss", "peak memory", "MiB", 0},
	{"rate", "the fixed rate", "/s", 0},
	{"others", "CPU taken by others", "%", 0},
	{"repeats", "delivered more than once", "", 0},
}

// targets are what the gateway holds itself to, as ratios to the baseline. At the
// fixed rate it has none yet: docs/performance.md says where it stands.
var targets = []target{
	{"delivered", "at least", 0.5},
	{"ack p99", "at most", 2},
}

type target struct {
	Figure string  `json:"figure"`
	Sense  string  `json:"sense"`
	Ratio  float64 `json:"ratio"`
}

func (t target) met(ratio float64) bool {
	if t.Sense == "at least" {
		return ratio >= t.Ratio
	}
	return ratio <= t.Ratio
}

// compare measures both contenders in turn, so that whatever else the machine
// does falls on both.
func compare(o options, dir string) (*report, error) {
	both, err := contenders(o, dir)
	if err != nil {
		return nil, err
	}
	warnAboutMemory(dir)
	if o.only != "" {
		both = slices.DeleteFunc(both, func(c contender) bool { return c.name != o.only })
		if len(both) == 0 {
			return nil, fmt.Errorf("no contender is named %q", o.only)
		}
	}
	adapt := o.rate == 0
	if adapt {
		short := o
		short.span = min(o.span, 2*time.Second)
		r, err := measure(short, both[len(both)-1], filepath.Join(dir, "probe"), 0)
		if err != nil {
			return nil, err
		}
		o.rate = r["delivered"] / 2
		progress("%s delivers about %.0f/s; fixed rate: %.0f/s", both[len(both)-1].name, r["delivered"], o.rate)
	}
	rep := &report{
		Connections: o.conns, Concurrency: o.workers, Span: o.span.String(),
		CPUs: runtime.NumCPU(), Go: runtime.Version(), Runs: map[string][]run{},
	}
	for i := range o.runs {
		for _, c := range both {
			r, err := measure(o, c, filepath.Join(dir, fmt.Sprintf("%s-%d", c.name, i)), o.rate)
			if err == nil && r["others"] > quiet {
				progress("run %d, %-8s  others took %.0f %% of the machine: once more", i+1, c.name, r["others"])
				var again run
				again, err = measure(o, c, filepath.Join(dir, fmt.Sprintf("%s-%d", c.name, i)), o.rate)
				if err == nil && again["others"] < r["others"] {
					r = again
				}
			}
			if err != nil {
				return nil, err
			}
			progress("run %d, %-8s  delivered %6.0f/s  ack p99 %6.2f ms  CPU %5.1f µs  others %2.0f %%",
				i+1, c.name, r["delivered"], r["ack p99"], r["cpu"], r["others"])
			rep.Runs[c.name] = append(rep.Runs[c.name], r)
			// The machine may be slower by now than it was at first: the next pair
			// gets half of what was possible in this one.
			if adapt && c.name == both[len(both)-1].name {
				o.rate = r["delivered"] / 2
			}
		}
	}
	for _, c := range both {
		n, ok, err := countSyncs(o, c, filepath.Join(dir, c.name+"-syncs"))
		if err != nil {
			return nil, err
		}
		if ok { // one figure for all runs: it is counted in a run of its own
			for _, r := range rep.Runs[c.name] {
				r["syncs"] = n
			}
		}
	}
	rep.judge()
	return rep, nil
}

// tmpfs is a file system's type in statfs(2) where it lives in memory.
const tmpfs = 0x01021994

func warnAboutMemory(dir string) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil && fs.Type == tmpfs {
		progress("warning: %s is in memory, where fsync costs nothing; use -dir", dir)
	}
}
