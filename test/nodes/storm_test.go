package nodes

import (
	"net/http"
	"sync"
	"testing"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 10: one event arrives many times at once, at both nodes. It is one event
// with one delivery, and every sender is told so.
func TestG3_DuplicateStormIsOneEvent(t *testing.T) {
	ids, copies := rows.Times(10, 100), rows.Size(300, 1000)
	s := open(t, stage{})
	addrs := s.fleet.Addrs()
	conns := make([]*load.Conn, copies)
	for i := range conns {
		conns[i] = load.NewConn(addrs[i%len(addrs)])
		defer conns[i].Close()
	}
	for seq := range ids {
		start := make(chan struct{})
		var wg sync.WaitGroup
		for _, conn := range conns {
			wg.Go(func() {
				request := load.NewSource(witness.Path, witness.SourceSecret, "storm").Request(seq)
				s.history.Try(seq)
				<-start
				status, err := conn.Do(request)
				if err != nil {
					t.Errorf("event %d: %v", seq, err)
					return
				}
				s.answers.add(status)
				if status/100 == 2 {
					s.history.Ack(seq)
				}
			})
		}
		close(start)
		wg.Wait()
	}
	if n := s.answers.get(http.StatusAccepted) + s.answers.get(http.StatusOK); n < ids {
		t.Errorf("%d copies of %d events acknowledged", n, ids)
	}
	s.until(settleWithin, "all delivered", func() bool { return s.history.Missing() == 0 })
	must(t, s.fleet.Stop())
	s.judge()
	if _, _, _, delivered := s.history.Counts(); delivered != ids {
		t.Errorf("%d events delivered, want %d", delivered, ids)
	}
	t.Logf("%d events %d times each: %v", ids, copies, s.answers.of)
}
