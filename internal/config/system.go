package config

import (
	"crypto/tls"
	"net/url"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

// System is an outside system: everything that is sent to it shares its
// credentials, its limits and its breaker. A destination with a url of its own
// is one too, of the same name.
type System struct {
	Name    string
	URL     *url.URL    // base; a path is joined to it. nil for a destination's own
	Auth    Auth        // nil: none
	TLS     *tls.Config // a client certificate, own roots; nil: the usual
	Limit   Limit
	Breaker Breaker

	Idempotency Idempotency
	Timeout     Timeouts // of calls; destinations have their own
	Retry       Retry    // of calls, likewise
	Answers     int64    // bytes of a call's response that are kept; default 1 MiB
	Calls       []CallRule
	Shards      int    // of its queues; default 1
	Proxy       string // address of a listener for this system alone; "": none
	RenamedFrom string

	text string // as written; "" for a destination's own
}

// Declared tells that the system is one of its own, which can be called, rather
// than what a destination's url implies.
func (s *System) Declared() bool { return s.URL != nil }

// Auth is how requests to a system are authenticated: one of the types below.
// Its secrets are resolved.
type Auth interface{ auth() }

// Bearer is RFC 6750's header.
type Bearer struct{ Token string }

// Basic is RFC 7617's.
type Basic struct{ User, Password string }

// HeaderKey is an API key in a header.
type HeaderKey struct{ Name, Value string }

// QueryKey is an API key in the query.
type QueryKey struct{ Name, Value string }

// OAuth2 gets its own tokens (RFC 6749): by client credentials or, where Refresh
// is given, by a refresh token, whose successors are kept sealed in the store.
type OAuth2 struct {
	TokenURL *url.URL
	ID       string
	Secret   string
	InBody   bool // client id and secret in the form rather than in Basic auth
	Scopes   []string
	Audience string
	Refresh  string // first refresh token; "": client credentials
}

// HMAC signs each request: hex or base64 of HMAC-SHA256 or -SHA512 over what
// Content gives, in a header.
type HMAC struct {
	Secret  string
	Hash    string           // sha256, sha512
	Encode  string           // hex, base64
	Header  string           // that the signature goes into
	Prefix  string           // before it, for example "sha256="
	Stamp   string           // header for the time in Unix seconds; "": none
	Content *verify.Template // what is signed, of body, timestamp, method, url, path and headers; nil: the body
}

func (Bearer) auth()    {}
func (Basic) auth()     {}
func (HeaderKey) auth() {}
func (QueryKey) auth()  {}
func (OAuth2) auth()    {}
func (HMAC) auth()      {}

// Limit bounds what is sent to a system, over all nodes. Zeros: no bound.
type Limit struct {
	Every       time.Duration // between two requests on average: 100 ms for rate: 10/s
	Burst       int           // at once after a rest; default: what a second brings, 1 at least
	Concurrency int           // at a time
}

// Breaker says when a system is left alone. It is on by default.
type Breaker struct {
	Off      bool
	Failures float64       // share of failed requests that opens it; default 0.5
	Slow     time.Duration // a request that takes longer is a slow one; default: off
	SlowRate float64       // share of slow ones that opens it; default 0.8
	Least    int           // requests in Window before it may open; default 20
	Window   time.Duration // default 30 s
	Open     time.Duration // until the first probe, doubling up to 5 min; default 5 s
}

// Idempotency is how a system recognises a request that is repeated.
type Idempotency struct {
	Header string        // that takes our key; "": the system takes none
	Valid  time.Duration // it remembers a key for; default 24 h
}

// CallRule is what is known of some of a system's requests. The first that
// matches holds: see [System.Rule].
type CallRule struct {
	Method     string      // "*": any
	Path       []string    // segments; "*" is any one, "**" at the end any rest
	Repeatable *bool       // nil: by the method
	OnUnknown  []OnUnknown // ends with UnknownHold; nil: see UsualUnknown
	Check      *Check
	AssignKey  bool      // a call without an Idempotency-Key gets one
	Fallback   *Fallback // answer given when the system gives none; nil: none
	Timeout    *Timeouts // nil: the system's
	Retry      *Retry    // nil: the system's
}

// OnUnknown is a way to deal with an unknown outcome.
type OnUnknown uint8

const (
	UnknownRetry OnUnknown = iota // again, under the same key, while the system remembers it
	UnknownCheck                  // ask whether it took effect
	UnknownHold                   // leave it to a person
)

// Check asks a system whether something took effect.
type Check struct {
	Method string         // GET, HEAD or POST; default GET
	URL    *expr.Template // the whole of it: its path on the system's base
	Body   *expr.Code     // of the request, as JSON; nil: none
	Found  *expr.Code     // true of the answer: it did
	Absent *expr.Code     // true of the answer: it certainly did not; nil: nothing proves that
	After  time.Duration  // wait before the first; default 5 s
	Tries  int            // default 5
}

// Fallback is what takes the place of a system that gives no answer: for
// destinations another one, for calls a fixed answer.
type Fallback struct {
	To     string        // name of a destination
	OnDead bool          // default true
	OnOpen bool          // also while the breaker is open
	For    time.Duration // what is diverted is given up after so long; 0: as To says. Not of a call
	Answer *seawall.Answer
}
