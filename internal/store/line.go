package store

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/seawall"
)

// Lines keep the deliveries of an entity in order. What is held for a time, or
// for others of its line, is not claimed; when its time comes the owner of its
// lane has it go on.
type Lines interface {
	// Ripen has held deliveries of a destination in a lane go on whose time has
	// come: those in a settle window wait for their turn only, waits for a
	// prerequisite end if their OnWait is to deliver, and lines that a dead delivery
	// held up past its Pass go on without it. It handles at most limit of them, in one
	// transaction, and does nothing if the lease no longer stands.
	//
	// What does not go on is for the owner to settle, with the event that this is: a
	// wait that ends otherwise, and what has become late and is held for a person.
	// Ripen writes nothing of these and returns them each time, until they are settled:
	// as Dead, or as Held due [order.Never].
	Ripen(ctx context.Context, l Lease, destination string, now time.Time, limit int) (r Ripened, err error)

	// Positions lists what destinations have seen of an entity, by destination.
	Positions(ctx context.Context, entity string) ([]Position, error)

	// ListEntities lists entities that have a position, by name and key.
	ListEntities(ctx context.Context, f EntityFilter, p Page) (List[EntityState], error)

	// Skip cancels deliveries, unfinished or dead ones, for
	// [seawall.ReasonSkipped], so that their lines go on without them. It returns
	// those that it ended.
	Skip(ctx context.Context, ids []seawall.DeliveryID, a seawall.Action) ([]seawall.DeliveryID, error)
}

// Ripened is what Ripen did.
type Ripened struct {
	Freed int                // now pending
	Over  []seawall.Delivery // held still: for the owner to settle
	Next  time.Time          // when the next one's time comes, Over left out; now, if there are more; zero: none has one
}

// Position is what a destination has seen of an entity.
type Position struct {
	Destination string
	order.Position
	At time.Time // of its last change
}

// EntityFilter selects entities; zero fields select all.
type EntityFilter struct {
	Name        string // order
	Destination string
	Waiting     bool // only those of which something waits for its turn, or is held up by a dead one
}

// EntityState is one entity as a list shows it.
type EntityState struct {
	Entity  string
	Waiting int // deliveries held for others, over all destinations
	Blocked int // destinations at which a dead delivery holds it up
	At      time.Time
}
