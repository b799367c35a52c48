package seawall

import "time"

// Action is something that a person or a program with a token did, kept with
// who and when.
type Action struct {
	ID     int64             `json:"id"`
	At     time.Time         `json:"at"`
	By     string            `json:"by"`   // principal: a token's name, "local" without tokens, "cli" for direct access to the store
	What   string            `json:"what"` // for example "replay", "cancel", "pause", "token.create", "config.reload"
	On     string            `json:"on"`   // what it was done to: an id, a name, or "" for a filter
	Detail map[string]string `json:"detail,omitempty"`
}

// Token lets a principal use the API. The secret itself is shown once and never
// kept: Hash is its SHA-256.
type Token struct {
	Name    string
	Hash    [32]byte
	Scopes  []string // admin, read, calls:SYSTEM, events:SOURCE
	Created time.Time
	Expires time.Time // zero: never
}

// Revision is one accepted configuration, as written: references to secrets are
// kept as references, so it holds no secret.
type Revision struct {
	Number int64
	At     time.Time
	By     string
	Text   []byte
}

// Gate is the standing order about a destination's queue.
type Gate uint8

const (
	Open     Gate = iota
	Paused        // by a person
	Disabled      // by the destination itself: it answered 410 Gone
)

var gates = []string{"open", "paused", "disabled"}

func (g Gate) String() string               { return name(g, gates...) }
func (g Gate) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

func (g *Gate) UnmarshalText(b []byte) (err error) {
	*g, err = parseName[Gate](string(b), "gate", gates...)
	return err
}
