package faults

import (
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 10, on one node. One source event id comes a thousand times at once, and
// then the next one: each is one event with one delivery, and every answer is an
// ack or asks for another try.
func TestG3_AStormOfOneIDIsOneEvent(t *testing.T) {
	const copies = 1000
	ids := rows.Times(10, 100)
	s := open(t, t.TempDir(), witness.Setup{}, nil)
	s.start()
	s.ready()
	var told answers
	gates := make([]chan struct{}, ids)
	for i := range gates {
		gates[i] = make(chan struct{})
	}
	rounds := make([]sync.WaitGroup, ids)
	for range copies {
		for i := range rounds {
			rounds[i].Add(1)
		}
		go func() {
			conn, source := load.NewConn(s.gateway.Addr), load.NewSource(witness.Path, witness.SourceSecret, "witness")
			defer conn.Close()
			for i := range gates {
				<-gates[i]
				s.history.Try(i)
				began := time.Now()
				status, err := conn.Do(source.Request(i))
				if err != nil {
					status = 0
				}
				told.note(status, time.Since(began))
				if status/100 == 2 {
					s.history.Ack(i)
				}
				rounds[i].Done()
			}
		}()
	}
	for i := range gates {
		close(gates[i])
		rounds[i].Wait()
	}
	s.delivered(20 * time.Second)
	sent, acked, requests, delivered := s.history.Counts()
	if acked != ids || delivered != ids || requests != ids {
		t.Errorf("%d ids: %d acknowledged, %d delivered by %d requests", ids, acked, delivered, requests)
	}
	for status, n := range told.by {
		if status != 429 && status != 503 {
			t.Errorf("%d answers %d", n, status)
		}
	}
	t.Logf("%d ids %d times: %d acks, others %v", sent, copies, told.acked(), told.by)
}
