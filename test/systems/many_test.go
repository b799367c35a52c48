package systems

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// G7, invariant 8, the small version: of a thousand destinations a hundred are
// dead, half of them silent and half of them refusing; the other nine hundred get
// all that is theirs, twice over. How much slower is the benchmark's to say.
func TestG7_AHundredDeadOfAThousand(t *testing.T) {
	t.Parallel()
	const all, dead, rounds = 1000, 100, 2
	var got sync.Map // path and webhook-id
	good := rows.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.URL.Path+" "+r.Header.Get("webhook-id"), true)
	})
	silent := rows.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or nobody would hear that the client has gone
		<-r.Context().Done()
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, closed.Close())
	var destinations, routes strings.Builder
	for i := range all {
		url := good.URL
		switch i % (2 * all / dead) {
		case 0:
			url = silent.URL
		case all / dead:
			url = "http://" + closed.Addr().String()
		}
		fmt.Fprintf(&destinations, "  to%d: { url: \"%s/%d\", timeout: 5s }\n", i, url, i)
		fmt.Fprintf(&routes, "  - { from: in, to: to%d, when: '.n %% 50 == %d' }\n", i, i%50)
	}
	s := open(t, 1, witness.Setup{
		Sources:      "  in: { provider: none }",
		Destinations: strings.TrimSuffix(destinations.String(), "\n"), Routes: strings.TrimSuffix(routes.String(), "\n"),
	})
	began := time.Now()
	s.number("in", 50*rounds)
	accepted := time.Since(began)
	count := func() (n int) { got.Range(func(any, any) bool { n++; return true }); return n }
	s.Until(patience, "the good ones have everything", func() bool { return count() == (all-dead)*rounds })
	t.Logf("%d deliveries to %d good destinations beside %d dead ones in %s, of which accepting took %s",
		count(), all-dead, dead, time.Since(began).Round(time.Millisecond), accepted.Round(time.Millisecond))
	s.Fleet.Discard() // what is silent would hold up a stop
}

// number sends events whose n counts from nothing.
func (s *scene) number(source string, n int) {
	s.Helper()
	for i := range n {
		status, said, err := s.Do(http.MethodPost, "http://"+s.Fleet.Nodes[0].Addr+"/in/"+source, http.Header{"Content-Type": {"application/json"}},
			fmt.Sprintf(`{"n":%d}`, i))
		if err != nil || status != http.StatusOK {
			s.Abort("an event was answered %d: %v: %s", status, err, said)
		}
	}
}
