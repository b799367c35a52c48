package nodes

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// G6: what may not be repeated and was being sent when its node was killed is
// held as unknown, for a person to look at. Nobody sends it again, and nothing
// else is held.
func TestG6_InterruptedUnsafeDeliveryIsHeldAsUnknown(t *testing.T) {
	kills := rows.Times(1, 10)
	s := open(t, stage{more: ", repeatable: false", decide: func(witness.Received) int {
		witness.Pause(t.Context(), 100*time.Millisecond)
		return http.StatusOK
	}})
	s.send(100, time.Duration(kills)*time.Minute+time.Minute)
	s.shared()
	for i := range kills {
		killed := time.Now()
		must(t, s.fleet.Kill(i%2))
		s.flowing(killed, takeoverWithin)
		must(t, s.fleet.Nodes[i%2].Start())
		s.until(takeoverWithin, "the node's start", func() bool { return s.revision(i%2) > 0 })
		s.shared()
	}
	s.stopSending()
	s.until(settleWithin, "everything acknowledged", func() bool { return s.sender.Open() == 0 })
	s.sender.Close()

	// Each event was either seen by the destination or is held, having been begun
	// and never sent.
	seen := map[string]int{}
	var held []string
	s.until(settleWithin, "everything delivered or held", func() bool {
		clear(seen)
		for _, r := range s.history.Received() {
			seen[r.ID]++
		}
		if held = s.held(); s.history.Missing() > len(held) {
			return false
		}
		unsent := 0
		for _, id := range held {
			if seen[id] == 0 {
				unsent++
			}
		}
		return s.history.Missing() == unsent
	})
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	if n := len(held); n == 0 || n > kills*queues*slots {
		t.Errorf("%d held after %d kills with %d slots", n, kills, queues*slots)
	}
	must(t, s.fleet.Stop())
	t.Logf("%d kills, %d of %d deliveries held as unknown, none sent twice", kills, len(held), len(seen))
}

// held are the deliveries that a person has to look at.
func (s *scene) held() (ids []string) {
	s.t.Helper()
	for next, first := "", true; first || next != ""; first = false {
		var page struct {
			Data []struct{ ID, Reason string }
			Next string
		}
		if err := s.fleet.Nodes[0].Ask(s.ctx, "/deliveries?state=held&limit=200&cursor="+url.QueryEscape(next), &page); err != nil {
			s.fatal("%v", err)
		}
		for _, d := range page.Data {
			if d.Reason != "unknown" {
				s.t.Errorf("%s is held because %q", d.ID, d.Reason)
			}
			ids = append(ids, d.ID)
		}
		next = page.Next
	}
	return ids
}
