package systems

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

const (
	rate, burst = 20, 5
	atATime     = 3

	// A permit may be used for so long after it was taken, and a request takes some
	// time to its system on a machine that has other work.
	permitLasts = 250 * time.Millisecond
	onItsWay    = 750 * time.Millisecond
)

// G8: what a system takes a second, and at a time, holds over nodes that share it
// and through a kill of one of them in the middle. Whatever window one looks at,
// no more came than the rate brings in it, the burst, and the permits that were in
// hand. What the dead node had under way was cut off with it.
func TestG8_LimitsHoldOverNodesAndKills(t *testing.T) { each(t, limitsHold) }

func limitsHold(t *testing.T, nodes int) {
	var rated, narrow arrivals
	var seen sync.Map
	system := rows.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/rated" {
			defer rated.come()()
			return
		}
		defer narrow.come()()
		seen.Store(r.Header.Get("webhook-id"), true)
		_, _ = io.Copy(io.Discard, r.Body) // or nobody would hear that the client has gone
		select {                           // as long as whoever asked lives
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
		}
	})
	events := rows.Times(240, 1200)
	s := open(t, nodes, witness.Setup{
		Sources: "  in: { provider: none }",
		Destinations: fmt.Sprintf(`  rated: { url: "%[1]s/rated", shards: 4, limit: { rate: %[2]d/s, burst: %[3]d } }
  narrow: { url: "%[1]s/narrow", shards: 4, limit: { concurrency: %[4]d } }`, system.URL, rate, burst, atATime),
		Routes: "  - { from: in, to: rated }\n  - { from: in, to: narrow }",
	})
	count := func() (n int) { seen.Range(func(any, any) bool { n++; return true }); return n }
	before := s.spread("in")
	s.Until(patience, "what was sent before has come", func() bool { return rated.count() >= before && count() >= before })
	rated.forget()
	s.send("in", events)
	s.Until(patience, "a part has come", func() bool { return rated.count() >= events*2/3 })
	must(t, s.Fleet.Kill(0))
	s.Start(0)
	s.Until(patience+time.Duration(events/rate)*time.Second, "everything has come", func() bool {
		return rated.count() >= events && count() >= before+events
	})
	for _, d := range []time.Duration{time.Second, 3 * time.Second, rated.span()} {
		most := burst + int(float64(rate)*(d+permitLasts+onItsWay).Seconds())
		if n := rated.within(d); n > most {
			t.Errorf("%d requests within %s, want %d at most", n, d, most)
		}
	}
	if n := narrow.peak(); n > atATime {
		t.Errorf("%d requests at a time, want %d at most", n, atATime)
	}
	if n := rated.count() - events; n > 4*16+4 {
		t.Errorf("%d were repeated after one kill", n)
	}
	t.Logf("%d events in %s: at most %d within a second of %d/s and a burst of %d; at most %d at a time of %d",
		events, rated.span().Round(time.Millisecond), rated.within(time.Second), rate, burst, narrow.peak(), atATime)
}
