// Package config reads seawall.yaml into a checked Config: strict, with every
// error at its file, line and column, every expression compiled, every secret
// resolved. What Load returns can run; nothing in it is checked again later.
package config

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/seawall"
)

// Config is one checked configuration. It is never changed after Load.
type Config struct {
	Node Node // belongs to this process; not part of a revision

	PublicURL      *url.URL       // as senders see the public listener; nil: taken from the request
	TrustedProxies []netip.Prefix // whose X-Forwarded-* are believed
	Egress         []netip.Prefix // private ranges that may be called
	Retention      Retention
	Seal           []SealKey // the first seals what the store must keep secret, all open it
	Limits         Limits

	Systems      []*System // declared ones, then those that destinations are; see System
	Sources      []*Source // in the order of the file, like the next three
	Entities     []*Entity
	Destinations []*Destination
	Routes       []*Route

	Drop     []string // destinations given up for good: what waits for them is canceled at reload
	Warnings []string // what is allowed, but hardly meant

	Text []byte // the file as written, references unresolved: what a revision keeps

	// Secrets are the values that the references under destinations and systems
	// (${ENV}, file:) stand for, each once: what is shown of a request must not hold them.
	Secrets []string

	settings string // everything but systems, sources, entities, destinations and routes, as written: see Changes
}

// String keeps the configuration, which holds secrets, out of messages and logs.
func (c *Config) String() string { return "configuration" }

// GoString is [Config.String].
func (c *Config) GoString() string { return c.String() }

// Node is what belongs to a process rather than to a revision.
type Node struct {
	Store  Store
	Listen string
	Admin  string // address of the admin listener
	Inner  string // address of the internal listener; "": there is none
	Log    string // debug, info, warn, error
	Format string // text, json; "": text on a terminal
}

// SealKey is a key for secrets that the store keeps.
type SealKey struct {
	ID    string
	Bytes [32]byte
}

// Retention is how long things are kept.
type Retention struct {
	Events time.Duration // default 30 d
	Dead   time.Duration // default 90 d
	Dedupe time.Duration // default and most: Events
}

// Limits bound what the gateway takes on.
type Limits struct {
	Body     int64 // bytes of a request's body; default 5 MiB
	Memory   int64 // bytes the process aims to stay under; default 512 MiB
	Requests int   // requests being received at once; default 1,024
}

// Source is where events come from.
type Source struct {
	Name     string
	Kind     string // name of the provider
	Provider provider.Source
	Settings provider.Settings // what Provider was opened with: to sign samples, and to explain what does not verify
	MaxBody  int64
	Dedupe   time.Duration
	Answer   *provider.Answer // to accepted events, where configured; nil: the provider's or the gateway's

	text string // as written: see Changes, like the next three
}

// Entity is a kind of business object, and which events are about one.
type Entity struct {
	Name       string
	Claims     []Claim // of different sources
	Shared     bool    // clock: shared: versions of all its sources compare
	Fetch      *Fetch  // nil: its current record is not read
	Unresolved Unresolved

	text string
}

// Fetch reads an entity's current record. Nothing of it looks at an event: it is
// read once for all that wait for it.
type Fetch struct {
	System string         // a declared one
	URL    *expr.Template // the whole of it: its path on the system's base; {$entity.key}, {$link.NAME}
	Record *expr.Code     // what of the answer is the record; nil: all
	Gone   Gone           // when the answer is 404 or 410
}

// Gone says what becomes of a delivery whose record is not there any more.
type Gone uint8

const (
	GoneDeliver Gone = iota // the event's own payload goes, with seawall-record: gone
	GoneCancel              // canceled, since the record is gone
	GoneHold                // held for a person
)

// Unresolved says how long an event waits of whose record it is not known which
// entity it belongs to, and what follows.
type Unresolved struct {
	Wait time.Duration      // default 1 h
	Then seawall.WaitPolicy // default dead; deliver: as an event without an entity
}

// Claim says which events of a source belong to an entity, and to which one of
// that kind. No two claims of a source have a type in common.
type Claim struct {
	Source  string
	Types   []string           // globs; empty: all
	Key     *expr.Code         // nil: the provider's, or with Record none: it is found by that
	Version []*expr.Code       // parts, compared one after the other; empty: the provider's, else when it occurred
	Compare []order.Comparison // of the parts; none: by what each looks like
	Record  *expr.Code         // id of the entity's record in System; nil: it says none
	System  string             // whose record that is: default the source's name
}

// Destination is a request to make.
type Destination struct {
	Name    string
	URL     *expr.Template // the whole, on a system's base too; each {…} is escaped for where it stands
	Method  *expr.Template // default POST
	Headers []Header
	Body    *expr.Code        // nil: the event's (or the route's transform's) body
	Forward bool              // forward: original
	Sign    []provider.Secret // Standard Webhooks, newest first; empty: unsigned

	IdempotencyHeader string // default Idempotency-Key
	Timeout           Timeouts
	Retry             Retry
	Concurrency       int         // default 16
	Shards            int         // of its queue: its system's; default 1
	System            string      // that it is a request on; its own name where it has a url
	Unsafe            bool        // not repeatable without more ado: an intent first, and what nobody knows goes on by OnUnknown
	OnUnknown         []OnUnknown // if Unsafe; ends with UnknownHold. Of an upsert: about its creation, none where nothing is said
	Check             *Check
	Fallback          *Fallback // nil: none
	Upsert            *Upsert   // nil: one request for each event; else URL and Method are those of its Create
	RenamedFrom       string

	text string
}

// Upsert keeps one record for each entity: link known, update; else find, adopt;
// else create.
type Upsert struct {
	Link   string     // name of the link: default the destination's system
	Find   []Request  // tried in turn until one finds a record; none: it is created at once
	Found  *expr.Code // of a find's answer: the record; null is none; nil without Find
	Adopt  *expr.Code // of the record that was found: whether it may become the entity's; nil: any
	Create Request
	Update Request
	ID     *expr.Code    // of a record, or of the answer to Create: its id; default .id
	Lag    time.Duration // how far a find may lag behind a create; default 30 s
}

// Request is a request on the destination's system.
type Request struct {
	Method string
	URL    *expr.Template // the whole of it: its path on the system's base
}

// Header is one header to send.
type Header struct {
	Name  string
	Value *expr.Template
}

// Timeouts bound one attempt.
type Timeouts struct {
	Connect time.Duration // default 5 s
	TLS     time.Duration // default 5 s
	Header  time.Duration // from request written to response header; default: Whole
	Whole   time.Duration // default 30 s
}

// Retry says when to try again and when to give up.
type Retry struct {
	For   time.Duration // give up after so long; default 75 h
	Max   int           // give up after so many retries; default 10, 0 with an explicit "max: 0"
	First time.Duration // first delay; default 5 s
	Cap   time.Duration // longest delay; default 24 h
}

// Route sends the events of a source to a destination.
type Route struct {
	Name      string // default "FROM-TO", and "FROM-TO-2" for the second without a name
	From      string
	Types     []string // globs; empty: all
	When      *expr.Code
	Transform *expr.Code
	To        string

	Entity    string // whose order it keeps, or whose events it takes; "": any or none
	Order     seawall.Ordering
	Settle    time.Duration // counted from each event's own arrival
	Late      seawall.LatePolicy
	PassAfter time.Duration      // a dead delivery holds its entity up so long; 0: until a person decides
	After     []string           // globs of types: of each one must have been delivered first
	Wait      time.Duration      // for them; default 15 min
	Then      seawall.WaitPolicy // when that is over; default deliver
	Fetch     bool               // the entity's current record is what is delivered

	text string
}
