package api

import (
	"context"
	"errors"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

// Only the destinations of the running configuration are delivered to, whatever
// configuration shapes a request. What is put back for any other would wait for
// ever, and so it is not put back.

// destinationOf is the destination that takes what is queued for a name: the
// one of that name, or else the one that was renamed from it; nil for one that
// has left the configuration.
func destinationOf(c *config.Config, name string) *config.Destination {
	for _, d := range c.Destinations {
		if d.Name == name {
			return d
		}
	}
	for _, d := range c.Destinations {
		if d.RenamedFrom == name {
			return d
		}
	}
	return nil
}

// reaches tells that what is queued for a name will be sent: to a destination,
// or to a system that is called.
func reaches(c *config.Config, name string) bool {
	return destinationOf(c, name) != nil || c.Callee(name) != nil
}

// reachable refuses a destination that has left the configuration.
func (s *server) reachable(name string) error {
	c, _ := s.Gateway.Config()
	if reaches(c, name) {
		return nil
	}
	return seawall.Errorf(seawall.ErrConflict, "destination %q is not in the running configuration: what is sent to it would wait for ever", name).
		WithHint("add it to the configuration again, or put renamed_from: %s on the one that takes its place, and reload", name)
}

// reach keeps those of the ids that can be delivered, and counts the others by
// destination.
func (s *server) reach(ctx context.Context, ids []seawall.DeliveryID) (kept []seawall.DeliveryID, gone map[string]int, err error) {
	c, _ := s.Gateway.Config()
	for _, id := range ids {
		d, err := s.Store.Delivery(ctx, id)
		if errors.Is(err, seawall.ErrNotFound) {
			continue // its retention has ended meanwhile
		}
		if err != nil {
			return nil, nil, about("delivery", id, err)
		}
		if reaches(c, d.Destination) {
			kept = append(kept, id)
			continue
		}
		if gone == nil {
			gone = map[string]int{}
		}
		gone[d.Destination]++
	}
	return kept, gone, nil
}
