package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/metrics"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type stand struct {
	depths []store.Depth
	err    error
}

func (s stand) Depths(context.Context) ([]store.Depth, error) { return s.depths, s.err }
func (s stand) Size(context.Context) (int64, error)           { return 4096, nil }

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wants(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			t.Errorf("no line %q", l)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := metrics.New("v1.2.3")
	m.Watch(stand{depths: []store.Depth{
		{Destination: "orders", Pending: 3, Held: 1, Dead: 2, OldestDue: epoch.Add(-90 * time.Second)},
		{Destination: "later", Pending: 1, OldestDue: epoch.Add(time.Hour)},
		{Destination: "idle"},
	}}, func() time.Time { return epoch })
	m.WatchCommits(func() (int64, int64) { return 7, 21 })

	m.Arrival("stripe", "new", 3*time.Millisecond)
	m.Arrival("stripe", "new", 3*time.Millisecond)
	m.Arrival("stripe", "duplicate", time.Millisecond)
	m.Arrival("stripe", "signature_mismatch", time.Millisecond)
	m.Arrival("", "unknown_source", time.Millisecond)
	m.Attempt("orders", seawall.OK, 204, time.Second)
	m.Attempt("orders", seawall.Failed, 0, time.Second)
	m.Attempt("orders", seawall.Refused, 9999, time.Second)
	m.Delivered("orders", 2*time.Minute)

	text := scrape(t, m)
	wants(t, text,
		`seawall_arrivals_total{result="new",source="stripe"} 2`,
		`seawall_arrivals_total{result="duplicate",source="stripe"} 1`,
		`seawall_arrivals_total{result="signature_mismatch",source="stripe"} 1`,
		`seawall_arrivals_total{result="unknown_source",source="unknown"} 1`,
		`seawall_ack_seconds_count{source="stripe"} 3`,
		`seawall_ack_seconds_bucket{source="stripe",le="0.0025"} 1`,
		`seawall_attempts_total{class="2xx",destination="orders",outcome="ok"} 1`,
		`seawall_attempts_total{class="none",destination="orders",outcome="failed"} 1`,
		`seawall_attempts_total{class="none",destination="orders",outcome="refused"} 1`,
		`seawall_attempt_seconds_count{destination="orders"} 3`,
		`seawall_end_to_end_seconds_bucket{destination="orders",le="300"} 1`,
		`seawall_end_to_end_seconds_bucket{destination="orders",le="60"} 0`,
		`seawall_queue_depth{destination="orders",state="pending"} 3`,
		`seawall_queue_depth{destination="orders",state="held"} 1`,
		`seawall_queue_depth{destination="orders",state="dead"} 2`,
		`seawall_queue_oldest_due_age_seconds{destination="orders"} 90`,
		`seawall_queue_oldest_due_age_seconds{destination="later"} 0`,
		`seawall_queue_oldest_due_age_seconds{destination="idle"} 0`,
		`seawall_store_bytes 4096`,
		`seawall_store_commits_total 7`,
		`seawall_store_ops_total 21`,
	)
	for _, part := range []string{`version="v1.2.3"`, "go_goroutines", "process_open_fds"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s", part)
		}
	}
	if strings.Contains(text, `seawall_ack_seconds_count{source="unknown"}`) {
		t.Error("a rejected request counts as acknowledged")
	}
}

func TestMetrics_SurviveTheStore(t *testing.T) {
	m := metrics.New("dev")
	m.Watch(stand{err: errors.New("gone")}, func() time.Time { return epoch })
	m.Arrival("stripe", "new", time.Millisecond)
	text := scrape(t, m)
	wants(t, text, `seawall_arrivals_total{result="new",source="stripe"} 1`)
	if strings.Contains(text, "seawall_queue_depth{") {
		t.Error("depths from a store that did not answer")
	}
}

func TestMetrics_Concurrent(t *testing.T) {
	m := metrics.New("dev")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				m.Arrival("a", "new", 0)
				m.Arrival("b", "new", 0)
			}
		})
	}
	wg.Wait()
	wants(t, scrape(t, m), `seawall_arrivals_total{result="new",source="a"} 800`, `seawall_arrivals_total{result="new",source="b"} 800`)
}

func TestMetrics_CheapWhereItCounts(t *testing.T) {
	m := metrics.New("dev")
	n := testing.AllocsPerRun(100, func() {
		m.Arrival("stripe", "new", time.Millisecond)
		m.Attempt("orders", seawall.OK, 200, time.Millisecond)
		m.Delivered("orders", time.Millisecond)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
