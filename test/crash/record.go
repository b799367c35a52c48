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

	"github.com/seawall-dev/seawall/test/load"
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
func Record(ctx context.Context, run Run) (*History, Takeover, error) {
	var (
		h       = NewHistory(slots)
		life    atomic.Int64
		started []time.Time
		random  = rand.New(rand.NewPCG(run.Seed, 0))
		refused = newOnce()
	)
	sink, err := load.NewSink(func(r load.Request) int {
		got := receive(r, int(life.Load()))
		n := fnv.New32a()
		n.Write([]byte(got.ID))
		pause(ctx, time.Duration(n.Sum32())%answerWithin)
		got.Answer = http.StatusOK
		if n.Sum32()%refuseEvery == 0 && refused.first(got.ID) {
			got.Answer = http.StatusServiceUnavailable
		}
		got.Ended = time.Now()
		h.Receive(got)
		return got.Answer
	})
	if err != nil {
		return nil, nil, err
	}
	defer sink.Close()
	g, err := newGateway(run.Binary, run.Dir, sink.Addr)
	if err != nil {
		return nil, nil, err
	}

	// Everything below ends with ctx; the sender's queue holds the whole run.
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	s := newSender(ctx, g.addr, sourceSecret, h, 4*run.Rate*(run.Kills+1)*int(killLast/time.Second)+4096)
	generated := make(chan struct{})
	go func() { s.run(sending, run.Rate); close(generated) }()

	for range run.Kills {
		started = append(started, time.Now())
		if err := g.start(); err != nil {
			return nil, nil, err
		}
		s.repeat()
		if err := g.kill(killFirst + time.Duration(random.Int64N(int64(killLast-killFirst)))); err != nil {
			return nil, nil, err
		}
		if err := sink.Drain(); err != nil {
			return nil, nil, err
		}
		h.Kills++
		life.Add(1)
	}
	started = append(started, time.Now())
	if err := g.start(); err != nil {
		return nil, nil, err
	}
	s.repeat()
	stopSending()
	<-generated
	settled, cancel := context.WithTimeout(ctx, run.SettleFor)
	defer cancel()
	err = settle(settled, s, h)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, g.said())
	}
	if stopErr := g.stop(); err == nil {
		err = stopErr
	}
	return h, takeover(h, started), err
}

// settle waits until everything sent has been acknowledged, and everything
// acknowledged delivered. What is missing at the end of its patience is for the
// checker to name.
func settle(ctx context.Context, s *sender, h *History) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.open.Load() > 0 || h.Missing() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if n := s.open.Load(); n > 0 {
				return fmt.Errorf("%d requests still unanswered at the end", n)
			}
			return nil
		}
	}
	s.close()
	return nil
}

func receive(r load.Request, life int) Received {
	got := Received{
		Life: life, Began: r.At,
		ID: r.Header.Get("webhook-id"), Key: r.Header.Get("Idempotency-Key"), Event: r.Header.Get("seawall-event"),
	}
	got.Seq, got.Intact = load.Intact(r.Body)
	if err := load.VerifyWebhook(sinkSecret, r.Header, r.Body, r.At); err != nil {
		got.Forged = err.Error()
	}
	return got
}

// takeover is how long each life after a kill took from the start of its
// process to its first delivery.
func takeover(h *History, started []time.Time) Takeover {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[int]time.Time{}
	for _, r := range h.received {
		if at, ok := first[r.Life]; !ok || r.Began.Before(at) {
			first[r.Life] = r.Began
		}
	}
	var t Takeover
	for life, at := range first {
		if life > 0 {
			t = append(t, at.Sub(started[life]))
		}
	}
	slices.Sort(t)
	return t
}
