package app

import (
	"context"
	"errors"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// aside is the pass of a delivery that has another way while the system's breaker
// is open. With it nothing is sent.
type aside struct{ until time.Time }

func (aside) Leave() {}

// enterOr waits like the others do, but goes aside when the breaker is open.
func enterOr(ctx context.Context, y *system.System, flow string) (lane.Pass, error) {
	pass, err := y.EnterClosed(ctx, flow)
	if errors.Is(err, system.ErrOpen) {
		until, _ := y.Open()
		return aside{until}, nil
	}
	if err != nil {
		return nil, err
	}
	return pass, nil
}

// turnsAside tells whether anything in a queue has another way.
func (l *live) turnsAside(destination string) bool {
	if to := l.destinations[destination]; to != nil {
		return to.Fallback != nil && to.Fallback.OnOpen
	}
	if y := l.callee(&seawall.Delivery{Destination: destination}); y != nil {
		for i := range y.Calls {
			if f := y.Calls[i].Fallback; f != nil && f.OnOpen {
				return true
			}
		}
	}
	return false
}

// leastAside keeps what waits for an open breaker from being looked at all the
// time.
const leastAside = time.Second

// aside settles a delivery whose system is left alone for now: by its fallback, if
// it certainly has not taken effect, else it waits. It spends no attempt.
func (p *path) aside(t *try) store.Settlement {
	until := t.pass.(aside).until
	if least := t.at.Add(leastAside); until.Before(least) {
		until = least
	}
	s := t.wait(until, "its system is left alone: the breaker is open")
	f := t.fallback
	if f == nil || !f.OnOpen || t.Delivery.Step != seawall.Send || settle.Doubted(t.policy, t.past) {
		return s
	}
	switch {
	case f.Answer != nil && t.Delivery.Attempts == 0: // never sent, before a replay neither
		s.State, s.Due, s.Reason = seawall.Dead, time.Time{}, "answered by the fallback: the breaker is open"
		s.Answer = fixed(f, t.at)
	case f.To != "":
		p.divert(t, &s, "the breaker is open")
	}
	return s
}

// fallBack gives a delivery that is dead, and so certainly did not take effect, to
// its fallback.
func (p *path) fallBack(t *try, s *store.Settlement) {
	f := t.fallback
	switch {
	case f == nil || !f.OnDead:
	case f.Answer != nil:
		s.Answer = fixed(f, p.app.Now())
	case f.To != "":
		p.divert(t, s, s.Reason)
	}
}

// divert moves a delivery to its fallback's queue: the same delivery, under the
// same id, as a first try.
func (p *path) divert(t *try, s *store.Settlement, why string) {
	to := t.live.destinations[t.fallback.To]
	if to == nil || to.Name == t.Delivery.Destination {
		return
	}
	s.State, s.Due, s.Step = seawall.Pending, p.app.Now(), seawall.Send
	s.Reason = "goes to " + to.Name + " instead: " + why
	s.Move = &store.Place{
		Lane:        store.Lane{System: system.Name(to), Shard: plan.Shard(t.Event, to.Shards)},
		Destination: to.Name,
	}
	if s.Attempt != nil {
		s.Attempt.Next = s.Reason
	}
}

// fixed is the configuration's own answer to a call.
func fixed(f *config.Fallback, now time.Time) *seawall.Answer {
	a := *f.Answer
	a.At, a.Fallback = now, true
	a.Headers = a.Headers.Clone()
	if a.Headers == nil {
		a.Headers = map[string][]string{}
	}
	a.Headers.Set(answeredBy, "fallback")
	return &a
}
