package main

import (
	"fmt"
	"slices"
	"strconv"
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
	{"half sqlite rate", "half of SQLite's load", "/s", 0},
	{"half sqlite ack p50", "ack p50 at that", "ms", 2},
	{"half sqlite ack p99", "ack p99", "ms", 2},
	{"half sqlite whole p99", "end-to-end p99", "ms", 2},
	{"half postgres rate", "half of PostgreSQL's load", "/s", 0},
	{"half postgres ack p50", "ack p50 at that", "ms", 2},
	{"half postgres ack p99", "ack p99", "ms", 2},
	{"half postgres whole p99", "end-to-end p99", "ms", 2},
	{"calm ack p99", "ack p99, 200/s", "ms", 2},
	{"calm whole p50", "end-to-end p50, 200/s", "ms", 2},
	{"calm whole p99", "end-to-end p99, 200/s", "ms", 2},
	{"cpu", "CPU per event", "µs", 1},
	{"database cpu", "of it PostgreSQL's", "µs", 1},
	{"written", "disk writes per event", "B", 0},
	{"rss", "peak memory of a node", "MiB", 0},
	{"accepting", "start until accepting", "s", 2},
	{"delivering", "start until delivering", "s", 2},
	{"others", "CPU taken by others", "%", 0},
	{"repeats", "delivered more than once", "", 0},
}

// report is the outcome of a comparison.
type report struct {
	CPUs        int              `json:"cpus"`
	Go          string           `json:"go"`
	Connections int              `json:"connections"`
	Concurrency int              `json:"concurrency"`
	Span        string           `json:"span"`
	Pending     int              `json:"pending"`
	Contenders  []contender      `json:"-"`
	Runs        map[string][]run `json:"runs"`
	Counts      []count          `json:"counts,omitempty"`
	Claims      []claims         `json:"claims,omitempty"`
	Verdicts    []verdict        `json:"verdicts"`
}

func (r *report) judge() {
	for _, t := range targets {
		if v, ok := t.judge(r.Runs); ok {
			r.Verdicts = append(r.Verdicts, v)
		}
	}
	for _, c := range r.Claims {
		r.Verdicts = append(r.Verdicts, c.verdict())
	}
}

// passed tells whether no target was missed.
func (r *report) passed() bool {
	return !slices.ContainsFunc(r.Verdicts, func(v verdict) bool { return !v.Pass })
}

func (r *report) print() {
	fmt.Printf("%d connections, 1 KiB bodies, %d deliveries in flight, %s a stretch; a backlog is %d deliveries\n",
		r.Connections, r.Concurrency, r.Span, r.Pending)
	fmt.Printf("%d CPUs shared with the load generator, the sink and PostgreSQL; %s\n", r.CPUs, r.Go)
	r.printFigures()
	for _, c := range r.Claims {
		c.print()
	}
	printCounts(r.Counts)
	r.printVerdicts()
	if r.disturbed() {
		fmt.Printf("\nOther processes took more than %d %% of the machine in some of the runs: measure again when it is quiet.\n", quiet)
	}
}

func (r *report) printFigures() {
	if len(r.Contenders) == 0 {
		return
	}
	fmt.Printf("\n%-26s", "median")
	for _, c := range r.Contenders {
		fmt.Printf(" %12s", c.title)
	}
	fmt.Println()
	for _, f := range figures {
		line, some := fmt.Sprintf("%-26s", f.title+comma(f.unit)), false
		for _, c := range r.Contenders {
			m := median(values(r.Runs[c.name], f.name))
			some = some || m != nil
			line += fmt.Sprintf(" %12s", number(m, f.digit))
		}
		if some {
			fmt.Println(line)
		}
	}
}

func comma(unit string) string {
	if unit == "" {
		return ""
	}
	return ", " + unit
}

func (r *report) printVerdicts() {
	if len(r.Verdicts) == 0 {
		return
	}
	fmt.Printf("\n%-44s %8s  %-18s %s\n", "target", "", "of neighbours", "")
	for _, v := range r.Verdicts {
		said := "FAIL"
		if v.Pass {
			said = "PASS"
		}
		unit := v.Unit
		if unit != "" {
			unit = " " + unit
		}
		fmt.Printf("%-44s %8.2f  %-18s %s %g%s  %s\n", v.Title, v.Value, fmt.Sprintf("%.2f to %.2f", v.Least, v.Most), v.Sense, v.Bound, unit, said)
	}
}

// quiet is how much of the machine others may take before the figures are no
// longer those of the ones that are compared, in per cent.
const quiet = 5

func (r *report) disturbed() bool {
	for _, rs := range r.Runs {
		if slices.Max(append(values(rs, "others"), 0)) > quiet {
			return true
		}
	}
	return false
}

func number(v *float64, digits int) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'f', digits, 64)
}

func values(runs []run, name string) []float64 {
	var vs []float64
	for _, r := range runs {
		if v, ok := r[name]; ok {
			vs = append(vs, v)
		}
	}
	return vs
}

// median of an even number is the mean of the middle two; nil of none.
func median(vs []float64) *float64 {
	if len(vs) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(vs))
	m := len(s) / 2
	if len(s)%2 == 1 {
		return &s[m]
	}
	return new((s[m-1] + s[m]) / 2)
}
