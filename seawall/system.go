package seawall

import (
	"net/http"
	"time"
)

// Sources of the gateway's own: no outsider can send to them, every route may
// name them.
const (
	SourceOutcomes = "seawall" // what became of deliveries, calls and systems
	SourceCalls    = "calls"   // what the product asked us to call
)

// CallsTo is the destination that a system's calls wait for: it has a queue, a
// gate and a name that no configured destination can have.
func CallsTo(system string) string { return "calls:" + system }

// Answer is the response of a system to a call, kept whole, so that whoever asks
// again with the same idempotency key gets the same bytes.
type Answer struct {
	At       time.Time
	Status   int
	Headers  http.Header
	Body     []byte
	Fallback bool // the configuration's own, since the system gave none
}

// Breaker is whether a system is being asked at all.
type Breaker uint8

const (
	BreakerClosed   Breaker = iota // it is
	BreakerOpen                    // it is left alone for a while
	BreakerHalfOpen                // one request is under way that tells whether it is back
)

var breakers = []string{"closed", "open", "half_open"}

func (b Breaker) String() string               { return name(b, breakers...) }
func (b Breaker) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b *Breaker) UnmarshalText(t []byte) (err error) {
	*b, err = parseName[Breaker](string(t), "breaker", breakers...)
	return err
}
