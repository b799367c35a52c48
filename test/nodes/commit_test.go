package nodes

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/faultproxy"
	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
)

// behind opens a proxy before the database of a URL for each node, and returns
// them and what the nodes are to connect to.
func behind(t *testing.T, raw string) ([]*faultproxy.Proxy, func(node int) string) {
	t.Helper()
	at, err := url.Parse(raw)
	must(t, err)
	var ps []*faultproxy.Proxy
	for i := range 2 {
		p, err := faultproxy.New(at.Host, *rows.Seed+uint64(i))
		must(t, err)
		t.Cleanup(p.Close)
		ps = append(ps, p)
	}
	return ps, func(node int) string {
		u := *at
		u.Host = ps[node].Addr
		return u.String()
	}
}

// Row 7: an event is committed, and its node never hears of it. The sender is
// told no, sends again, and is told yes: there is one event. The same happens to
// outcomes: what was delivered is not delivered again.
func TestG3_LostReplyToACommitIsOneEvent(t *testing.T) {
	proxies, store := behind(t, pgcluster.Shared(t))
	lose := func(table string, most int) (lost func() int) {
		var mu sync.Mutex
		r, n := rows.Random(7), 0
		for _, p := range proxies {
			p.LoseReply(func(sql []string) bool {
				mu.Lock()
				defer mu.Unlock()
				writes := slices.ContainsFunc(sql, func(s string) bool { return strings.Contains(s, "INSERT INTO "+table) })
				if !writes || n == most || r.IntN(3) > 0 {
					return false
				}
				n++
				return true
			})
		}
		return func() int { mu.Lock(); defer mu.Unlock(); return n }
	}
	most := rows.Times(20, 500)
	lost := lose("event", 0) // connections are followed from their beginning on
	s := open(t, stage{store: store})
	s.send(rate(), time.Duration(most)*2*time.Second+time.Minute)
	s.shared()

	lost = lose("event", most)
	s.until(time.Duration(most)*time.Second, "lost replies to acceptances", func() bool { return lost() == most })
	refused := s.answers.get(http.StatusServiceUnavailable)
	if refused < most {
		s.until(10*time.Second, "a refusal for each lost reply", func() bool { return s.answers.get(http.StatusServiceUnavailable) >= most })
	}
	lost = lose("finished", most)
	s.until(time.Duration(most)*time.Second, "lost replies to settlements", func() bool { return lost() == most })
	s.flowing(time.Now(), resumesWithin)
	s.settle()
	t.Logf("%d replies to acceptances lost, %d requests refused; %d replies to settlements lost", most, s.answers.get(http.StatusServiceUnavailable), most)
}
