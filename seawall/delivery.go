package seawall

import (
	"net/http"
	"strings"
	"time"
)

// Delivery is one event on its way over one route.
type Delivery struct {
	ID          DeliveryID
	Route       string
	Destination string
	System      string // the destination's system; a destination with a url of its own is one
	Shard       int    // of the system's queue, from 0

	Source string // of the event, repeated here so that lists need not read events
	Type   string
	Entity string

	Order  Ordering   // how it stands to others of its entity at its destination
	Rank   []byte     // what orders it among them: order.Rank; empty where nothing is known of its version
	OnLate LatePolicy // in a sequence, when a newer one was delivered before it came
	Late   bool       // one was, and it is delivered all the same
	Tied   bool       // another one came with the same version: which is newer is not known
	After  []string   // patterns of types: held until one of each was delivered to its destination
	OnWait WaitPolicy // when that takes too long
	Counts bool       // others may wait for it to be delivered

	State    State
	Reason   string    // why it is held, dead, canceled, superseded or waiting; may be ""
	Due      time.Time // pending: not before
	Attempts int       // tries so far
	Round    int       // tries since it was planned or last replayed: what backoff and limits count
	Since    time.Time // when the round began: what retry.for counts from

	Step     Step // what its next attempt does
	Diverted bool // it goes to its destination's fallback: Destination is that

	Revision int64 // configuration revision it was planned under
	Pinned   bool  // shape by Revision rather than by the running configuration

	Created  time.Time
	Finished time.Time // zero until it ends
}

// Replayable tells whether a person may have the delivery sent again: if it has
// ended, or is held for a person to decide, or for a prerequisite, which it then
// goes without.
func (d *Delivery) Replayable() bool {
	return d.State.Final() || d.State == Held &&
		(d.Reason == ReasonUnknown || d.Reason == ReasonLate || d.Reason == ReasonPrerequisite || strings.HasPrefix(d.Reason, ReasonRecord))
}

// Lined tells whether the delivery is kept account of in its entity's position at
// its destination.
func (d *Delivery) Lined() bool {
	return d.Entity != "" && (d.Order != Unordered || len(d.After) > 0 || d.Counts)
}

// State is where a delivery stands. docs/states.md draws the moves.
type State uint8

const (
	Pending    State = iota // due at a time
	Held                    // waits for something other than time: see Reason
	Sending                 // its intent is durable, its outcome is not known yet
	Delivered               // the destination said yes
	Dead                    // gave up: a dead letter, replayable
	Superseded              // a newer version made it pointless
	Canceled                // a person said no
)

// Step is what the next attempt of a pending delivery does.
type Step uint8

const (
	// Send sends the request.
	Send Step = iota
	// Doubt sends nothing: an owner went away while the delivery was Sending, and
	// who has it next decides what follows from an unknown outcome (G6).
	Doubt
	// Check asks the system whether an attempt of unknown outcome took effect, or
	// which record the entity is.
	Check
	// Create sends the request that creates the entity's record: never without an
	// intent (G6).
	Create
)

var steps = []string{"send", "doubt", "check", "create"}

func (s Step) String() string               { return name(s, steps...) }
func (s Step) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Step) UnmarshalText(b []byte) (err error) {
	*s, err = parseName[Step](string(b), "step", steps...)
	return err
}

// ReasonUnknown is why a delivery is held of whose last attempt nobody knows
// whether it took effect, where repeating it would not be safe (G6).
const ReasonUnknown = "unknown"

// ReasonRecord begins why a delivery is held for a person that keeps a record of its
// entity: what is the matter with that record follows.
const ReasonRecord = "record: "

// ReasonInterrupted is why a delivery waits that was in flight when its node went
// away, and that may be sent again. It is then sent apart from others like it, for
// it may be what killed the node.
const ReasonInterrupted = "the node that was sending it went away"

// ReasonPoison is why a delivery is dead that was in flight each time that a node
// went away (G7).
const ReasonPoison = "poison"

var states = []string{"pending", "held", "sending", "delivered", "dead", "superseded", "canceled"}

// States lists the names of all states.
func States() []string { return states }

// Final tells whether nothing more happens to the delivery unless a person
// replays it.
func (s State) Final() bool { return s >= Delivered }

func (s State) String() string               { return name(s, states...) }
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = ParseState(string(b))
	return err
}

// ParseState reads the name of a state; the error is [ErrInvalid] and lists them.
func ParseState(s string) (State, error) { return parseName[State](s, "state", states...) }

// Outcome is what one attempt came to.
type Outcome uint8

const (
	OK      Outcome = iota // the destination took it
	Refused                // the server said no
	Failed                 // never reached it, or certainly without effect
	Unknown                // sent, and whether it took effect is not known
)

var outcomes = []string{"ok", "refused", "failed", "unknown"}

func (o Outcome) String() string               { return name(o, outcomes...) }
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

func (o *Outcome) UnmarshalText(b []byte) (err error) {
	*o, err = parseName[Outcome](string(b), "outcome", outcomes...)
	return err
}

// Attempt is one try of a delivery, with what was sent and what came back.
type Attempt struct {
	N        int // from 1
	At       time.Time
	Took     time.Duration
	Outcome  Outcome
	Error    string // what went wrong, in plain words; "" if OK
	Next     string // what was decided, for example "retry in 12s: HTTP 503"
	Revision int64  // configuration revision that shaped it
	Node     string

	Step        Step   // Send, Check or Create; Doubt for one that an owner was in when it went away
	Destination string // that it was made to, where that is not the delivery's any more; else ""

	Asked    []Exchange // before the request itself, which there need not be then
	Request  Request
	Response *Response // nil if there was none
}

// Exchange is a request that an attempt makes to learn something that it needs.
type Exchange struct {
	What     string    `json:"what"` // Fetches or Finds
	At       time.Time `json:"at"`
	Shared   bool      `json:"shared,omitempty"` // made for another delivery of the entity, it serves this one too
	Error    string    `json:"error,omitempty"`
	Request  Request   `json:"request"`
	Response *Response `json:"response,omitempty"` // nil if there was none
}

// What exchanges ask for.
const (
	Fetches = "fetch" // the entity's current record, which is what is delivered
	Finds   = "find"  // a record that may be the entity's
)

// Request is what an attempt sent.
type Request struct {
	Method   string      `json:"method"`
	URL      string      `json:"url"` // secrets redacted
	Headers  http.Header `json:"headers,omitempty"`
	Body     []byte      `json:"body,omitempty"` // bounded; nil if Original
	BodySize int64       `json:"body_size"`
	Original bool        `json:"original,omitempty"` // the body is the event's, byte for byte
}

// Response is what came back, bounded.
type Response struct {
	Status    int         `json:"status"`
	Proto     string      `json:"proto,omitempty"` // HTTP/1.1 or HTTP/2.0
	Headers   http.Header `json:"headers,omitempty"`
	Body      []byte      `json:"body,omitempty"`
	Truncated bool        `json:"truncated,omitempty"`
}
