package seawall

// Types of the events of [SourceOutcomes].
const (
	TypeDead      = "delivery.dead"      // gave up: a dead letter
	TypeHeld      = "delivery.held"      // held for a person: its outcome is unknown, or something is the matter with its record
	TypeDelivered = "delivery.delivered" // only where a route names this type itself
	TypeDiverted  = "delivery.diverted"  // goes to its destination's fallback from here on
	TypeOpened    = "breaker.opened"
	TypeClosed    = "breaker.closed"

	TypeCompleted   = "call.completed" // answered
	TypeCallDead    = "call.dead"      // gave up
	TypeCallUnknown = "call.unknown"   // held for a person
)

// OutcomeTypes lists the types of the events of [SourceOutcomes].
func OutcomeTypes() []string {
	return []string{
		TypeDead, TypeHeld, TypeDelivered, TypeDiverted, TypeOpened, TypeClosed,
		TypeCompleted, TypeCallDead, TypeCallUnknown,
	}
}

// MaxDepth is how long a chain of causes may be: of an event at this depth no
// further outcomes are made, so that routes that feed each other come to an end.
const MaxDepth = 8
