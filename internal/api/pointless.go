package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Of what only the newest version matters, an older one is not put back unless that
// is said: it would undo what the newer one did.

// leftAsItIs tells that a replay left a delivery as it is for that.
func leftAsItIs(d *seawall.Delivery) bool { return d.Order == seawall.Latest && d.Replayable() }

// pointless refuses the replay of a delivery that was left as it is, and names the
// version that made it pointless; nil if that is not why.
func (s *server) pointless(ctx context.Context, id seawall.DeliveryID) error {
	d, err := s.Store.Delivery(ctx, id)
	if err != nil {
		return about("delivery", id, err)
	}
	if !leftAsItIs(d) {
		return nil
	}
	positions, err := s.Store.Positions(ctx, d.Entity)
	if err != nil {
		return fmt.Errorf("positions of %s: %w", d.Entity, err)
	}
	const again = "; to send this one all the same, as a late one: force (on the command line: --force)"
	newest := newestOf(positions, d)
	if newest.IsZero() {
		return seawall.Errorf(seawall.ErrConflict, "a newer version of %s made %s pointless", d.Entity, id).
			WithHint("replay the newest one%s", again)
	}
	return seawall.Errorf(seawall.ErrConflict, "a newer one of %s made %s pointless: %s", d.Entity, id, newest).
		WithHint("to bring the destination to the newest version, replay %s%s", newest.Delivery, again)
}

// newestOf is the newest of an entity that came for a delivery's destination, by
// its clock.
func newestOf(positions []store.Position, d *seawall.Delivery) order.Mark {
	name, _ := order.ClockOf(d.Rank)
	for _, p := range positions {
		if p.Destination != d.Destination {
			continue
		}
		if i := slices.IndexFunc(p.Clocks, func(c order.Clock) bool { return c.Name == name }); i >= 0 {
			return p.Clocks[i].Top
		}
	}
	return order.Mark{}
}

// outdated adds to n how many of the ids a replay left as they are because a newer
// version made them pointless.
func (s *server) outdated(ctx context.Context, ids []seawall.DeliveryID, replayed []seawall.Delivery, n int) (int, error) {
	if len(replayed) == len(ids) {
		return n, nil
	}
	type way struct { // one that was put back under a new id went the same
		event seawall.EventID
		route string
	}
	put := make(map[way]bool, len(replayed))
	for i := range replayed {
		put[way{replayed[i].ID.Event(), replayed[i].Route}] = true
	}
	for _, id := range ids {
		d, err := s.Store.Delivery(ctx, id)
		if errors.Is(err, seawall.ErrNotFound) {
			continue // its retention has ended meanwhile
		}
		if err != nil {
			return n, about("delivery", id, err)
		}
		if leftAsItIs(d) && !put[way{id.Event(), d.Route}] {
			n++
		}
	}
	return n, nil
}
