package api

import "time"

// Destination is where events go, with its queue.
type Destination struct {
	Name        string    `json:"name"`
	Host        string    `json:"host,omitempty" doc:"Host of its URL."`
	Configured  bool      `json:"configured" doc:"False for one that has left the configuration but still has deliveries."`
	RenamedTo   string    `json:"renamed_to,omitempty" doc:"Of one that left the configuration: the destination that answers for it, by its renamed_from."`
	Gate        string    `json:"gate" doc:"open, paused (by a person) or disabled (it answered 410 Gone)."`
	GateReason  string    `json:"gate_reason,omitempty"`
	GateBy      string    `json:"gate_by,omitempty"`
	GateAt      time.Time `json:"gate_at,omitzero"`
	Pending     int64     `json:"pending" doc:"Due now or later, in flight included."`
	Held        int64     `json:"held"`
	Dead        int64     `json:"dead" doc:"Dead letters."`
	OldestDue   time.Time `json:"oldest_due,omitzero"`
	Concurrency int       `json:"concurrency,omitempty"`
	Shards      int       `json:"shards,omitempty" doc:"Of its queue, each of which another node may have."`
	Repeatable  bool      `json:"repeatable,omitempty" doc:"False: an attempt of unknown outcome is held for a person."`
	Signed      bool      `json:"signed,omitempty" doc:"Requests carry a Standard Webhooks signature."`
}

// Source is where events come from.
type Source struct {
	Name     string  `json:"name"`
	Provider string  `json:"provider"`
	Path     string  `json:"path" doc:"On the public listener."`
	URL      string  `json:"url,omitempty" doc:"Where the provider should send to; needs public_url."`
	MaxBody  int64   `json:"max_body" doc:"Bytes."`
	DedupeS  float64 `json:"dedupe_s" doc:"Horizon of deduplication, in seconds."`
}

// Route sends the events of a source to a destination.
type Route struct {
	Name      string   `json:"name"`
	From      string   `json:"from"`
	Types     []string `json:"types" doc:"Globs; empty: all."`
	Filtered  bool     `json:"filtered,omitempty" doc:"It has a when."`
	Transform bool     `json:"transform,omitempty" doc:"It has a transform."`
	To        string   `json:"to"`
}

// Revision is one accepted configuration, as written; lists leave out Text.
type Revision struct {
	Number   int64     `json:"number"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Running  bool      `json:"running"`
	Text     string    `json:"text,omitempty" doc:"The file as written: it refers to secrets and holds none."`
	Warnings []string  `json:"warnings,omitempty"`
}

// ReloadRequest reads the configuration file again.
type ReloadRequest struct {
	Drop bool `json:"drop,omitempty" doc:"Accept that destinations with unfinished deliveries are gone."`
}

// Token lets a principal use the API.
type Token struct {
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Secret  string    `json:"token,omitempty" doc:"Only in the answer to its creation, and never again."`
}

// TokenRequest makes a token.
type TokenRequest struct {
	Name   string   `json:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$"`
	Scopes []string `json:"scopes" minItems:"1" maxItems:"100" doc:"admin, read, calls:SYSTEM, events:SOURCE."`
	Expire string   `json:"expires,omitempty" maxLength:"64" doc:"RFC 3339, or a duration from now (90d); default never."`
}

// Status is how the gateway is.
type Status struct {
	Version   string    `json:"version"`
	Node      string    `json:"node,omitempty"`
	Started   time.Time `json:"started"`
	UptimeS   float64   `json:"uptime_s" doc:"Seconds."`
	Revision  int64     `json:"revision" doc:"Of the running configuration."`
	StoreSize int64     `json:"store_size" doc:"Bytes on disk."`
	Ready     bool      `json:"ready" doc:"The store can commit."`
	Principal string    `json:"principal" doc:"Who you are."`
	LatestSeq int64     `json:"latest_seq" doc:"Sequence of the newest event; 0 if there is none."`
}
