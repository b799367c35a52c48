package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// The load of an ordered route is of so many entities; each event is a newer version
// of the one before.
const orderedEntities = 10_000

// Lines of the configuration of an ordered route.
var (
	orderedKeys     = ", entity: order, order: sequence"
	entitiesSection = fmt.Sprintf("entities:\n  order: { bench: { key: '.number %% %d', version: .number } }\n", orderedEntities)
)

// hotEntity is one whose line is long: its head waits for a retry, and so many
// behind it.
const (
	hotEntity  = "order/hot"
	hotWaiting = 100_000
)

// hot makes such a line at the sink.
func (s *seeder) hot(ctx context.Context) error {
	head := s.inLine(0)
	if _, err := s.Accept(ctx, []store.Acceptance{head}); err != nil {
		return err
	}
	leases, err := s.Acquire(ctx, "seeder", []store.Lane{{System: sinkDestination}}, time.Minute)
	if err != nil {
		return err
	}
	if len(leases) != 1 {
		return fmt.Errorf("the lane of %s is not to be had", sinkDestination)
	}
	d := head.Deliveries[0]
	if d.State != seawall.Pending {
		return fmt.Errorf("the head of the long line is %s", d.State)
	}
	again := settlement(leases[0], store.Claimed{Delivery: d, Event: head.Event}, time.Now())
	again.State, again.Due, again.Attempt.Outcome = seawall.Pending, time.Now().Add(tomorrow), seawall.Refused
	if _, err := s.Settle(ctx, []store.Settlement{again}); err != nil {
		return err
	}
	for i := 1; i <= hotWaiting; {
		var batch []store.Acceptance
		for ; i <= hotWaiting && len(batch) < seedBatch; i++ {
			batch = append(batch, s.inLine(i))
		}
		if _, err := s.Accept(ctx, batch); err != nil {
			return err
		}
	}
	return s.Release(ctx, leases)
}

// inLine is the i-th of the long line.
func (s *seeder) inLine(i int) store.Acceptance {
	now := time.Now()
	a := acceptance(mostEvents+s.next, bodySize, now, sinkDestination, hotEntity, now)
	s.next++
	rank, err := order.Rank([]string{strconv.Itoa(i)})
	if err != nil {
		panic(err) // a number is a version
	}
	d := &a.Deliveries[0]
	d.Order, d.Rank = seawall.Sequence, order.On(backlogSource, rank)
	return a
}
