package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seawall-dev/seawall/internal/store"
)

// scrapeTime bounds what a scrape asks of the store.
const scrapeTime = 3 * time.Second

// Store is what a scrape asks of the store.
type Store interface {
	Depths(ctx context.Context) ([]store.Depth, error)
	Size(ctx context.Context) (int64, error)
}

var (
	descDepth = prometheus.NewDesc("seawall_queue_depth",
		"Deliveries at rest: pending (in flight included), held, or dead.", []string{"destination", "state"}, nil)
	descAge = prometheus.NewDesc("seawall_queue_oldest_due_age_seconds",
		"How long the oldest delivery that is due has been so; 0 if none is.", []string{"destination"}, nil)
	descSize    = prometheus.NewDesc("seawall_store_bytes", "Space that the store takes on disk.", nil, nil)
	descCommits = prometheus.NewDesc("seawall_store_commits_total", "Transactions that the store made durable.", nil, nil)
	descOps     = prometheus.NewDesc("seawall_store_ops_total", "Writes that those transactions carried.", nil, nil)
)

// Watch adds what each scrape asks of the store. It is called once.
func (m *Metrics) Watch(s Store, now func() time.Time) {
	m.registry.MustRegister(&queues{store: s, now: now})
}

// WatchCommits adds the store's own counts. It is called once.
func (m *Metrics) WatchCommits(count func() (commits, ops int64)) {
	m.registry.MustRegister(commits(count))
}

type queues struct {
	store Store
	now   func() time.Time
}

func (q *queues) Describe(ch chan<- *prometheus.Desc) {
	ch <- descDepth
	ch <- descAge
	ch <- descSize
}

func (q *queues) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) // Collect has no context
	defer cancel()
	depths, err := q.store.Depths(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descDepth, err)
	}
	for _, d := range depths {
		for state, n := range map[string]int64{"pending": d.Pending, "held": d.Held, "dead": d.Dead} {
			ch <- gauge(descDepth, float64(n), d.Destination, state)
		}
		age := 0.0
		if !d.OldestDue.IsZero() {
			age = max(0, q.now().Sub(d.OldestDue).Seconds())
		}
		ch <- gauge(descAge, age, d.Destination)
	}
	size, err := q.store.Size(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descSize, err)
		return
	}
	ch <- gauge(descSize, float64(size))
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

type commits func() (commits, ops int64)

func (c commits) Describe(ch chan<- *prometheus.Desc) {
	ch <- descCommits
	ch <- descOps
}

func (c commits) Collect(ch chan<- prometheus.Metric) {
	commits, ops := c()
	ch <- prometheus.MustNewConstMetric(descCommits, prometheus.CounterValue, float64(commits))
	ch <- prometheus.MustNewConstMetric(descOps, prometheus.CounterValue, float64(ops))
}
