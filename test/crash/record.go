package crash

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/test/witness"
)

// Run says how to make a history.
type Run struct {
	Binary string
	Dir    string // for the store; must be empty
	Kills  int
	Rate   int // events per second
	Seed   uint64

	// SettleFor bounds the wait, after the last kill, until all that was
	// acknowledged has been delivered.
	SettleFor time.Duration
}

const (
	slots = 64

	killFirst = 50 * time.Millisecond // after its start, at the earliest
	killLast  = 2 * time.Second       // and at the latest

	// The destination takes its time, so that every kill finds deliveries in
	// flight, and refuses some deliveries once, so that others are between two
	// tries.
	answerWithin = 40 * time.Millisecond
	refuseEvery  = 50
)

// Takeover is how long the lives that delivered anything took to begin with it.
type Takeover []time.Duration

// Record makes a history: a steady sender, a destination that takes its time,
// and a gateway that is killed and started again on the same store.
func Record(ctx context.Context, run Run) (*witness.History, Takeover, error) {
	var (
		h       = witness.NewHistory(slots)
		life    atomic.Int64
		started []time.Time
		random  = rand.New(rand.NewPCG(run.Seed, 0))
		refused = witness.NewOnce()
	)
	sink, err := witness.NewSink(h, func() int { return int(life.Load()) }, func(got witness.Received) int {
		n := fnv.New32a()
		n.Write([]byte(got.ID))
		witness.Pause(ctx, time.Duration(n.Sum32())%answerWithin)
		if n.Sum32()%refuseEvery == 0 && refused.First(got.ID) {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	if err != nil {
		return nil, nil, err
	}
	defer sink.Close()
	g, err := witness.NewGateway(run.Binary, run.Dir, witness.Setup{Sink: sink.Addr, Slots: slots})
	if err != nil {
		return nil, nil, err
	}

	// Everything below ends with ctx; the sender's queue holds the whole run.
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	s := witness.NewSender(ctx, h, 4*run.Rate*(run.Kills+1)*int(killLast/time.Second)+4096, nil, g.Addr)
	generated := make(chan struct{})
	go func() { s.Run(sending, run.Rate); close(generated) }()

	for range run.Kills {
		started = append(started, time.Now())
		if err := g.Start(); err != nil {
			return nil, nil, err
		}
		s.Repeat()
		if err := g.Kill(killFirst + time.Duration(random.Int64N(int64(killLast-killFirst)))); err != nil {
			return nil, nil, err
		}
		if err := sink.Drain(); err != nil {
			return nil, nil, err
		}
		h.Kills++
		life.Add(1)
	}
	started = append(started, time.Now())
	if err := g.Start(); err != nil {
		return nil, nil, err
	}
	s.Repeat()
	stopSending()
	<-generated
	settled, cancel := context.WithTimeout(ctx, run.SettleFor)
	defer cancel()
	err = s.Settle(settled)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, g.Said())
	}
	if stopErr := g.Stop(); err == nil {
		err = stopErr
	}
	return h, takeover(h, started), err
}

// takeover is how long each life after a kill took from the start of its
// process to its first delivery.
func takeover(h *witness.History, started []time.Time) Takeover {
	var t Takeover
	for life, at := range h.First() {
		if life > 0 {
			t = append(t, at.Sub(started[life]))
		}
	}
	slices.Sort(t)
	return t
}
