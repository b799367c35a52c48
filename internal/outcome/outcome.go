// Package outcome makes events of what became of deliveries, calls and systems,
// so that a route can react to them like to everything else. They are accepted in
// the transaction of what they tell. docs/outcomes.md describes them.
package outcome

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Routes are those of the running configuration.
type Routes interface {
	Plan(revision int64, ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery)
	// Takes tells whether a route takes events of a source and type; and named,
	// whether one names the type itself.
	Takes(source, kind string) (taken, named bool)
}

// Current is the running configuration, as far as outcomes need it.
type Current struct {
	Routes   Routes
	Revision int64
	Keep     time.Duration // how long an outcome is not told again
}

// Maker makes outcomes. It is safe for concurrent use.
type Maker struct {
	Current func() Current
	Now     func() time.Time
	Random  io.Reader
}

// Of makes the events that the end of an attempt is, and of a decision without
// one: none where no route wants them. to is the delivery's destination now.
func (m *Maker) Of(c *store.Claimed, s *store.Settlement) []store.Acceptance {
	kind := kindOf(&c.Delivery, s)
	if kind == "" || c.Event.Depth >= seawall.MaxDepth {
		return nil
	}
	cur := m.Current()
	taken, named := cur.Routes.Takes(seawall.SourceOutcomes, kind)
	if !taken || kind == seawall.TypeDelivered && (!named || c.Delivery.Source == seawall.SourceOutcomes) {
		return nil
	}
	d := &c.Delivery
	// The same settlement may be written twice, if nobody knows whether it was
	// written once. Another one has another attempt or, without one, another round.
	n := d.Attempts
	if s.Attempt != nil {
		n = s.Attempt.N
	}
	id := fmt.Sprintf("%s/%s/%d", kind, d.ID, n)
	if s.Attempt == nil {
		id += fmt.Sprintf("/%d", d.Since.UnixMilli())
	}
	return []store.Acceptance{m.accept(cur, &seawall.Event{
		SourceID: id, Type: kind, Entity: d.Entity, Cause: c.Event.ID, Depth: c.Event.Depth + 1,
	}, about(c, s))}
}

// System makes the event of what happened to a system. It is made whether a route
// wants it or not: a breaker that opens is rare, and worth finding later.
func (m *Maker) System(kind, system string, data map[string]any) []store.Acceptance {
	now := m.Now()
	body := map[string]any{"system": system, "at": stamp(now)}
	for k, v := range data {
		body[k] = v
	}
	return []store.Acceptance{m.accept(m.Current(), &seawall.Event{
		SourceID: fmt.Sprintf("%s/%s/%d", kind, system, now.UnixMicro()), Type: kind, Depth: 1,
	}, body)}
}

func (m *Maker) accept(cur Current, ev *seawall.Event, body any) store.Acceptance {
	now := m.Now()
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte("{}") // nothing in it can fail
	}
	ev.ID, ev.Source, ev.Body = seawall.NewEventID(now, m.Random), seawall.SourceOutcomes, text
	ev.OccurredAt, ev.ReceivedAt, ev.Revision = now, now, cur.Revision
	ev.Headers = http.Header{"Content-Type": {"application/json"}}
	ev.Proof = "the gateway's own"
	var ds []seawall.Delivery
	ev.Routing, ev.Decisions, ds = cur.Routes.Plan(cur.Revision, ev, now)
	sum := sha256.Sum256(text)
	return store.Acceptance{Event: ev, BodyHash: [16]byte(sum[:16]), Expires: now.Add(cur.Keep), Deliveries: ds}
}

// kindOf is the type of the event that a settlement is; "" if it is none.
func kindOf(d *seawall.Delivery, s *store.Settlement) string {
	isCall := strings.HasPrefix(d.Destination, seawall.CallsTo(""))
	switch {
	case s.Move != nil:
		return seawall.TypeDiverted
	case isCall && s.Answer != nil:
		return seawall.TypeCompleted
	case isCall && s.State == seawall.Dead:
		return seawall.TypeCallDead
	case isCall && s.State == seawall.Held:
		return seawall.TypeCallUnknown
	case isCall:
		return ""
	case s.State == seawall.Dead:
		return seawall.TypeDead
	case s.State == seawall.Held && forAPerson(s.Reason):
		return seawall.TypeHeld
	case s.State == seawall.Delivered:
		return seawall.TypeDelivered
	}
	return ""
}

// forAPerson tells whether what a settlement holds for a reason stays so until a
// person decides.
func forAPerson(reason string) bool {
	switch reason {
	case seawall.ReasonUnknown, seawall.ReasonLate, seawall.ReasonPrerequisite:
		return true
	}
	return strings.HasPrefix(reason, seawall.ReasonRecord)
}

// report is the body of an outcome of a delivery or call.
type report struct {
	Delivery    string `json:"delivery"`
	Event       string `json:"event"`
	Source      string `json:"source"`
	Type        string `json:"type,omitempty"`
	Entity      string `json:"entity,omitempty"`
	Route       string `json:"route,omitempty"`
	Destination string `json:"destination"`
	System      string `json:"system,omitempty"`
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
	Attempts    int    `json:"attempts"`
	Outcome     string `json:"outcome,omitempty"` // of the last attempt
	Error       string `json:"error,omitempty"`
	Status      int    `json:"status,omitempty"` // of its answer, or of the call's
	Fallback    string `json:"fallback,omitempty"`
	At          string `json:"at"`

	Call *called `json:"call,omitempty"`
}

// called is what only calls have.
type called struct {
	ID       string `json:"id"`
	By       string `json:"by"`
	Key      string `json:"key"`
	Method   string `json:"method"`
	Path     string `json:"path"` // without the query, which may hold what is no alert's business
	Fallback bool   `json:"fallback,omitempty"`
}

func about(c *store.Claimed, s *store.Settlement) report {
	d := &c.Delivery
	r := report{
		Delivery: d.ID.String(), Event: c.Event.ID.String(), Source: d.Source, Type: d.Type, Entity: d.Entity,
		Route: d.Route, Destination: d.Destination, System: d.System,
		State: s.State.String(), Reason: s.Reason, Attempts: d.Attempts, At: stamp(s.At),
	}
	if a := s.Attempt; a != nil {
		r.Attempts, r.Outcome, r.Error = a.N, a.Outcome.String(), a.Error
		if a.Response != nil {
			r.Status = a.Response.Status
		}
	}
	if s.Move != nil {
		r.Fallback = s.Move.Destination
	}
	if strings.HasPrefix(d.Destination, seawall.CallsTo("")) {
		r.Call = callOf(c.Event)
		if s.Answer != nil {
			r.Status, r.Call.Fallback = s.Answer.Status, s.Answer.Fallback
		}
	}
	return r
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
