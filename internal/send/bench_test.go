package send

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// BenchmarkSend compares an attempt with what a bare forwarder does by the
// client of net/http, over loopback, one request of 1 KB at a time.
func BenchmarkSend(b *testing.B) {
	srv := serve(b, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	})
	u := to(b, srv.URL+"/hooks")
	data := bytes.Repeat([]byte("x"), 1024)
	header := func() http.Header {
		return http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"x"}, "Webhook-Id": {"dlv_01kbxw0000000000000000r001"},
			"Webhook-Timestamp": {"1763950000"}, "Idempotency-Key": {"dlv_01kbxw0000000000000000r001"},
		}
	}
	b.Run("attempt", func(b *testing.B) {
		s := sender(b, Options{})
		b.ReportAllocs()
		for b.Loop() {
			r := s.Do(b.Context(), &Request{Method: "POST", URL: u, Header: header(), Body: data}, limits)
			if text(r) != "" {
				b.Fatal(text(r))
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: limits.Whole}
		b.ReportAllocs()
		for b.Loop() {
			r, err := http.NewRequestWithContext(b.Context(), "POST", u.String(), bytes.NewReader(data))
			if err != nil {
				b.Fatal(err)
			}
			r.Header = header()
			resp, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}
