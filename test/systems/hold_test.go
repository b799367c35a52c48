package systems

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/witness"
)

// G7, invariant 16: a system that says when it wants to be asked again is left
// alone until then, by every node, whether it says seconds or a date.
func TestG7_RetryAfterHoldsEveryNode(t *testing.T) { each(t, retryAfter) }

func retryAfter(t *testing.T, nodes int) {
	const (
		asksFor = 4 * time.Second
		heard   = time.Second // within which every node knows of it
		events  = 8
	)
	var (
		mu   sync.Mutex
		said time.Time // when it asked; zero: it does not
		date bool
		come arrivals
	)
	var until time.Time
	system := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer come.come()()
		mu.Lock()
		defer mu.Unlock()
		if said.IsZero() {
			said = time.Now()
			until = said.Add(asksFor)
			if date {
				until = until.Truncate(time.Second)
			}
		}
		if time.Now().Before(until) {
			header := fmt.Sprint(int(asksFor.Seconds()))
			if date {
				header = until.UTC().Format(http.TimeFormat)
			}
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	s := open(t, nodes, witness.Setup{
		Sources:      "  in: { provider: none }",
		Destinations: fmt.Sprintf(`  busy: { url: "%s/", shards: 4, concurrency: 4, retry: { first: 100ms, cap: 200ms, max: 100 } }`, system.URL),
		Routes:       "  - { from: in, to: busy }",
	})
	done := 0
	for _, form := range []string{"seconds", "date"} {
		mu.Lock()
		said, date = time.Time{}, form == "date"
		mu.Unlock()
		s.send("in", events)
		done += events
		s.until(patience, "everything is delivered", func() bool { return s.deliveries("busy", "delivered") == done })
		mu.Lock()
		if n := come.between(said.Add(heard), until.Add(-50*time.Millisecond)); n > 0 {
			t.Errorf("%s: %d requests came before %s were over", form, n, asksFor)
		}
		t.Logf("%s: %d requests until everybody had heard, 0 until %s later", form, come.between(said.Add(-time.Second), said.Add(heard)), until.Sub(said).Round(time.Millisecond))
		mu.Unlock()
	}
}

// deliveries counts those to a destination that are in a state.
func (s *scene) deliveries(to, state string) int {
	s.Helper()
	var page struct {
		Data []struct{ ID string }
		Next string
	}
	s.ask(0, "/deliveries?limit=200&destination="+to+"&state="+state, &page)
	if page.Next != "" {
		s.Fatal("more deliveries than a page has")
	}
	return len(page.Data)
}
