package systems

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// G7, invariants 8 and 16. The breaker is on by default. Two destinations on one
// system share it, so that the good one waits while the bad one fails: that is what
// a system is. A destination of its own gets everything meanwhile. An open breaker
// spends no attempts, one request at a time probes, over all nodes, and when the
// system is back so are both destinations. What answers 410 is disabled, alone.
func TestG7_ABreakerIsASystemsOwn(t *testing.T) { each(t, breakers) }

func breakers(t *testing.T, nodes int) {
	const events = 60
	var (
		shared, alone, gone arrivals
		probing, back       atomic.Bool
		delivered           sync.Map // webhook-id → true
	)
	system := rows.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/alone":
			defer alone.come()()
			delivered.Store(r.Header.Get("webhook-id"), true)
		case "/gone":
			defer gone.come()()
			w.WriteHeader(http.StatusGone)
		default:
			defer shared.come()()
			if probing.Load() { // long enough for a second one to come, if it may
				witness.Pause(r.Context(), 200*time.Millisecond)
			}
			if r.URL.Path == "/bad" && !back.Load() || probing.Load() {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			delivered.Store(r.Header.Get("webhook-id"), true)
		}
	})
	s := open(t, nodes, witness.Setup{
		Sources: "  both: { provider: none }\n  bad: { provider: none }\n  other: { provider: none }",
		Extra:   fmt.Sprintf("systems:\n  shared: { url: %q, shards: 4, breaker: { open: 1s } }", system.URL),
		Destinations: fmt.Sprintf(`  bad: { system: shared, path: /bad, repeatable: true, retry: { first: 500ms, cap: 1s, max: 100 } }
  good: { system: shared, path: /good, repeatable: true, retry: { first: 500ms, cap: 1s, max: 100 } }
  alone: { url: "%[1]s/alone", shards: 4 }
  gone: { url: "%[1]s/gone" }`, system.URL),
		Routes: "  - { from: bad, to: bad }\n  - { from: both, to: good }\n  - { from: other, to: alone }\n  - { from: other, to: gone }",
	})
	s.send("bad", events)
	s.Until(patience, "every node knows that the breaker is open", func() bool {
		for i := range nodes {
			if s.system(i, "shared").Breaker == "closed" {
				return false
			}
		}
		return shared.idle()
	})
	probing.Store(true)
	opened, before := time.Now(), shared.count()
	if before > 20+16*nodes {
		t.Errorf("%d requests before it opened: more than it takes, and were under way", before)
	}
	s.send("both", events)
	s.send("other", events)
	// Probes after 1, 2, 4 s: three that fail.
	s.Until(patience, "three probes", func() bool {
		n := shared.count() - before
		return n > 3 || n == 3 && shared.idle()
	})
	probes := shared.times()[before:]
	for i, least := range []time.Duration{2 * time.Second, 4 * time.Second} { // or more, if one was made before we looked
		if gap := probes[i+1].Sub(probes[i]); gap < least {
			t.Errorf("probe %d came %s after the one before, want %s at least", i+2, gap, least)
		}
	}
	if n := alone.count(); n != events {
		t.Errorf("%d of %d deliveries to a system of its own while the other's breaker is open", n, events)
	}
	// Each attempt is a request that came: nothing else was spent on what waits.
	// The last one is recorded a moment after it was answered.
	s.Until(patience, "the probes are recorded", func() bool { return s.attempts("bad", "good") >= shared.count() })
	if n := s.attempts("bad", "good"); n != shared.count() {
		t.Errorf("%d attempts recorded, %d requests made", n, shared.count())
	}
	if t.Failed() {
		t.FailNow()
	}
	back.Store(true)
	probing.Store(false)
	count := func() (n int) { delivered.Range(func(any, any) bool { n++; return true }); return n }
	s.Until(patience, "everything is delivered", func() bool { return count() == 3*events })
	s.Until(patience, "the breaker is closed", func() bool { return s.system(0, "shared").Breaker == "closed" })

	s.Until(patience, "what is gone is disabled", func() bool {
		var page struct{ Data []struct{ Name, Gate string } }
		s.Ask(0, "/destinations", &page)
		for _, d := range page.Data {
			if d.Gate != "open" && d.Name != "gone" {
				t.Errorf("%s is %s", d.Name, d.Gate)
			}
			if d.Name == "gone" && d.Gate == "disabled" {
				return true
			}
		}
		return false
	})
	if n := gone.count(); n > 16 {
		t.Errorf("what is gone was asked %d times: more than were in flight", n)
	}
	t.Logf("opened after %d requests; probes at %v; %d of %d past it meanwhile; gone was asked %d times",
		before, since(probes[:3], opened), alone.count(), events, gone.count())
}

func since(ts []time.Time, from time.Time) (ds []time.Duration) {
	for _, t := range ts {
		ds = append(ds, t.Sub(from).Round(10*time.Millisecond))
	}
	return ds
}

// attempts is how many are recorded of what goes to some destinations.
func (s *scene) attempts(destinations ...string) (n int) {
	s.Helper()
	for _, to := range destinations {
		var page struct {
			Data []struct{ Attempts int }
			Next string
		}
		s.Ask(0, "/deliveries?limit=200&destination="+to, &page)
		if page.Next != "" {
			s.Fatal("more deliveries than a page has")
		}
		for _, d := range page.Data {
			n += d.Attempts
		}
	}
	return n
}
