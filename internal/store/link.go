package store

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Links keep which record an entity is in each system.
type Links interface {
	// LinksOf returns an entity's links, by system. An entity that was merged into
	// another has that one's.
	LinksOf(ctx context.Context, entity string) ([]seawall.Link, error)

	// EntityOf returns the entity of a name whose record in a system this is; ""
	// if none is known.
	EntityOf(ctx context.Context, name, system, record string) (string, error)

	ListLinks(ctx context.Context, f LinkFilter, p Page) (List[seawall.Link], error)

	// PutLinks writes links, all or none, in place of those that the entities had.
	// It fails with seawall.ErrConflict, naming the first, where a record is
	// another entity's.
	PutLinks(ctx context.Context, ls []seawall.Link, a seawall.Action) error

	// Unlink removes one; seawall.ErrNotFound.
	Unlink(ctx context.Context, entity, system string, a seawall.Action) error

	// Merge makes an entity another name of one of the same name: its links become
	// that one's where that has none in the system, the others are dropped and told
	// in the action's detail; events that name it are the other's from now on.
	// Merging what was merged already is done; seawall.ErrConflict if into was itself
	// merged into from, or is from.
	Merge(ctx context.Context, from, into string, a seawall.Action) error

	// Aliases returns entities that were merged, with what they are now: never
	// another alias. version is that of the set; with the version that the caller
	// has, nothing is read if none came since.
	Aliases(ctx context.Context, version int64) (all map[string]string, now int64, err error)

	// Await has an event wait for a link again, of which a delivery was replayed that
	// had given up. If it waits already, that stands.
	Await(ctx context.Context, id seawall.EventID, r Record) error

	// Resolvable returns up to limit events that wait for a link: those whose link
	// is there now, with its entity, and those whose wait is over at now, without.
	Resolvable(ctx context.Context, now time.Time, limit int) ([]Resolvable, error)

	// Resolve ends an event's wait: it writes its Entity, Version, Routing and Decisions, and
	// for each of its deliveries that is held as [seawall.ReasonUnresolved] what
	// stands in ds under the same ID, as Accept would: queue, entity, order, state.
	// done is false, and nothing written, if the event waits no longer. The
	// deliveries are filled in as by Accept.
	Resolve(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery) (done bool, err error)
}

// LinkFilter selects links; zero fields select all.
type LinkFilter struct {
	Name   string // of the entity: order
	Entity string
	System string
	Record string
}

// Resolvable is an event that need not wait for its link any longer.
type Resolvable struct {
	Event  seawall.EventID
	Record Record
	Entity string // "": the wait is over, the link did not come
}
