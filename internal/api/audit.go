package api

import (
	"context"
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Of a replay of many: when the first and the last of a chunk fall due.
const (
	detailFrom = "due_from"
	detailTo   = "due_to"
)

// auditDepth bounds how many of the newest actions are searched for the orders
// about many deliveries that one story is part of.
const auditDepth = 2000

// manyActions are the orders about many deliveries that these were part of.
// Such an order is recorded once, not once for each delivery; what it left on
// them tells: the time that a round began, or that the delivery ended.
func (s *server) manyActions(ctx context.Context, ds []seawall.Delivery) ([]Action, error) {
	var out []Action
	oldest := oldestOrder(ds)
	if oldest.IsZero() {
		return nil, nil
	}
	seen := 0
	for p := (store.Page{Limit: 500}); seen < auditDepth; {
		l, err := s.Store.ListActions(ctx, "", p)
		if err != nil {
			return nil, fmt.Errorf("list actions: %w", err)
		}
		for _, a := range l.Items {
			if a.At.Before(oldest) {
				return out, nil
			}
			for _, d := range ds {
				if a.On == "" && partOf(&d, &a) {
					out = append(out, formAction(a))
					break
				}
			}
		}
		seen += len(l.Items)
		if p.Cursor = l.Next; p.Cursor == "" {
			break
		}
	}
	return out, nil
}

// oldestOrder is the earliest time at which an order can have been given that
// still shows on one of the deliveries; zero if none does.
func oldestOrder(ds []seawall.Delivery) (oldest time.Time) {
	for _, d := range ds {
		if replayed(&d) || d.State == seawall.Canceled {
			if oldest.IsZero() || d.Created.Before(oldest) {
				oldest = d.Created
			}
		}
	}
	return oldest
}

func replayed(d *seawall.Delivery) bool { return d.Since.After(d.Created) }

// partOf tells whether an order about many deliveries included this one.
func partOf(d *seawall.Delivery, a *seawall.Action) bool {
	switch a.What {
	case "cancel":
		return d.State == seawall.Canceled && sameTime(d.Finished, a.At)
	case "replay":
		from, err1 := time.Parse(time.RFC3339Nano, a.Detail[detailFrom])
		to, err2 := time.Parse(time.RFC3339Nano, a.Detail[detailTo])
		return replayed(d) && err1 == nil && err2 == nil && fits(d, a) &&
			!d.Since.Before(from.Truncate(time.Microsecond)) && !d.Since.After(to)
	}
	return false
}

// fits tells whether the order's filter, as far as names go, selects d.
func fits(d *seawall.Delivery, a *seawall.Action) bool {
	for key, v := range map[string]string{"source": d.Source, "destination": d.Destination, "route": d.Route, "entity": d.Entity} {
		if want := a.Detail[key]; want != "" && want != v {
			return false
		}
	}
	return true
}

// sameTime compares times at the precision that a store keeps.
func sameTime(a, b time.Time) bool {
	return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond))
}
