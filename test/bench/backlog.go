package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/load"
)

// A backlog of n: half of it is due at a destination that hangs, a tenth is of
// one entity at the sink, and a fifth each, of many entities, waits for the sink
// and for twenty other destinations. But for the first half it is due tomorrow:
// what is delivered during the measurement would be other work, not a burden.
const (
	deadDestination = "dead"
	sinkDestination = "sink"
	backlogSource   = "earlier"
	otherCount      = 20
	tomorrow        = 24 * time.Hour
)

var otherDestinations = func() (names []string) {
	for i := range otherCount {
		names = append(names, fmt.Sprint("other-", i))
	}
	return names
}()

// place says where the i-th of a backlog waits.
func place(i int) (destination, entity string, wait time.Duration) {
	switch i % 10 {
	case 0, 2, 4, 6, 8:
		return deadDestination, fmt.Sprint("order/", i%1000), 0
	case 1:
		return sinkDestination, "order/hot", tomorrow
	case 3, 5:
		return sinkDestination, fmt.Sprint("order/", i%1000), tomorrow
	default:
		return otherDestinations[i/10%otherCount], fmt.Sprint("order/", i%1000), tomorrow
	}
}

// seeder writes a backlog through the store's own Accept, as a gateway would.
type seeder struct {
	store.Store
	next int // number of the next event of this store
}

// openStore opens a store as a gateway does, for this process.
func openStore(ctx context.Context, addr string) (engine.Store, error) {
	return engine.Open(ctx, config.Store(addr), engine.Options{Serve: true})
}

const (
	seedBatch   = 250
	seedWriters = 8
)

// fill accepts n events, placed as where says.
func (s *seeder) fill(ctx context.Context, n, bodySize int, where func(i int) (destination, entity string, wait time.Duration)) error {
	work := make(chan []store.Acceptance, seedWriters)
	failed := make(chan error, seedWriters)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range seedWriters {
		wg.Go(func() {
			for batch := range work {
				if _, err := s.Accept(ctx, batch); err != nil {
					failed <- err
					cancel()
					return
				}
			}
		})
	}
	s.produce(ctx, n, bodySize, where, work)
	close(work)
	wg.Wait()
	close(failed)
	return <-failed
}

func (s *seeder) produce(ctx context.Context, n, bodySize int, where func(int) (string, string, time.Duration), work chan<- []store.Acceptance) {
	now := time.Now()
	for i := 0; i < n; {
		batch := make([]store.Acceptance, 0, seedBatch)
		for ; i < n && len(batch) < seedBatch; i++ {
			destination, entity, wait := where(i)
			batch = append(batch, acceptance(mostEvents+s.next, bodySize, now, destination, entity, now.Add(wait)))
			s.next++
		}
		select {
		case work <- batch:
		case <-ctx.Done():
			return
		}
	}
}

// acceptance is what a gateway makes of the n-th request of the load.
func acceptance(n, bodySize int, now time.Time, destination, entity string, due time.Time) store.Acceptance {
	id, route := fmt.Sprintf("backlog-%012d", n), backlogSource+"-"+destination
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: backlogSource, SourceID: id, Type: "issues", Entity: entity,
		ReceivedAt: now, Method: "POST", URL: "http://127.0.0.1:8080" + path, Remote: "127.0.0.1:51234",
		Proof: "github, secret 1 of 1", Revision: 1, Body: load.AppendBody(nil, n)[:bodySize],
		Headers: map[string][]string{"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/load"},
			"Content-Length": {strconv.Itoa(bodySize)}, "X-Github-Event": {"issues"}, "X-Github-Delivery": {id}},
		Decisions: []seawall.Decision{{Route: route, Matched: true}}}
	a := store.Acceptance{Event: e, Expires: now.Add(30 * 24 * time.Hour)}
	sum := sha256.Sum256(e.Body)
	copy(a.BodyHash[:], sum[:])
	a.Deliveries = []seawall.Delivery{{ID: e.ID.Delivery(1), Route: route, Destination: destination,
		System: destination, Entity: entity, Due: due, Revision: 1}}
	return a
}

// bodySize is the load's own.
var bodySize = len(load.AppendBody(nil, 0))

// due adds n events that wait for the sink now.
func (s *seeder) due(ctx context.Context, n, bodySize int) error {
	return s.fill(ctx, n, bodySize, func(int) (string, string, time.Duration) { return sinkDestination, "", 0 })
}

// hole is a destination that takes connections and never answers.
type hole struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newHole() (*hole, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hole{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, c)
			h.mu.Unlock()
		}
	}()
	return h, nil
}

func (h *hole) Close() error {
	err := h.Listener.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		err = errors.Join(err, c.Close())
	}
	return err
}
