package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/provider"
)

// BenchmarkPath drives the whole path in one process, senders and destination
// included, by 64 connections: for profiles. The figures that count are those
// of test/bench, where the gateway is a process of its own.
func BenchmarkPath(b *testing.B) {
	var got atomic.Int64
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if got.Add(1) == int64(b.N) {
			close(all)
		}
	}))
	defer srv.Close()
	c := configuration(b, b.TempDir(), srv.URL+"/hooks")
	c.Destinations[0].Concurrency = 64
	c.Destinations[0].Sign = []provider.Secret{{Value: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}
	a := run(b, c)
	requests := make([]*provider.Request, b.N)
	for i := range requests {
		requests[i] = a.sample(fmt.Sprint(i))
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	before, _ := a.store.Commits()
	b.ResetTimer()
	began := time.Now()

	var next atomic.Int64
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				r := requests[i]
				hr, err := http.NewRequest(r.Method, r.URL, bytes.NewReader(r.Body))
				if err != nil {
					b.Error(err)
					return
				}
				hr.Header = r.Header
				resp, err := client.Do(hr)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("answered %d", resp.StatusCode)
				}
			}
		})
	}
	senders.Wait()
	if b.Failed() {
		return
	}
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "events/s")
	after, _ := a.store.Commits()
	b.ReportMetric(float64(after-before)/float64(b.N), "commits/event")
}
