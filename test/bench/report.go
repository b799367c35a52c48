package main

import (
	"fmt"
	"slices"
	"strconv"
)

// report is the outcome of a comparison.
type report struct {
	CPUs        int              `json:"cpus"`
	Go          string           `json:"go"`
	Connections int              `json:"connections"`
	Concurrency int              `json:"concurrency"`
	Span        string           `json:"span"`
	Lines       []line           `json:"figures"`
	Runs        map[string][]run `json:"runs"`
}

// line compares one figure.
type line struct {
	Figure   string   `json:"figure"`
	Baseline *float64 `json:"baseline"` // median of the runs; null: not measured
	Seawall  *float64 `json:"seawall"`
	Ratio    *float64 `json:"ratio"` // of the medians
	Least    *float64 `json:"ratio_min,omitempty"`
	Most     *float64 `json:"ratio_max,omitempty"` // over the pairs of neighbouring runs
	Target   *target  `json:"target,omitempty"`
	Pass     *bool    `json:"pass,omitempty"`

	show figure
}

func (r *report) judge() {
	for _, f := range figures {
		base, ours := values(r.Runs["baseline"], f.name), values(r.Runs["seawall"], f.name)
		l := line{Figure: f.name, Baseline: median(base), Seawall: median(ours), show: f}
		if l.Baseline != nil && l.Seawall != nil && *l.Baseline > 0 {
			l.Ratio = new(*l.Seawall / *l.Baseline)
			var pairs []float64
			for i := range base {
				if base[i] > 0 {
					pairs = append(pairs, ours[i]/base[i])
				}
			}
			l.Least, l.Most = new(slices.Min(pairs)), new(slices.Max(pairs))
			for _, t := range targets {
				if t.Figure == f.name {
					l.Target, l.Pass = &t, new(t.met(*l.Ratio))
				}
			}
		}
		r.Lines = append(r.Lines, l)
	}
}

// passed tells whether no target was missed.
func (r *report) passed() bool {
	return !slices.ContainsFunc(r.Lines, func(l line) bool { return l.Pass != nil && !*l.Pass })
}

func (r *report) print() {
	n := max(len(r.Runs["baseline"]), len(r.Runs["seawall"]))
	fmt.Printf("%d connections, 1 KiB bodies, %d deliveries in flight, %d runs of each in turn, %s a stretch\n",
		r.Connections, r.Concurrency, n, r.Span)
	fmt.Printf("%d CPUs shared with the load generator and the sink, %s\n\n", r.CPUs, r.Go)
	fmt.Printf("%-28s %12s %12s %7s  %-13s %s\n", "median", "baseline", "seawall", "ratio", "of pairs", "target")
	for _, l := range r.Lines {
		f := l.show
		title := f.title
		if f.unit != "" {
			title += ", " + f.unit
		}
		spread, verdict := "", ""
		if l.Ratio != nil {
			spread = fmt.Sprintf("%.2f to %.2f", *l.Least, *l.Most)
		}
		if l.Pass != nil {
			verdict = fmt.Sprintf("%s %.2f  FAIL", l.Target.Sense, l.Target.Ratio)
			if *l.Pass {
				verdict = fmt.Sprintf("%s %.2f  PASS", l.Target.Sense, l.Target.Ratio)
			}
		}
		fmt.Printf("%-28s %12s %12s %7s  %-13s %s\n", title, number(l.Baseline, f.digit), number(l.Seawall, f.digit), number(l.Ratio, 2), spread, verdict)
	}
	if r.disturbed() {
		fmt.Printf("\nOther processes took more than %d %% of the machine in some of the runs: measure again when it is quiet.\n", quiet)
	}
}

// quiet is how much of the machine others may take before the figures are no
// longer those of the two that are compared, in per cent.
const quiet = 5

func (r *report) disturbed() bool {
	worst := 0.0
	for _, rs := range r.Runs {
		worst = max(worst, slices.Max(append(values(rs, "others"), 0)))
	}
	return worst > quiet
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
