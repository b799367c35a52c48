package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// storyBodies bounds the bodies of requests and responses in one story, in
// bytes: beyond it they are left out there, and /deliveries/{id} has them.
const storyBodies = 16 << 20

// storyActions bounds the actions of one event or delivery in a story.
const storyActions = 1000

func (s *server) story(ctx context.Context, in *EventPath) (*answer[Story], error) {
	id, err := in.event()
	if err != nil {
		return nil, err
	}
	ev, err := s.Store.Event(ctx, id)
	if err != nil {
		return nil, about("event", id, err)
	}
	out := Story{Event: formEvent(*ev)}
	if out.Duplicates, out.Conflicts, err = s.Store.Arrived(ctx, id); err != nil {
		return nil, fmt.Errorf("arrivals of %s: %w", id, err)
	}
	if out.Arrivals, err = s.arrivalsOf(ctx, id); err != nil {
		return nil, err
	}
	ds, err := s.Store.DeliveriesOf(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("deliveries of %s: %w", id, err)
	}
	if out.Actions, err = s.actionsOn(ctx, id.String()); err != nil {
		return nil, err
	}
	out.Deliveries = make([]Traced, 0, len(ds))
	bodies := storyBodies
	for _, d := range ds {
		t, err := s.traced(ctx, d)
		if err != nil {
			return nil, err
		}
		for i := range t.Tries {
			bodies -= leaveOut(&t.Tries[i], bodies)
		}
		out.Deliveries = append(out.Deliveries, t)
		acts, err := s.actionsOn(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		out.Actions = append(out.Actions, acts...)
	}
	many, err := s.manyActions(ctx, ds)
	if err != nil {
		return nil, err
	}
	out.Actions = append(out.Actions, many...)
	slices.SortFunc(out.Actions, func(a, b Action) int { return cmp.Compare(a.ID, b.ID) })
	closed, err := s.closed(ctx)
	if err != nil {
		return nil, err
	}
	out.Timeline = timeline(&out, closed, s.Now())
	return &answer[Story]{out}, nil
}

// closed says of each destination whose queue stands still: paused or disabled.
func (s *server) closed(ctx context.Context) (map[string]string, error) {
	gates, err := s.Store.Gates(ctx)
	if err != nil {
		return nil, fmt.Errorf("gates: %w", err)
	}
	out := map[string]string{}
	for _, g := range gates {
		if g.Gate != seawall.Open {
			out[g.Destination] = g.Gate.String()
		}
	}
	return out, nil
}

// leaveOut drops the bodies of an attempt that are more than room, and tells
// how much it kept.
func leaveOut(a *Attempt, room int) int {
	kept := 0
	if n := len(a.Request.Body); n <= room {
		kept += n
	} else {
		a.Request.Body = nil
	}
	if a.Response != nil {
		a.Response = shortened(a.Response, room, &kept)
	}
	for i := range a.Asked {
		if x := &a.Asked[i]; x.Response != nil {
			x.Response = shortened(x.Response, room, &kept)
		}
	}
	return kept
}

// shortened is a response without its body, if that is more than what is left of
// room; else it is counted.
func shortened(r *seawall.Response, room int, kept *int) *seawall.Response {
	if n := len(r.Body); n <= room-*kept {
		*kept += n
		return r
	}
	short := *r
	short.Body, short.Truncated = nil, true
	return &short
}

// arrivalsOf are the arrivals that repeat an event, oldest first.
func (s *server) arrivalsOf(ctx context.Context, id seawall.EventID) ([]Arrival, error) {
	out := []Arrival{}
	for p := (store.Page{}); ; {
		l, err := s.Store.ListArrivals(ctx, store.ArrivalFilter{Event: id}, p)
		if err != nil {
			return nil, fmt.Errorf("arrivals of %s: %w", id, err)
		}
		out = append(out, each(l.Items, formArrival)...)
		if p.Cursor = l.Next; p.Cursor == "" {
			slices.Reverse(out)
			return out, nil
		}
	}
}

// actionsOn are the newest actions on something.
func (s *server) actionsOn(ctx context.Context, on string) ([]Action, error) {
	out := []Action{}
	for p := (store.Page{}); ; {
		l, err := s.Store.ListActions(ctx, on, p)
		if err != nil {
			return nil, fmt.Errorf("actions on %s: %w", on, err)
		}
		out = append(out, each(l.Items, formAction)...)
		if p.Cursor = l.Next; p.Cursor == "" || len(out) >= storyActions {
			return out, nil
		}
	}
}

// traced is a delivery with its attempts.
func (s *server) traced(ctx context.Context, d seawall.Delivery) (Traced, error) {
	as, err := s.Store.Attempts(ctx, d.ID)
	if err != nil {
		return Traced{}, fmt.Errorf("attempts of %s: %w", d.ID, err)
	}
	return Traced{Delivery: formDelivery(d), Tries: each(as, formAttempt)}, nil
}
