package api

// What lists take as query parameters. Since and Until are RFC 3339 times or
// durations back from now, such as "90m", "1h" or "2d".

// Paging selects a page.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"500" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000" doc:"At most so many; 0: 100."`
}

// EventQuery selects events, newest first; with After or Wait, oldest first.
type EventQuery struct {
	Source   string `query:"source" maxLength:"200"`
	Type     string `query:"type" maxLength:"500" doc:"May hold * and ?."`
	Entity   string `query:"entity" maxLength:"500"`
	SourceID string `query:"source_id" maxLength:"500"`
	Routing  string `query:"routing" enum:"routed,unmatched,plan_error"`
	Since    string `query:"since" maxLength:"64" doc:"Received at or after: RFC 3339, or a duration back (1h, 2d)."`
	Until    string `query:"until" maxLength:"64" doc:"Received before: RFC 3339, or a duration back."`
	After    string `query:"after" maxLength:"32" doc:"Follow along, oldest first: events after this sequence number (0: from the first kept), or those still to come (now). The page's next is then never empty: it continues."`
	Wait     string `query:"wait" maxLength:"16" doc:"Following: how long to wait for an event, at most 30s."`
	Paging
}

// DeliveryQuery selects deliveries, newest event first.
type DeliveryQuery struct {
	State       string `query:"state" enum:"pending,held,sending,delivered,dead,superseded,canceled"`
	Source      string `query:"source" maxLength:"200"`
	Type        string `query:"type" maxLength:"500" doc:"May hold * and ?."`
	Destination string `query:"destination" maxLength:"200"`
	Route       string `query:"route" maxLength:"200"`
	Entity      string `query:"entity" maxLength:"500"`
	Since       string `query:"since" maxLength:"64" doc:"Event received at or after: RFC 3339, or a duration back (1h, 2d)."`
	Until       string `query:"until" maxLength:"64" doc:"Event received before: RFC 3339, or a duration back."`
	Paging
}

// ArrivalQuery selects arrivals, newest first.
type ArrivalQuery struct {
	Source  string `query:"source" maxLength:"200"`
	Verdict string `query:"verdict" enum:"duplicate,conflict,rejected,handshake"`
	Event   string `query:"event" maxLength:"64"`
	Since   string `query:"since" maxLength:"64" doc:"RFC 3339, or a duration back (1h, 2d)."`
	Until   string `query:"until" maxLength:"64" doc:"RFC 3339, or a duration back."`
	Paging
}

// ActionQuery selects actions, newest first.
type ActionQuery struct {
	On string `query:"on" maxLength:"200" doc:"What it was done to: an id or a name."`
	Paging
}
