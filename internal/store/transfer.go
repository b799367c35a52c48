package store

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Transfer moves all that a store holds into another one, of any engine, so that
// it goes on there as it would have here: with the same ids, numbers, counts and
// times. Nobody may serve either store meanwhile. Package transfer drives it.
type Transfer interface {
	// Identity tells what the store is, giving it an id if it has none.
	Identity(ctx context.Context) (Identity, error)

	// Adopt begins to make an empty store a copy of the one with that id, or goes
	// on with it. It fails with seawall.ErrConflict if the store holds anything
	// else.
	Adopt(ctx context.Context, origin int64) error

	// Export returns what a part holds after a number, in order, in about limit
	// rows; fewer, where they are large.
	Export(ctx context.Context, p Part, after int64, limit int) (Chunk, error)

	// Import writes a chunk with its mark in one transaction. Of a chunk that was
	// written already it writes nothing. It fails with seawall.ErrConflict if the
	// chunk does not follow on the mark.
	Import(ctx context.Context, c Chunk) error

	// Finish says that the copy is whole, with a digest of its content.
	Finish(ctx context.Context, digest int64) error
}

// Identity is what a store is, among others.
type Identity struct {
	ID     int64          // given at random
	Empty  bool           // it holds nothing that came from outside
	Origin int64          // id of the store that it is a copy of; 0: of none
	Marks  map[Part]int64 // how far each part is copied
	Done   bool           // the copy is whole
	Digest int64          // of what was copied
}

// Part is a share of what a store holds.
type Part string

const (
	PartEvents    Part = "events" // with their keys, counts of repeats, deliveries, attempts; by accept sequence
	PartArrivals  Part = "arrivals"
	PartActions   Part = "actions"
	PartRevisions Part = "revisions"
	PartLines     Part = "lines" // positions, by their numbers, which deliveries name
	PartLinks     Part = "links" // by their numbers
	PartRest      Part = "rest"  // what is small, and the counters
)

// Parts are all of them, in the order in which they are moved: what is referred
// to comes first.
var Parts = []Part{PartEvents, PartArrivals, PartActions, PartRevisions, PartLines, PartLinks, PartRest}

// Chunk is a piece of one part. The field of that part alone is filled.
type Chunk struct {
	Part  Part
	After int64 // the number that was asked for
	Next  int64 // the number of its last row: where to go on
	More  bool

	Events    []MovedEvent
	Arrivals  []seawall.Arrival
	Actions   []seawall.Action
	Revisions []seawall.Revision
	Lines     []MovedPosition
	Links     []MovedLink
	Rest      *Rest
}

// Rows is how many rows the chunk has, deliveries and attempts not counted.
func (c *Chunk) Rows() int {
	n := len(c.Events) + len(c.Arrivals) + len(c.Actions) + len(c.Revisions) + len(c.Lines) + len(c.Links)
	if c.Rest != nil {
		n += len(c.Rest.Gates) + len(c.Rest.Tokens) + len(c.Rest.Lanes) + len(c.Rest.Systems) + len(c.Rest.Rates) + len(c.Rest.Sealed) + len(c.Rest.Aliases)
	}
	return n
}

// MovedEvent is an event with all that belongs to it.
type MovedEvent struct {
	Event                 *seawall.Event
	Key                   *Key // nil if it has none, or if a later event has it now
	Duplicates, Conflicts int64
	Deliveries            []MovedDelivery
	Unresolved            *Record `json:",omitempty"` // it waits to learn whose this is
}

// Key is what is kept of a dedupe key, beside what the event itself says.
type Key struct {
	BodyHash [16]byte
	Expires  time.Time
}

// MovedDelivery is a delivery with its attempts.
type MovedDelivery struct {
	Delivery seawall.Delivery
	Replayed bool   // made by a replay
	First    *Place `json:",omitempty"` // where it was before it was diverted
	Line     int64  `json:",omitempty"` // unfinished ones: the number of the position whose line it is in, or is held beside
	Attempts []seawall.Attempt
	Answer   *seawall.Answer `json:",omitempty"`
}

// MovedPosition is a position. The marks in it hold keys, which all engines make
// the same way of a delivery: its event's number << 15 | its own. With the numbers
// of events these stay as they are.
type MovedPosition struct {
	ID     int64
	Entity string
	Queue  Place // of the line, as last seen
	Position
}

// MovedLink is a link.
type MovedLink struct {
	ID int64
	seawall.Link
}

// AnswerBytes is how large the answers to its deliveries are.
func (m *MovedEvent) AnswerBytes() (n int) {
	for i := range m.Deliveries {
		if a := m.Deliveries[i].Answer; a != nil {
			n += len(a.Body)
		}
	}
	return n
}

// Rest is what is small, and the counters, so that no number is given twice.
type Rest struct {
	Seq     int64 // the last accept sequence number given
	Arrival int64 // likewise
	Action  int64
	Gates   []GateState
	Tokens  []seawall.Token
	Lanes   []LaneToken // those ever held

	Systems []SystemState `json:",omitempty"`
	Rates   []RateLevel   `json:",omitempty"`
	Sealed  []Sealed      `json:",omitempty"`

	Aliases []Alias `json:",omitempty"` // in the order of their entities
	Merges  int64   `json:",omitempty"` // the version of that set
}

// Alias is an entity that was merged into another.
type Alias struct{ Entity, Into string }

// RateLevel is how much of a system's permits is used up.
type RateLevel struct {
	System string
	Level  int64 // millionths of a permit
	At     time.Time
}

// LaneToken is the last token of a lane.
type LaneToken struct {
	Lane
	Token int64
}
