package nodes

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

const (
	queues = 6  // so that both nodes have some
	slots  = 16 // of each

	// takeoverWithin is how soon after a node's end others deliver what it left.
	takeoverWithin = 20 * time.Second

	// settleWithin bounds the wait for everything to be delivered in the end: a
	// takeover and a backlog.
	settleWithin = 90 * time.Second

	// The destination takes its time, so that every fault finds deliveries in
	// flight, and refuses some once, so that others are between two tries.
	answerWithin = 40 * time.Millisecond
	refuseEvery  = 50
)

// rate is events per second. A fraction of the rows is run a few at a time, all
// of them one by one.
func rate() int { return rows.Size(200, 500) }

// scene is two gateways on one database between a sender and a destination.
type scene struct {
	t       *testing.T
	ctx     context.Context
	history *witness.History
	sink    *load.Sink
	fleet   *witness.Fleet
	sender  *witness.Sender

	stopSending func()
	answers     tally
}

// stage says what a scene is made of; the zero value is the usual.
type stage struct {
	store  func(node int) string // URLs; default: one database for all
	decide func(witness.Received) int
	more   string // of each destination's keys
}

// open makes a scene of two nodes, starts them, and waits until they are ready.
func open(t *testing.T, st stage) *scene {
	t.Helper()
	t.Parallel()
	bin, err := rows.Build()
	must(t, err)
	s := &scene{t: t, ctx: t.Context(), history: witness.NewHistory(0), stopSending: func() {}}
	if st.decide == nil {
		st.decide = s.usual()
	}
	s.sink, err = witness.NewSink(s.history, func() int { return 0 }, st.decide)
	must(t, err)
	t.Cleanup(s.sink.Close)
	if st.store == nil {
		url := pgcluster.Shared(t)
		st.store = func(int) string { return url }
	}
	s.fleet, err = witness.NewFleet(bin, t.TempDir(), 2, st.store, witness.Setup{
		Sink: s.sink.Addr, Slots: slots, Queues: queues, Retry: " first: 1s, cap: 2s, max: 100 ", More: st.more,
	}, s.history)
	must(t, err)
	t.Cleanup(s.fleet.Discard)
	s.start()
	return s
}

// start starts the nodes and waits until they are ready.
func (s *scene) start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	if err := s.fleet.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// usual is a destination that takes its time and at times refuses.
func (s *scene) usual() func(witness.Received) int {
	refused := witness.NewOnce()
	return func(r witness.Received) int {
		n := fnv.New32a()
		n.Write([]byte(r.ID))
		witness.Pause(s.ctx, time.Duration(n.Sum32())%answerWithin)
		if n.Sum32()%refuseEvery == 0 && refused.First(r.ID) {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
}

// tally counts what senders were answered.
type tally struct {
	mu sync.Mutex
	of map[int]int
}

func (a *tally) add(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[int]int{}
	}
	a.of[status]++
}

func (a *tally) get(status int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[status]
}

// judge fails for answers that are none of those a sender may count on; 0 is
// none, from a node that is not there.
func (a *tally) judge(t *testing.T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for status, n := range a.of {
		if status != 0 && status/100 != 2 && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
			t.Errorf("%d answers of %d, want 2xx, 429 or 503", n, status)
		}
	}
}

// send sends events at a rate, to both nodes, for at most some time.
func (s *scene) send(rate int, most time.Duration) {
	s.t.Helper()
	s.sender = witness.NewSender(s.ctx, s.history, 3*rate*int(most/time.Second)+4096,
		func(status int, _ time.Duration) { s.answers.add(status) }, s.fleet.Addrs()...)
	ctx, cancel := context.WithTimeout(s.ctx, most)
	ended := make(chan struct{})
	go func() { s.sender.Run(ctx, rate); close(ended) }()
	s.stopSending = func() { cancel(); <-ended }
	s.t.Cleanup(cancel)
}

// settle ends the load, waits until all is delivered, stops the nodes in order,
// and judges.
func (s *scene) settle() {
	s.t.Helper()
	s.stopSending()
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, settleWithin)
	defer cancel()
	if err := s.sender.Settle(ctx); err != nil {
		s.fatal("%v", err)
	}
	settled := time.Since(began)
	if err := s.fleet.Stop(); err != nil {
		s.t.Error(err)
	}
	s.judge()
	s.t.Logf("all delivered %s after the last event, stopped in %s", settled.Round(time.Millisecond), (time.Since(began) - settled).Round(time.Millisecond))
}

// judge fails for every broken promise, and says what was seen.
func (s *scene) judge() {
	s.t.Helper()
	vs := witness.Check(s.history)
	for _, v := range vs[:min(len(vs), 10)] {
		s.t.Errorf("%s: %s", v.Guarantee, v.What)
	}
	if len(vs) > 10 {
		s.t.Errorf("and %d more", len(vs)-10)
	}
	s.answers.judge(s.t)
	sent, acked, requests, delivered := s.history.Counts()
	if acked < sent || delivered < acked {
		s.t.Errorf("%d sent, %d acknowledged, %d delivered", sent, acked, delivered)
	}
	if s.t.Failed() {
		s.t.Log(s.fleet.Said())
	}
	s.t.Logf("%d events sent, %d acknowledged, %d delivered by %d requests; %d faults, %d repeated",
		sent, acked, delivered, requests, len(s.history.Faults()), s.history.Repeated())
}

// fatal fails with what the nodes printed.
func (s *scene) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s; %s", fmt.Sprintf(format, args...), s.fleet.Said())
}

// until waits for a condition; the deadline is the test's verdict.
func (s *scene) until(within time.Duration, what string, is func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			s.fatal("not within %s: %s", within, what)
		}
		witness.Pause(s.ctx, 10*time.Millisecond)
	}
	return time.Since(began)
}

// flowing waits until every queue has delivered something that was sent off
// after a time, and returns how long after that the last of them did. Under a
// steady load this is the takeover of what a node left behind.
func (s *scene) flowing(since time.Time, within time.Duration) time.Duration {
	s.t.Helper()
	s.until(within-time.Since(since), "a delivery of every queue", func() bool { return len(s.history.FirstSince(since)) == queues })
	var last time.Time
	for _, at := range s.history.FirstSince(since) {
		if at.After(last) {
			last = at
		}
	}
	return last.Sub(since)
}

// shared waits until the work is shared: both nodes deliver, all queues do. A
// fault that met a node without any work would show nothing.
func (s *scene) shared() {
	s.t.Helper()
	since := time.Now()
	var before [2]int
	for i, g := range s.fleet.Nodes {
		before[i], _ = g.Attempts(s.ctx)
	}
	s.until(takeoverWithin, "deliveries by both nodes", func() bool {
		for i, g := range s.fleet.Nodes {
			if n, err := g.Attempts(s.ctx); err != nil || n <= before[i] {
				return false
			}
		}
		return true
	})
	s.flowing(since, takeoverWithin)
}
