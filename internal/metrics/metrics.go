// Package metrics counts and times what the gateway does, for Prometheus. Its
// labels are names of the configuration and small sets of constants, never what
// a stranger sent, so that a scrape stays small whatever arrives.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seawall-dev/seawall/seawall"
)

// unknown stands for names that are not in the configuration.
const unknown = "unknown"

var (
	ackBuckets       = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	attemptBuckets   = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	deliveredBuckets = []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 259200}
)

// Metrics holds what is counted. Its methods may be called concurrently, and
// cost some tens of nanoseconds.
type Metrics struct {
	registry *prometheus.Registry

	arrivals  *prometheus.CounterVec
	ack       *prometheus.HistogramVec
	attempts  *prometheus.CounterVec
	took      *prometheus.HistogramVec
	delivered *prometheus.HistogramVec

	arrivalOf children[arrivalKey, arrivalChild]
	attemptOf children[attemptKey, attemptChild]
	endOf     children[string, prometheus.Observer]
}

type (
	arrivalKey   struct{ source, result string }
	arrivalChild struct {
		count prometheus.Counter
		ack   prometheus.Observer // nil for what is not acknowledged
	}
	attemptKey struct {
		destination string
		outcome     seawall.Outcome
		class       int // hundreds of the status
	}
	attemptChild struct {
		count prometheus.Counter
		took  prometheus.Observer
	}
)

// New returns metrics on a registry of their own, with those of the process and
// of the Go runtime. Version is the program's.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		arrivals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seawall_arrivals_total",
			Help: "Requests that reached a source, by what became of them: new, duplicate, conflict, or a reason of rejection or handshake.",
		}, []string{"source", "result"}),
		ack: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "seawall_ack_seconds", Buckets: ackBuckets,
			Help: "From the first byte of a request to the answer that its events are durable.",
		}, []string{"source"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seawall_attempts_total",
			Help: "Attempts of deliveries, by outcome (ok, refused, failed, unknown) and class of the HTTP status (2xx, ..., none).",
		}, []string{"destination", "outcome", "class"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "seawall_attempt_seconds", Buckets: attemptBuckets,
			Help: "Duration of attempts.",
		}, []string{"destination"}),
		delivered: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "seawall_end_to_end_seconds", Buckets: deliveredBuckets,
			Help: "From the arrival of an event to its delivery, retries and waiting included.",
		}, []string{"destination"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seawall_build_info", Help: "1, with the version of the program.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.arrivals, m.ack, m.attempts, m.took, m.delivered, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry: m.registry, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	})
}

// Arrival counts one arrival. The result is a verdict or the reason of a
// rejection; source is "" where it is not one of the configuration. took is
// from its first byte to our answer.
func (m *Metrics) Arrival(source, result string, took time.Duration) {
	if source == "" {
		source = unknown
	}
	c := m.arrivalOf.get(arrivalKey{source, result}, func() arrivalChild {
		out := arrivalChild{count: m.arrivals.WithLabelValues(source, result)}
		switch result {
		case seawall.New.String(), seawall.Duplicate.String(), seawall.Conflict.String():
			out.ack = m.ack.WithLabelValues(source)
		}
		return out
	})
	c.count.Inc()
	if c.ack != nil {
		c.ack.Observe(took.Seconds())
	}
}

// Attempt counts one attempt. Status is 0 where there was no answer.
func (m *Metrics) Attempt(destination string, outcome seawall.Outcome, status int, took time.Duration) {
	key := attemptKey{destination, outcome, status / 100}
	if key.class < 1 || key.class > 5 {
		key.class = 0
	}
	c := m.attemptOf.get(key, func() attemptChild {
		return attemptChild{
			count: m.attempts.WithLabelValues(destination, outcome.String(), classes[key.class]),
			took:  m.took.WithLabelValues(destination),
		}
	})
	c.count.Inc()
	c.took.Observe(took.Seconds())
}

var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// Delivered times a delivery, from the arrival of its event.
func (m *Metrics) Delivered(destination string, since time.Duration) {
	m.endOf.get(destination, func() prometheus.Observer {
		return m.delivered.WithLabelValues(destination)
	}).Observe(since.Seconds())
}
