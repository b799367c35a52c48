package api

import (
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// each maps a slice; the result is never nil, so that JSON has [] for none.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

// whole is a list that fits on one page.
func whole[T any](data []T) *answer[Page[T]] { return &answer[Page[T]]{Page[T]{Data: data}} }

// page is a page of a store's list.
func page[A, B any](l store.List[A], f func(A) B) *answer[Page[B]] {
	return &answer[Page[B]]{Page[B]{Data: each(l.Items, f), Next: l.Next}}
}

func (p Paging) page() store.Page { return store.Page{Cursor: p.Cursor, Limit: p.Limit} }

func formEvent(e seawall.Event) Event {
	out := Event{
		ID: e.ID.String(), Seq: e.Seq, Source: e.Source,
		SourceID: e.SourceID, Derived: e.Derived, Keyless: e.Keyless,
		Type: e.Type, Entity: e.Entity, Version: e.Version,
		OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt,
		Routing: e.Routing.String(), Revision: e.Revision, Depth: e.Depth,
		Method: e.Method, URL: e.URL, Headers: e.Headers, Body: e.Body, BodySize: len(e.Body),
		Remote: e.Remote, Proof: e.Proof, Decisions: e.Decisions,
	}
	if !e.Cause.IsZero() {
		out.Cause = e.Cause.String()
	}
	return out
}

func formDelivery(d seawall.Delivery) Delivery {
	out := Delivery{
		ID: d.ID.String(), Event: d.ID.Event().String(), Route: d.Route, Destination: d.Destination,
		Source: d.Source, Type: d.Type, Entity: d.Entity,
		State: d.State.String(), Reason: d.Reason, Due: d.Due,
		Attempts: d.Attempts, Round: d.Round, Since: d.Since,
		Revision: d.Revision, Pinned: d.Pinned, Created: d.Created, Finished: d.Finished,
		Late: d.Late, Tied: d.Tied,
	}
	if d.Order != seawall.Unordered {
		out.Order = d.Order.String()
	}
	if d.State == seawall.Held {
		if d.Reason == seawall.ReasonPrerequisite {
			out.After = d.After
		}
		if !d.Due.Before(order.Never) {
			out.Due = time.Time{}
		}
	}
	return out
}

func formAttempt(a seawall.Attempt) Attempt {
	return Attempt{
		N: a.N, At: a.At, TookMS: float64(a.Took.Microseconds()) / 1000,
		Outcome: a.Outcome.String(), Error: a.Error, Next: a.Next,
		Revision: a.Revision, Node: a.Node, Step: a.Step.String(), Asked: a.Asked, Request: a.Request, Response: a.Response,
	}
}

func formArrival(a seawall.Arrival) Arrival {
	out := Arrival{
		ID: a.ID, Source: a.Source, At: a.At, Verdict: a.Verdict.String(),
		Reason: a.Reason, Detail: a.Detail, Status: a.Status,
		SourceID: a.SourceID, Proof: a.Proof, Remote: a.Remote,
		Method: a.Method, URL: a.URL, Headers: a.Headers, Body: a.Body, BodySize: a.BodySize,
	}
	if !a.Event.IsZero() {
		out.Event = a.Event.String()
	}
	return out
}

func formAction(a seawall.Action) Action {
	return Action{ID: a.ID, At: a.At, By: a.By, What: a.What, On: a.On, Detail: a.Detail}
}

func formToken(t seawall.Token) Token {
	return Token{Name: t.Name, Scopes: t.Scopes, Created: t.Created, Expires: t.Expires}
}

func formRevision(r seawall.Revision, running int64) Revision {
	return Revision{Number: r.Number, At: r.At, By: r.By, Running: r.Number == running, Text: string(r.Text)}
}

// brief is a duration as people read it.
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
