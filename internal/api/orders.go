package api

import "github.com/seawall-dev/seawall/seawall"

// Filter selects deliveries in an order about many of them. Since and Until are
// as in a query.
type Filter struct {
	State       string `json:"state,omitempty" enum:"pending,held,sending,delivered,dead,superseded,canceled"`
	Source      string `json:"source,omitempty" maxLength:"200"`
	Type        string `json:"type,omitempty" maxLength:"500" doc:"May hold * and ?."`
	Destination string `json:"destination,omitempty" maxLength:"200"`
	Route       string `json:"route,omitempty" maxLength:"200"`
	Entity      string `json:"entity,omitempty" maxLength:"500"`
	Since       string `json:"since,omitempty" maxLength:"64"`
	Until       string `json:"until,omitempty" maxLength:"64"`
}

// ReplayOne says how one delivery is put back.
type ReplayOne struct {
	Config string `json:"config,omitempty" enum:"current,original" doc:"Which configuration shapes it; default current."`
	NewID  bool   `json:"new_id,omitempty" doc:"As a new delivery of the event: for a consumer that wrongly swallowed this one."`
	Force  bool   `json:"force,omitempty" doc:"Also where a newer version of its entity made it pointless: it then goes with seawall-late: true."`
}

// ReplayRequest puts finished deliveries back: those of IDs, or those that
// Filter selects. A filter names something, or All is set; it selects dead
// letters unless it names a state.
type ReplayRequest struct {
	IDs    []string `json:"ids,omitempty" maxItems:"10000"`
	Filter *Filter  `json:"filter,omitempty"`
	All    bool     `json:"all,omitempty" doc:"An empty filter is meant."`
	DryRun bool     `json:"dry_run,omitempty" doc:"Count only."`
	Rate   string   `json:"rate,omitempty" maxLength:"32" example:"50/s" doc:"How fast they fall due: N/s, N/m or N/h; default all at once."`
	Cursor string   `json:"cursor,omitempty" maxLength:"500" doc:"The next of an answer that was not the whole: goes on there."`
	ReplayOne
}

// ReplayResult is what came of a ReplayRequest. A request works for about 20 s;
// if Next is not "", repeat it with that cursor.
type ReplayResult struct {
	DryRun   bool   `json:"dry_run,omitempty"`
	Matched  int    `json:"matched" doc:"Deliveries selected."`
	Replayed int    `json:"replayed" doc:"Deliveries put back; 0 in a dry run. Those already waiting are left as they are."`
	Next     string `json:"next" doc:"Not empty: there is more to do, repeat the request with this cursor."`

	Outdated int `json:"outdated,omitempty" doc:"Of those matched: not put back, because a newer version of their entity made them pointless. force has them sent all the same."`

	LeftOut map[string]int `json:"left_out,omitempty" doc:"Not among those matched: how many go to a destination that is no longer in the configuration, by its name. They would wait for ever."`
}

// leaveOut counts, by destination, more that were left out.
func (r *ReplayResult) leaveOut(more map[string]int) {
	for name, n := range more {
		if r.LeftOut == nil {
			r.LeftOut = map[string]int{}
		}
		r.LeftOut[name] += n
	}
}

// Add adds what came of the next piece of the same order.
func (r *ReplayResult) Add(part ReplayResult) {
	r.Matched += part.Matched
	r.Replayed += part.Replayed
	r.Outdated += part.Outdated
	r.Next = part.Next
	r.leaveOut(part.LeftOut)
}

// CancelRequest ends unfinished deliveries: those of IDs, or those that Filter
// selects. A filter names something, or All is set.
type CancelRequest struct {
	IDs    []string `json:"ids,omitempty" maxItems:"10000"`
	Filter *Filter  `json:"filter,omitempty"`
	All    bool     `json:"all,omitempty" doc:"An empty filter is meant."`
	DryRun bool     `json:"dry_run,omitempty" doc:"Count only."`
	Reason string   `json:"reason,omitempty" maxLength:"500"`
	Cursor string   `json:"cursor,omitempty" maxLength:"500" doc:"The next of an answer that was not the whole: goes on there."`
}

// CancelResult is what came of a CancelRequest; Next is as in a ReplayResult.
type CancelResult struct {
	DryRun   bool   `json:"dry_run,omitempty"`
	Matched  int    `json:"matched" doc:"Unfinished deliveries selected."`
	Canceled int    `json:"canceled" doc:"Deliveries ended; 0 in a dry run."`
	Next     string `json:"next" doc:"Not empty: there is more to do, repeat the request with this cursor."`
}

// Reason goes with an order, for those who read about it later.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// Planned is an event planned again: what its routes decide now, and the
// deliveries that this added.
type Planned struct {
	Routing   string             `json:"routing"`
	Decisions []seawall.Decision `json:"decisions"`
	Added     []Delivery         `json:"added"`
}

// PreviewRequest asks what a route would send for a stored event.
type PreviewRequest struct {
	Route  string `json:"route" minLength:"1" maxLength:"200"`
	Config string `json:"config,omitempty" enum:"current,original" doc:"Which configuration shapes it; default current."`
}

// Request is what an attempt sent, or would send.
type Request = seawall.Request
