package api

import (
	"slices"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// EntityQuery selects entities that some destination has seen something of in order.
type EntityQuery struct {
	Name        string `query:"name" maxLength:"200" doc:"Of this kind: order."`
	Waiting     bool   `query:"waiting" doc:"Only those of which something waits for its turn, or is held up by a dead letter."`
	Destination string `query:"destination" maxLength:"200" doc:"Only those that this destination has seen something of."`
	Paging
}

// Entity is one entity of a list.
type Entity struct {
	Entity  string    `json:"entity" example:"order/1001"`
	Waiting int       `json:"waiting" doc:"Deliveries that wait for their turn, over all destinations."`
	Blocked int       `json:"blocked" doc:"Destinations at which a dead letter holds it up."`
	At      time.Time `json:"at" doc:"When its position changed last."`
}

// EntityStory is all that is known of one entity: the newest part of its events, in
// the order of their versions, and where it stands.
type EntityStory struct {
	Entity    string         `json:"entity" example:"order/1001"`
	Asked     string         `json:"asked,omitempty" doc:"The name that was asked for, of an entity that was merged into this one."`
	Aliases   []string       `json:"aliases" doc:"Entities that were merged into this one. Their events from before that are in the first page."`
	Links     []seawall.Link `json:"links" doc:"Its records, by system."`
	Positions []Position     `json:"positions" doc:"Where it stands, by destination."`
	Data      []EntityEvent  `json:"data" doc:"Events of all sources, of one page: those of a source in the order of their versions, oldest first; between sources as they came."`
	Next      string         `json:"next" doc:"Cursor of the page with the events before these; empty at the end."`
	Actions   []Action       `json:"actions" doc:"What was done to the entity and its links, oldest first. Only in the first page."`
}

// EntityEvent is an event of an entity, with what became of it.
type EntityEvent struct {
	Event
	Arrival    int        `json:"arrival" doc:"Its place among the events of this page by arrival, from 1."`
	Behind     bool       `json:"behind,omitempty" doc:"It came after a newer one of its source."`
	Deliveries []Delivery `json:"deliveries"`
}

// Position is what a destination has seen of an entity, and whose turn it is there.
type Position struct {
	Destination string    `json:"destination"`
	Waiting     int       `json:"waiting" doc:"Deliveries that wait for their turn."`
	Head        *Mark     `json:"head,omitempty" doc:"Whose turn it is."`
	Block       *Mark     `json:"block,omitempty" doc:"The dead letter that holds up what comes after it."`
	Until       time.Time `json:"until,omitzero" doc:"When the others go on without that one; none: when a person replays or skips it."`
	Clocks      []Clock   `json:"clocks" doc:"By source: versions of different sources do not compare."`
	Done        []string  `json:"done" doc:"Prerequisites that were delivered."`
	At          time.Time `json:"at" doc:"When it changed last."`
}

// Clock is what a destination knows by versions that compare.
type Clock struct {
	Source    string `json:"source,omitempty" doc:"None: the entity's sources share their clock."`
	Newest    *Mark  `json:"newest,omitempty" doc:"The newest that came."`
	Delivered *Mark  `json:"delivered,omitempty" doc:"The newest that was delivered."`
}

// Mark is a delivery's place in the order of its entity.
type Mark struct {
	Delivery string `json:"delivery"`
	Event    string `json:"event"`
	Version  string `json:"version,omitempty"`
}

// MergeRequest makes one entity another name of a second.
type MergeRequest struct {
	Into string `json:"into" minLength:"3" maxLength:"500" example:"order/1001" doc:"The entity that both are from now on."`
}

// Merged is what two entities are that were merged.
type Merged struct {
	From  string         `json:"from"`
	Into  string         `json:"into"`
	Links []seawall.Link `json:"links" doc:"Of both, as they stand now."`
}

// LinkQuery selects links.
type LinkQuery struct {
	Name   string `query:"name" maxLength:"200" doc:"Of entities of this kind: order."`
	Entity string `query:"entity" maxLength:"500"`
	System string `query:"system" maxLength:"200"`
	Record string `query:"record" maxLength:"500"`
	Paging
}

// LinkItem is a link to be written.
type LinkItem struct {
	Entity string `json:"entity" example:"order/1001"`
	System string `json:"system" example:"stripe" doc:"The system, or what the configuration calls the link."`
	Record string `json:"record" example:"pi_3N" doc:"The record's id there."`
}

// LinksWritten is what came of an import of links.
type LinksWritten struct {
	DryRun   bool     `json:"dry_run,omitempty"`
	Links    int      `json:"links" doc:"Links in the request; all are written, or in a dry run could be."`
	New      int      `json:"new,omitempty" doc:"Of a dry run: those that are not there yet."`
	Changed  int      `json:"changed,omitempty" doc:"Of a dry run: those that take another one's place."`
	Same     int      `json:"same,omitempty" doc:"Of a dry run: those that are there already."`
	Warnings []string `json:"warnings,omitempty"`
}

// Add adds what came of the next part of the same import.
func (w *LinksWritten) Add(part LinksWritten) {
	w.Links, w.New, w.Changed, w.Same = w.Links+part.Links, w.New+part.New, w.Changed+part.Changed, w.Same+part.Same
	for _, warning := range part.Warnings {
		if !slices.Contains(w.Warnings, warning) {
			w.Warnings = append(w.Warnings, warning)
		}
	}
}
