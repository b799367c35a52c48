package witness

import (
	"net/http"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

// NewSink is the destination of a [Setup]. It notes each request in h, with the
// life of the gateway that it came from, and answers what decide says, or 200
// where decide is nil.
func NewSink(h *History, life func() int, decide func(Received) (status int)) (*load.Sink, error) {
	return load.NewSink(func(r load.Request) int {
		got := receive(r, life())
		got.Answer = http.StatusOK
		if decide != nil {
			got.Answer = decide(got)
		}
		got.Ended = time.Now()
		h.Receive(got)
		return got.Answer
	})
}

func receive(r load.Request, life int) Received {
	got := Received{
		Queue: strings.TrimPrefix(r.Path, "/"), Life: life, Began: r.At,
		ID: r.Header.Get("webhook-id"), Key: r.Header.Get("Idempotency-Key"), Event: r.Header.Get("seawall-event"),
	}
	got.Seq, got.Intact = load.Intact(r.Body)
	if err := load.VerifyWebhook(SinkSecret, r.Header, r.Body, r.At); err != nil {
		got.Forged = err.Error()
	}
	return got
}

// First is when each life of the gateway made its first request.
func (h *History) First() map[int]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[int]time.Time{}
	for _, r := range h.received {
		if at, ok := first[r.Life]; !ok || r.Began.Before(at) {
			first[r.Life] = r.Began
		}
	}
	return first
}
