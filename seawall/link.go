package seawall

import "time"

// Link says which record of a system an entity is there. An entity has at most
// one record in a system; a record of a system belongs to at most one entity of
// each name.
type Link struct {
	Entity string    `json:"entity"` // order/1001
	System string    `json:"system"` // the system, or what the configuration calls the link
	Record string    `json:"record"` // the record's id there
	At     time.Time `json:"at"`
	By     string    `json:"by"` // who taught it: an event's or delivery's id, or a person
}
