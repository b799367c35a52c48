package store

import (
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Page asks for a part of a list. Lists are paged by cursor: a page costs the
// same wherever it is, and what arrives meanwhile shifts nothing.
type Page struct {
	Cursor string // "" for the first
	Limit  int    // at most so many; 0: 100
}

// List is one page. It may hold fewer than were asked for, even none, while
// Next is not "": a rare filter is searched a bounded stretch at a time.
type List[T any] struct {
	Items []T
	Next  string // cursor of the next page, "" at the end
}

// EventFilter selects events; zero fields select all.
type EventFilter struct {
	Source   string
	Type     string // may hold * and ? as in a route's types
	Entity   string
	SourceID string
	Routing  *seawall.Routing
	Since    time.Time // received at or after
	Until    time.Time // received before
	After    int64     // oldest first, after this sequence, for following along (-1: from the first); 0: newest first
}

// DeliveryFilter selects deliveries; zero fields select all.
type DeliveryFilter struct {
	State       *seawall.State
	Source      string
	Type        string // may hold * and ?
	Destination string
	System      string
	Route       string
	Entity      string
	Since       time.Time // event received at or after
	Until       time.Time // event received before
}

// ArrivalFilter selects arrivals; zero fields select all.
type ArrivalFilter struct {
	Source  string
	Verdict *seawall.Verdict
	Event   seawall.EventID
	Since   time.Time
	Until   time.Time
}
