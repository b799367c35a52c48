// Package provider knows how each kind of source signs its requests, shakes
// hands, and names what happened. A provider is one short file: a scheme from
// package verify, and where in the payload its id, type, entity and time lie.
// The catalogue in providers.go lists them all.
package provider

import (
	"context"
	"net/http"
	"time"
)

// Request is what reached us, byte for byte.
type Request struct {
	Method string
	URL    string // as the sender called it: public_url and the request's path and query, untouched
	Header http.Header
	Body   []byte
	Now    time.Time
}

// Answer is a response that a provider demands: to a challenge, or in place of
// the plain 200 after an accepted event.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Item is one event found in a request.
type Item struct {
	ID       string // source event id
	Derived  bool   // ID is a hash of the content, since the provider sends none
	Keyless  bool   // no id, and an equal body is a new event: ID is ""
	Type     string
	Action   string // finer than Type where the provider has one, for example GitHub's "opened"
	Delivery string // the provider's id of this delivery of it, where it differs from ID
	Entity   string // the provider's key of the object; "" if it has none
	Version  string // what orders the object's events, as sent; "" if nothing does

	OccurredAt  time.Time // zero if unknown
	OccurredRaw string    // as sent, at full precision

	Body []byte // the item's own raw bytes within a batch; nil: the whole request's body
}

// Source is one configured source: a provider with its secrets.
// Implementations are immutable and safe for concurrent use.
type Source interface {
	// Handshake answers a provider's challenge or ping. It is asked before
	// Verify, for any method. ok is false if the request is no handshake: it
	// then goes on to Verify. A handshake that the provider signs is verified
	// in here; an error is treated like one of Verify.
	Handshake(ctx context.Context, r *Request) (a *Answer, ok bool, err error)

	// Verify checks that the request comes from the provider. The proof says
	// how, for our own people ("stripe v1, secret 2 of 2"). An error is a
	// *verify.Error: a mismatch is answered 401; verify.Unavailable (a key that
	// cannot be fetched now) is answered 503, so that the sender tries again.
	Verify(ctx context.Context, r *Request) (proof string, err error)

	// Identify finds the events in a verified request: one, many, or none. It
	// never fails on a payload it cannot read: what is not understood becomes
	// one event of the whole body, with a derived id, so that nothing that was
	// verified is lost. problem then says what was not understood, in plain
	// words; it is "" where all is well.
	Identify(r *Request) (items []Item, problem string)

	// Accepted is the answer to accepted events where the provider demands one;
	// nil is the gateway's own.
	Accepted(r *Request) *Answer

	// Redact names the request headers and query parameters that carry
	// credentials, which must never be stored or shown.
	Redact() (headers, query []string)

	// Traits tells what the rest of the gateway must know about the provider.
	Traits() Traits
}

// Traits are the facts about a provider.
type Traits struct {
	Name        string
	Objects     bool     // it knows what its events are about: their entity
	SignsURL    bool     // needs public_url when behind a proxy
	MaxBody     int64    // default bound of the body in bytes; 0: the gateway's
	Methods     []string // what it may call us with; nil: POST
	ContentType []string // media types it may send; nil: any
	RejectWith  int      // status of a rejection where the provider gives it a meaning; 0: 401
}
