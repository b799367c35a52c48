package systems

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// G7, invariant 16: a system that says when it wants to be asked again is left
// alone until then, by every node, whether it says seconds or a date.
func TestG7_RetryAfterHoldsEveryNode(t *testing.T) { each(t, retryAfter) }

func retryAfter(t *testing.T, nodes int) {
	const (
		asksFor = 4 * time.Second
		heard   = time.Second // within which every node knows of it
		events  = 6
	)
	var (
		mu    sync.Mutex
		said  time.Time // when it asked; zero: it does not
		until time.Time
		date  bool
		calm  = true // it asks for nothing
		come  arrivals
	)
	system := rows.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer come.come()()
		mu.Lock()
		defer mu.Unlock()
		if calm {
			return
		}
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
	done := s.spread("in")
	for _, form := range []string{"seconds", "date"} {
		s.Until(patience, "everything is delivered", func() bool { return s.deliveries("busy", "delivered") == done })
		mu.Lock()
		said, until, date, calm = time.Time{}, time.Time{}, form == "date", false
		mu.Unlock()
		asked := func() (time.Time, time.Time) { mu.Lock(); defer mu.Unlock(); return said, until }

		// One node hears it; the others have something to send when they should have
		// heard of it.
		s.send("in", 1)
		s.Until(patience, "it asks to wait", func() bool { at, _ := asked(); return !at.IsZero() })
		from, to := asked()
		witness.Pause(t.Context(), time.Until(from.Add(heard)))
		s.send("in", events)
		late := time.Now()
		if done += 1 + events; late.After(to.Add(-time.Second)) {
			t.Logf("%s: the machine is too slow to tell: the events were there %s before the end", form, to.Sub(late))
		}
		s.Until(patience, "everything is delivered", func() bool { return s.deliveries("busy", "delivered") == done })
		if n := come.between(from.Add(heard), to.Add(-50*time.Millisecond)); n > 0 {
			t.Errorf("%s: %d requests came before %s were over", form, n, asksFor)
		}
		t.Logf("%s: %d requests while it asked to wait for %s, with %d events waiting", form, come.between(from, to), to.Sub(from).Round(time.Millisecond), events)
	}
}

// deliveries counts those to a destination that are in a state.
func (s *scene) deliveries(to, state string) int {
	s.Helper()
	var page struct {
		Data []struct{ ID string }
		Next string
	}
	s.Ask(0, "/deliveries?limit=200&destination="+to+"&state="+state, &page)
	if page.Next != "" {
		s.Fatal("more deliveries than a page has")
	}
	return len(page.Data)
}
