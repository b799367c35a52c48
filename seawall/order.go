package seawall

import "strings"

// Ordering says how a delivery stands to the others of its entity at its
// destination.
type Ordering uint8

const (
	Unordered Ordering = iota // not at all
	Sequence                  // every one matters: one at a time, lowest version first
	Latest                    // only the newest matters: older ones are superseded
)

var orderings = []string{"none", "sequence", "latest"}

// Orderings lists the names of all orderings.
func Orderings() []string { return orderings }

func (o Ordering) String() string               { return name(o, orderings...) }
func (o Ordering) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

func (o *Ordering) UnmarshalText(b []byte) (err error) {
	*o, err = parseName[Ordering](string(b), "order", orderings...)
	return err
}

// LatePolicy says what becomes, in a sequence, of an event that is older than one
// that was delivered before it came.
type LatePolicy uint8

const (
	LateDeliver   LatePolicy = iota // delivered, with the header seawall-late: true
	LateSupersede                   // superseded by the one that was delivered
	LateHold                        // held until a person replays or cancels it
)

var latePolicies = []string{"deliver", "supersede", "hold"}

// LatePolicies lists the names of all policies.
func LatePolicies() []string { return latePolicies }

func (p LatePolicy) String() string               { return name(p, latePolicies...) }
func (p LatePolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *LatePolicy) UnmarshalText(b []byte) (err error) {
	*p, err = parseName[LatePolicy](string(b), "policy for late events", latePolicies...)
	return err
}

// WaitPolicy says what becomes of a delivery whose wait for something has run out.
type WaitPolicy uint8

const (
	WaitDeliver WaitPolicy = iota // it goes on without
	WaitHold                      // it stays held, for a person
	WaitDead                      // it becomes a dead letter
)

var waitPolicies = []string{"deliver", "hold", "dead"}

// WaitPolicies lists the names of all policies.
func WaitPolicies() []string { return waitPolicies }

func (p WaitPolicy) String() string               { return name(p, waitPolicies...) }
func (p WaitPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *WaitPolicy) UnmarshalText(b []byte) (err error) {
	*p, err = parseName[WaitPolicy](string(b), "policy for waits that run out", waitPolicies...)
	return err
}

// Why a delivery of an entity is held, beside [ReasonUnknown].
const (
	ReasonEarlier      = "earlier"      // another of its entity has its turn
	ReasonSettle       = "settle"       // an earlier version may still come
	ReasonPrerequisite = "prerequisite" // an event that must be delivered before has not been
	ReasonUnresolved   = "unresolved"   // which entity its record belongs to is not known yet
	ReasonLate         = "late"         // a newer version was delivered already
)

// ReasonSkipped is why a delivery is canceled that a person had its entity go on
// without.
const ReasonSkipped = "skipped"

// EntityName splits an entity, order/1001, into its name and its key.
func EntityName(entity string) (name, key string) {
	name, key, _ = strings.Cut(entity, "/")
	return name, key
}
