package main

import "slices"

// target is what the gateway holds itself to: a figure of one contender against
// that of another, or by itself.
type target struct {
	title   string
	figure  string
	of      string // contender
	against string // contender; "": the figure itself counts
	kind    kind
	sense   sense
	bound   float64
	unit    string
}

type kind string

const (
	ratio      kind = "ratio"
	difference kind = "difference"
	itself     kind = "itself"
)

type sense string

const (
	atLeast sense = "at least"
	atMost  sense = "at most"
	under   sense = "under"
)

func (s sense) met(v, bound float64) bool {
	switch s {
	case atLeast:
		return v >= bound
	case atMost:
		return v <= bound
	default:
		return v < bound
	}
}

var targets = []target{
	{"delivered events, SQLite", "delivered", "sqlite", "baseline", ratio, atLeast, 0.7, ""},
	{"delivered events, PostgreSQL", "delivered", "postgres", "baseline", ratio, atLeast, 0.4, ""},
	{"ack p99 at half load, SQLite", "half sqlite ack p99", "sqlite", "baseline", ratio, atMost, 1.5, ""},
	{"ack p99 at half load, PostgreSQL", "half postgres ack p99", "postgres", "baseline", ratio, atMost, 1.5, ""},
	{"end-to-end p99, 200/s, SQLite", "calm whole p99", "sqlite", "baseline", difference, atMost, 20, "ms"},
	{"end-to-end p99, 200/s, PostgreSQL", "calm whole p99", "postgres", "baseline", difference, atMost, 20, "ms"},
	{"two nodes against one", "delivered", "nodes", "postgres", ratio, atLeast, 0.9, ""},
	{"delivered with backlog, SQLite", "delivered", "sqlite-backlog", "sqlite", ratio, atLeast, 0.9, ""},
	{"delivered with backlog, PostgreSQL", "delivered", "postgres-backlog", "postgres", ratio, atLeast, 0.9, ""},
	{"CPU per event, SQLite", "cpu", "sqlite", "baseline", ratio, atMost, 2.5, ""},
	{"ordered against unordered, SQLite", "delivered", "sqlite-ordered", "sqlite-named", ratio, atLeast, 0.8, ""},
	{"ordered against unordered, PostgreSQL", "delivered", "postgres-ordered", "postgres-named", ratio, atLeast, 0.8, ""},
	{"beside 100,000 waiting of one entity, SQLite", "delivered", "sqlite-hot", "sqlite-ordered", ratio, atLeast, 0.9, ""},
	{"beside 100,000 waiting of one entity, PostgreSQL", "delivered", "postgres-hot", "postgres-ordered", ratio, atLeast, 0.9, ""},
	{"memory with backlog, SQLite", "rss", "sqlite-backlog", "", itself, under, 256, "MiB"},
	{"memory with backlog, PostgreSQL", "rss", "postgres-backlog", "", itself, under, 256, "MiB"},
	{"start with backlog: accepting, SQLite", "accepting", "sqlite-backlog", "", itself, under, 10, "s"},
	{"start with backlog: delivering, SQLite", "delivering", "sqlite-backlog", "", itself, under, 15, "s"},
	{"start with backlog: accepting, PostgreSQL", "accepting", "postgres-backlog", "", itself, under, 10, "s"},
	{"start with backlog: delivering, PostgreSQL", "delivering", "postgres-backlog", "", itself, under, 15, "s"},
}

// verdict is a target with what was measured.
type verdict struct {
	Title   string  `json:"title"`
	Figure  string  `json:"figure"`
	Of      string  `json:"of"`
	Against string  `json:"against,omitempty"`
	Kind    kind    `json:"kind"`
	Sense   sense   `json:"sense"`
	Bound   float64 `json:"bound"`
	Unit    string  `json:"unit,omitempty"`
	Value   float64 `json:"value"` // of the medians
	Least   float64 `json:"min"`   // over neighbouring runs
	Most    float64 `json:"max"`
	Pass    bool    `json:"pass"`
}

// judge compares the medians; the range is over the pairs of neighbouring runs.
// ok is false where the figure was not measured.
func (t target) judge(runs map[string][]run) (v verdict, ok bool) {
	ours := values(runs[t.of], t.figure)
	if len(ours) == 0 {
		return v, false
	}
	theirs := values(runs[t.against], t.figure)
	if t.against != "" && len(theirs) != len(ours) {
		return v, false
	}
	v = verdict{Title: t.title, Figure: t.figure, Of: t.of, Against: t.against, Kind: t.kind, Sense: t.sense, Bound: t.bound, Unit: t.unit}
	var pairs []float64
	for i := range ours {
		other := 0.0
		if t.against != "" {
			other = theirs[i]
		}
		pairs = append(pairs, t.kind.of(ours[i], other))
	}
	against := 0.0
	if m := median(theirs); m != nil {
		against = *m
	}
	v.Value = t.kind.of(*median(ours), against)
	v.Least, v.Most = slices.Min(pairs), slices.Max(pairs)
	v.Pass = t.sense.met(v.Value, t.bound)
	return v, true
}

func (k kind) of(ours, theirs float64) float64 {
	switch k {
	case ratio:
		return ours / theirs
	case difference:
		return ours - theirs
	default:
		return ours
	}
}
