package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// timeline tells the story in lines, oldest first. It is the one place that
// words it: command line and console show it as it is.
func timeline(s *Story, closed map[string]string, now time.Time) []Incident {
	out := beginning(&s.Event)
	for i, a := range s.Arrivals {
		in := Incident{At: a.At, Kind: a.Verdict, Text: "arrived again from " + a.Remote}
		if a.Verdict == seawall.Conflict.String() {
			in.Text += " with another body under the same id: the first one stands"
			in.Bad = true
		}
		if more := s.Duplicates + s.Conflicts - len(s.Arrivals); i == len(s.Arrivals)-1 && more > 0 {
			in.Text += fmt.Sprintf(", and %d times more (counted only)", more)
		}
		out = append(out, in)
	}
	for _, d := range s.Deliveries {
		out = append(out, lifeOf(&d, closed[d.Destination], now)...)
	}
	for _, a := range s.Actions {
		out = append(out, Incident{At: a.At, Kind: "action", Text: WordAction(a), Delivery: deliveryOf(a)})
	}
	slices.SortStableFunc(out, func(a, b Incident) int { return a.At.Compare(b.At) })
	return out
}

// beginning is what happened before the event was acknowledged.
func beginning(e *Event) []Incident {
	at := e.ReceivedAt
	text := fmt.Sprintf("%d bytes", e.BodySize)
	if e.Method != "" {
		text = fmt.Sprintf("%s %s, %s", e.Method, e.URL, text)
	}
	if e.Remote != "" {
		text += " from " + e.Remote
	}
	if e.Cause != "" {
		text += ", as an outcome of " + e.Cause
	}
	out := []Incident{{At: at, Kind: "arrived", Text: text}}
	if e.Proof != "" {
		out = append(out, Incident{At: at, Kind: "verified", Text: e.Proof})
	}
	out = append(out, Incident{At: at, Kind: "identified", Text: identity(e)})
	for _, d := range e.Decisions {
		out = append(out, Incident{At: at, Kind: "decision", Text: WordDecision(d), Route: d.Route, Bad: d.Error})
	}
	if e.Routing == seawall.Unmatched.String() {
		out = append(out, Incident{At: at, Kind: "decision", Text: "no route wants it: it is kept, and goes nowhere", Bad: true})
	}
	return out
}

// WordDecision words what a route decided; or, where it is no route's, what went
// wrong before any was asked.
func WordDecision(d seawall.Decision) string {
	text := "does not match"
	switch {
	case d.Route == "":
		return d.Why
	case d.Error:
		text = "could not decide"
	case d.Matched:
		text = "matches"
	}
	if d.Why != "" {
		text += ": " + d.Why
	}
	return "route " + d.Route + " " + text
}

func identity(e *Event) string {
	parts := []string{cmp.Or(e.Type, "no type")}
	switch {
	case e.Keyless:
		parts = append(parts, "no id: never a duplicate")
	case e.Derived:
		parts = append(parts, "no id: recognised by its content")
	case e.SourceID != "":
		parts = append(parts, "id "+e.SourceID)
	}
	if e.Entity != "" {
		parts = append(parts, "entity "+e.Entity)
	}
	if e.Version != "" {
		parts = append(parts, "version "+e.Version)
	}
	if !e.OccurredAt.IsZero() {
		parts = append(parts, fmt.Sprintf("happened %s before it arrived", brief(e.ReceivedAt.Sub(e.OccurredAt))))
	}
	return strings.Join(parts, ", ")
}

// lifeOf is a delivery from its plan to where it stands; gate is that of its
// destination, "" if open.
func lifeOf(d *Traced, gate string, now time.Time) []Incident {
	out := []Incident{{At: d.Created, Kind: "planned", Delivery: d.ID,
		Text: fmt.Sprintf("to %s over route %s, revision %d", d.Destination, d.Route, d.Revision)}}
	for _, t := range d.Tries {
		out = append(out, Incident{At: t.At, Kind: "attempt", Delivery: d.ID, Attempt: t.N,
			Text: wordAttempt(d, &t), Bad: t.Outcome != seawall.OK.String()})
	}
	reason := ""
	if d.Reason != "" {
		reason = ": " + d.Reason
	}
	end := Incident{At: d.Finished, Kind: "ended", Delivery: d.ID, Text: d.State + reason}
	switch d.State {
	case "delivered":
		end.Text = fmt.Sprintf("delivered to %s after %s", d.Destination, brief(d.Finished.Sub(d.Created)))
	case "dead":
		end.Bad = true
	case "superseded", "canceled":
	default: // it has not ended
		end.Kind, end.At = "waiting", now
		switch {
		case d.State != "pending" || d.Due.IsZero():
		case d.Due.After(now):
			end.At, end.Text = d.Due, "due"+reason
		case gate != "":
			end.Text = fmt.Sprintf("due since %s, and %s is %s%s", clock(d.Due), d.Destination, gate, reason)
		default:
			end.Text = fmt.Sprintf("due since %s; being tried or waiting for a free slot%s", clock(d.Due), reason)
		}
	}
	return append(out, end)
}

func wordAttempt(d *Traced, t *Attempt) string {
	text := fmt.Sprintf("attempt %d, %s %s: %s", t.N, t.Request.Method, t.Request.URL, t.Outcome)
	switch last := len(t.Asked) - 1; {
	case t.Request.Method == "" && last >= 0: // it only asked
		x := &t.Asked[last]
		text = fmt.Sprintf("attempt %d, %s by %s %s: %s", t.N, x.What, x.Request.Method, x.Request.URL, t.Outcome)
	case t.Request.Method == "": // it was never shaped
		text = fmt.Sprintf("attempt %d to %s: %s", t.N, d.Destination, t.Outcome)
	}
	why := t.Error
	if t.Response != nil {
		status := fmt.Sprintf("HTTP %d", t.Response.Status)
		if strings.HasPrefix(why, status) {
			status, why = why, ""
		}
		text += ", " + status
	}
	text += fmt.Sprintf(" after %s", brief(time.Duration(t.TookMS*float64(time.Millisecond))))
	if why != "" {
		text += ", " + why
	}
	if next := t.Decided(); next != "" {
		text += "; " + next
	}
	return text
}

// Decided is what was decided after the attempt, without the error that was the
// reason.
func (t *Attempt) Decided() string {
	if t.Error == "" {
		return t.Next
	}
	return strings.TrimSuffix(t.Next, ": "+t.Error)
}

// deliveryOf names the delivery that an action was done to, if it was one.
func deliveryOf(a Action) string {
	if _, err := seawall.ParseDeliveryID(a.On); err == nil {
		return a.On
	}
	return ""
}
