// Cluster lets one watch nodes die: three gateways on a PostgreSQL of their own,
// a steady sender, a destination, and every few seconds a node that is killed or
// stopped where it is. Each second it prints what goes through. In the end it
// holds what the senders were told against what the destination saw.
//
//	go run ./test/cluster -for 60s -nodes 3 -rate 500
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/witness"
)

const (
	queues   = 12
	slots    = 16
	entities = 100

	answerWithin = 20 * time.Millisecond

	// calm is the end of a run, in which nothing more is done to the nodes, so
	// that the last one that died is taken over while one watches.
	calm = 20 * time.Second

	settleWithin = 60 * time.Second
	mostFor      = 24 * time.Hour
)

type run struct {
	lasts time.Duration
	nodes int
	rate  int
	seed  uint64

	pg      *pgcluster.Cluster
	history *witness.History
	fleet   *witness.Fleet
	sender  *witness.Sender
	notes   chan string // what was done to whom
}

func main() {
	r := &run{history: witness.NewHistory(0), notes: make(chan string, 64)}
	flag.DurationVar(&r.lasts, "for", 60*time.Second, "how long, from 30s on")
	flag.IntVar(&r.nodes, "nodes", 3, "how many nodes (1 to 9)")
	flag.IntVar(&r.rate, "rate", 500, "events per second (1 to 5000)")
	flag.Uint64Var(&r.seed, "seed", 0, "of who is killed when; 0: a new one")
	flag.Parse()
	if r.lasts < 30*time.Second || r.lasts > mostFor || r.nodes < 1 || r.nodes > 9 || r.rate < 1 || r.rate > 5000 {
		flag.Usage()
		os.Exit(2)
	}
	if r.seed == 0 {
		r.seed = rand.Uint64()
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := r.all(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// all is the run from its first to its last line. An interrupt ends the load
// early; what was sent until then is settled and judged all the same.
func (r *run) all(interrupted context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.lasts+5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "seawall-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	end, err := r.open(ctx, dir)
	defer end()
	if err != nil {
		return err
	}
	fmt.Printf("%d nodes on one PostgreSQL, %d events/s to %d destinations, -seed %d\n", r.nodes, r.rate, queues, r.seed)

	load, stop := context.WithTimeout(interrupted, r.lasts)
	defer stop()
	r.sender = witness.NewSender(ctx, r.history, 2*r.rate*int(r.lasts/time.Second)+4096, nil, r.fleet.Addrs()...)
	sent := make(chan struct{})
	go func() { r.sender.Run(load, r.rate); sent <- struct{}{} }()
	watched := make(chan struct{})
	watching, unwatch := context.WithCancel(ctx)
	go func() { r.watch(watching); watched <- struct{}{} }()
	err = r.harm(load)
	<-sent
	if err == nil {
		err = r.settle(ctx)
	}
	unwatch()
	<-watched
	if err != nil {
		return err
	}
	return r.judge()
}

// open starts PostgreSQL, the destination and the nodes. What it returns ends
// them, also after an error.
func (r *run) open(ctx context.Context, dir string) (end func(), err error) {
	var ends []func()
	end = func() {
		for i := range ends {
			ends[len(ends)-1-i]()
		}
	}
	binary, err := witness.Build(dir)
	if err != nil {
		return end, err
	}
	if r.pg, err = pgcluster.New(pgcluster.Options{}); err != nil {
		return end, err
	}
	ends = append(ends, func() { r.pg.Close() })
	if err := r.pg.CreateDatabase("seawall", ""); err != nil {
		return end, err
	}
	sink, err := witness.NewSink(r.history, func() int { return 0 }, func(got witness.Received) int {
		witness.Pause(ctx, time.Duration(got.Seq%10)*answerWithin/10)
		return http.StatusOK
	})
	if err != nil {
		return end, err
	}
	ends = append(ends, sink.Close)
	r.fleet, err = witness.NewFleet(binary, dir, r.nodes, func(int) string { return r.pg.URL("seawall") },
		witness.Setup{Sink: sink.Addr, Slots: slots, Queues: queues}, r.history)
	if err != nil {
		return end, err
	}
	ends = append(ends, r.fleet.Discard)
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return end, r.fleet.Start(ready)
}

// settle waits until all is delivered and stops the nodes.
func (r *run) settle(ctx context.Context) error {
	r.say("no more events; waiting until all are delivered")
	settled, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := r.sender.Settle(settled); err != nil {
		return fmt.Errorf("%w: %s", err, r.fleet.Said())
	}
	return r.fleet.Stop()
}

// judge prints the verdict. Its error is every broken promise.
func (r *run) judge() error {
	var broken []error
	lost := 0
	for _, v := range witness.Check(r.history) {
		if v.Guarantee == "G1" {
			lost++
		}
		if len(broken) < 10 {
			broken = append(broken, fmt.Errorf("%s: %s", v.Guarantee, v.What))
		}
	}
	_, acked, requests, delivered := r.history.Counts()
	faults := len(r.history.Faults())
	fmt.Printf("%d events acknowledged, %d delivered by %d requests; %d times a node was killed or paused\n", acked, delivered, requests, faults)
	fmt.Printf("lost %d, inverted %d, repeated %d (at most %d)\n",
		lost, r.history.Inverted(func(seq int) int { return seq % entities }), r.history.Repeated(), faults*r.history.Slots)
	fmt.Println("inverted: delivered after an event of the same entity that was sent only once this one had been acknowledged;\n" +
		"measured, not promised: these routes have no order, which comes with a later version")
	return errors.Join(broken...)
}

func (r *run) say(format string, args ...any) {
	select {
	case r.notes <- fmt.Sprintf(format, args...):
	default: // nobody watches any more
	}
}
