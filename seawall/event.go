package seawall

import (
	"net/http"
	"time"
)

// Event is one durable fact that a source told us.
type Event struct {
	ID     EventID
	Seq    int64  // accept sequence, given by the store; orders events over all nodes
	Source string // name of the source

	SourceID string // the source event id: what duplicates are recognised by; "" only if Keyless
	Derived  bool   // SourceID is a hash of the content, because the provider sends no id
	Keyless  bool   // the provider sends no id and an equal body is a new event: never deduplicated

	Type       string    // the provider's name for what happened; may be ""
	Entity     string    // the provider's key of the object it happened to; may be ""
	Version    string    // what orders the events of the entity, as sent; may be ""
	OccurredAt time.Time // when it happened, by the source's clock; zero if unknown
	ReceivedAt time.Time // when it reached us, by ours

	Method  string      // of the request it came in
	URL     string      // public URL of that request, secrets in the query redacted
	Headers http.Header // as they came, credentials redacted
	Body    []byte      // the raw bytes; of a batch, the raw bytes of this item
	Remote  string      // address of the sender
	Proof   string      // how it was verified, for example "stripe v1, secret 2 of 2"

	Routing   Routing    // whether it was planned onto any route
	Decisions []Decision // what each route of the source decided, in the order of the file
	Revision  int64      // configuration revision it was planned under

	Cause EventID // the event this one is an outcome of; zero for those from outside
	Depth int     // length of that chain
}

// Routing says what planning made of an event.
type Routing uint8

const (
	Routed    Routing = iota // at least one delivery, no expression failed
	Unmatched                // no route wanted it
	PlanError                // at least one route's expression failed: see the decisions
)

func (r Routing) String() string {
	return name(r, "routed", "unmatched", "plan_error")
}

func (r Routing) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Routing) UnmarshalText(b []byte) (err error) {
	*r, err = parseName[Routing](string(b), "routing", "routed", "unmatched", "plan_error")
	return err
}

// Decision is what one route decided about one event.
type Decision struct {
	Route   string `json:"route"`
	Matched bool   `json:"matched"`
	Why     string `json:"why,omitempty"`   // "" for a plain match
	Error   bool   `json:"error,omitempty"` // an expression failed: Why says how
}

// Arrival is one time that a request reached us.
type Arrival struct {
	ID       int64
	Source   string
	At       time.Time
	Verdict  Verdict
	Reason   string  // of a rejection: a stable code, for example "signature_mismatch"
	Detail   string  // of a rejection: plain words for our own people, never sent to the sender
	Status   int     // what we answered
	Event    EventID // the event it became or repeated; zero if rejected
	SourceID string
	Proof    string
	Remote   string
	Method   string
	URL      string
	Headers  http.Header // credentials redacted
	Body     []byte      // of a rejection: the first bytes, as a capture for "seawall verify"
	BodySize int64       // in bytes, as sent; -1 if the sender was cut off
}

// Verdict is what became of an arrival.
type Verdict uint8

const (
	New       Verdict = iota // became an event
	Duplicate                // repeats an event, same body
	Conflict                 // same source event id as an event, other body: the first stands
	Rejected                 // not accepted, for Reason
	Handshake                // a provider's challenge or ping, answered
)

var verdicts = []string{"new", "duplicate", "conflict", "rejected", "handshake"}

func (v Verdict) String() string               { return name(v, verdicts...) }
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

func (v *Verdict) UnmarshalText(b []byte) (err error) {
	*v, err = parseName[Verdict](string(b), "verdict", verdicts...)
	return err
}
