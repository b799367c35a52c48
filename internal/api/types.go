package api

import (
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// The forms in this file and its neighbours query.go, orders.go and setup.go
// are what travels: the server writes them, the client reads them, and
// docs/openapi.json is generated from them. States, outcomes and ids are plain
// strings, so that an older client can show what a newer gateway knows. Bytes
// are base64, times RFC 3339.

// Page is one page of a list. Data may be empty while Next is not: go on until
// Next is "".
type Page[T any] struct {
	Data []T    `json:"data"`
	Next string `json:"next" doc:"Cursor of the next page; empty at the end. A page may be empty before the end."`
}

// Event is one durable fact. Lists leave out what follows Depth.
type Event struct {
	ID         string    `json:"id" example:"evt_01kbxw0000000000000000r000"`
	Seq        int64     `json:"seq" doc:"Accept sequence: orders events, and is what after= takes."`
	Source     string    `json:"source"`
	SourceID   string    `json:"source_id,omitempty" doc:"The provider's id of the event: what duplicates are recognised by."`
	Derived    bool      `json:"derived,omitempty" doc:"The source id is a hash of the content, because the provider sends none."`
	Keyless    bool      `json:"keyless,omitempty" doc:"The provider sends no id and an equal body is a new event: never deduplicated."`
	Type       string    `json:"type,omitempty"`
	Entity     string    `json:"entity,omitempty"`
	Version    string    `json:"version,omitempty"`
	OccurredAt time.Time `json:"occurred_at,omitzero" doc:"When it happened, by the source's clock."`
	ReceivedAt time.Time `json:"received_at" doc:"When it reached the gateway, by the gateway's clock."`
	Routing    string    `json:"routing" doc:"routed, unmatched or plan_error."`
	Revision   int64     `json:"revision" doc:"Configuration revision it was planned under."`
	Cause      string    `json:"cause,omitempty" doc:"The event that this one is an outcome of."`
	Depth      int       `json:"depth,omitempty" doc:"Length of that chain."`

	Method    string             `json:"method,omitempty"`
	URL       string             `json:"url,omitempty"`
	Headers   http.Header        `json:"headers,omitempty" doc:"As they came, credentials redacted."`
	Body      []byte             `json:"body,omitempty" doc:"The raw bytes."`
	BodySize  int                `json:"body_size,omitempty" doc:"In bytes."`
	Remote    string             `json:"remote,omitempty" doc:"Address of the sender."`
	Proof     string             `json:"proof,omitempty" doc:"How it was verified."`
	Decisions []seawall.Decision `json:"decisions,omitempty" doc:"What each route of the source decided, in the order of the file."`
}

// Story is all that is known of one event.
type Story struct {
	Event      Event      `json:"event"`
	Duplicates int        `json:"duplicates" doc:"How often it arrived again with the same body, kept or not."`
	Conflicts  int        `json:"conflicts" doc:"How often another body came under its id, kept or not."`
	Arrivals   []Arrival  `json:"arrivals" doc:"The duplicates and conflicts that were kept, oldest first."`
	Deliveries []Traced   `json:"deliveries"`
	Actions    []Action   `json:"actions" doc:"What people did to it and to its deliveries, oldest first."`
	Timeline   []Incident `json:"timeline" doc:"The same as a story: what happened when, oldest first."`
}

// Traced is a delivery with its attempts.
type Traced struct {
	Delivery
	Tries []Attempt `json:"tries" doc:"Its attempts, first to last."`
}

// Incident is one line of an event's timeline.
type Incident struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind" doc:"arrived, verified, identified, duplicate, conflict, decision, planned, attempt, waiting, ended or action."`
	Text     string    `json:"text" doc:"What happened, in plain words."`
	Delivery string    `json:"delivery,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Route    string    `json:"route,omitempty" doc:"Of a decision: whose it is."`
	Bad      bool      `json:"bad,omitempty" doc:"Something went wrong."`
}

// Delivery is one event on its way over one route.
type Delivery struct {
	ID          string    `json:"id" example:"dlv_01kbxw0000000000000000r001"`
	Event       string    `json:"event"`
	Route       string    `json:"route"`
	Destination string    `json:"destination"`
	Source      string    `json:"source"`
	Type        string    `json:"type,omitempty"`
	Entity      string    `json:"entity,omitempty"`
	Order       string    `json:"order,omitempty" doc:"How it stands to others of its entity at its destination: sequence or latest; left out where it does not."`
	Late        bool      `json:"late,omitempty" doc:"A newer version was delivered before it: it goes with seawall-late: true."`
	Tied        bool      `json:"tied,omitempty" doc:"Another one came with the same version: which is newer is not known."`
	After       []string  `json:"after,omitempty" doc:"Patterns of types that are to be delivered first; left out once it waits for them no longer."`
	State       string    `json:"state" doc:"pending, held, sending, delivered, dead, superseded or canceled."`
	Reason      string    `json:"reason,omitempty" doc:"Why it is in that state. Of a held one: earlier (another of its entity has its turn), settle (an earlier version may still come), prerequisite, unresolved, late, unknown, or what is wrong with its record."`
	Due         time.Time `json:"due,omitzero" doc:"Of a pending one: not before. Of a held one: when its wait ends; left out if only something else ends it."`
	Attempts    int       `json:"attempts" doc:"Tries so far."`
	Round       int       `json:"round" doc:"Tries since it was planned or last replayed: what retry limits count."`
	Since       time.Time `json:"since,omitzero" doc:"When the round began."`
	Revision    int64     `json:"revision" doc:"Configuration revision it was planned under."`
	Pinned      bool      `json:"pinned,omitempty" doc:"Shaped by that revision rather than by the running configuration."`
	Created     time.Time `json:"created"`
	Finished    time.Time `json:"finished,omitzero"`
}

// Attempt is one try of a delivery.
type Attempt struct {
	N        int               `json:"n" doc:"From 1."`
	At       time.Time         `json:"at"`
	TookMS   float64           `json:"took_ms" doc:"Milliseconds."`
	Outcome  string            `json:"outcome" doc:"ok, refused, failed or unknown."`
	Error    string            `json:"error,omitempty"`
	Next     string            `json:"next,omitempty" doc:"What was decided."`
	Revision int64             `json:"revision" doc:"Configuration revision that shaped it."`
	Node     string            `json:"node,omitempty"`
	Step     string            `json:"step" doc:"What it did: send; check (ask whether an earlier one took effect, or which record the entity is); create (the entity's record); doubt (nothing: its node had gone away)."`
	Asked    []Exchange        `json:"asked,omitempty" doc:"What it asked for before: the entity's record (fetch), or one that may be the entity's (find)."`
	Request  seawall.Request   `json:"request"`
	Response *seawall.Response `json:"response,omitempty"`
}

// Exchange is a request that an attempt made to learn something that it needs.
type Exchange = seawall.Exchange

// Arrival is one time that a request reached the gateway without becoming a
// new event. Lists leave out Headers and Body.
type Arrival struct {
	ID       int64       `json:"id"`
	Source   string      `json:"source"`
	At       time.Time   `json:"at"`
	Verdict  string      `json:"verdict" doc:"duplicate, conflict, rejected or handshake."`
	Reason   string      `json:"reason,omitempty" doc:"Of a rejection: a stable code."`
	Detail   string      `json:"detail,omitempty" doc:"Of a rejection: in plain words."`
	Status   int         `json:"status,omitempty" doc:"What the sender was answered."`
	Event    string      `json:"event,omitempty" doc:"The event that it repeats."`
	SourceID string      `json:"source_id,omitempty"`
	Proof    string      `json:"proof,omitempty"`
	Remote   string      `json:"remote,omitempty"`
	Method   string      `json:"method,omitempty"`
	URL      string      `json:"url,omitempty"`
	Headers  http.Header `json:"headers,omitempty"`
	Body     []byte      `json:"body,omitempty" doc:"Its first bytes."`
	BodySize int64       `json:"body_size" doc:"In bytes, as sent; -1 if the sender was cut off."`
}

// Capture is a request in the form that "seawall verify" reads.
type Capture struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers http.Header `json:"headers"`
	Body    []byte      `json:"body"`
	Now     time.Time   `json:"now" doc:"When it arrived: what its timestamp is judged against."`
}

// Action is something that a person or a program with a token did.
type Action struct {
	ID     int64             `json:"id"`
	At     time.Time         `json:"at"`
	By     string            `json:"by"`
	What   string            `json:"what"`
	On     string            `json:"on,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`
}
