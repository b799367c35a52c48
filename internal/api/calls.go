package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Calls is what the API asks of the room that takes calls over.
type Calls interface {
	Get(ctx context.Context, id seawall.EventID) (*call.Call, error)
	Cancel(ctx context.Context, c *call.Call, reason string, a seawall.Action) (*call.Call, error)
}

// CallQuery selects calls, newest first.
type CallQuery struct {
	State  string `query:"state" enum:"pending,held,sending,delivered,dead,canceled"`
	System string `query:"system" maxLength:"200"`
	Key    string `query:"key" maxLength:"255" doc:"Idempotency key; needs system and by, since keys are each token's own."`
	By     string `query:"by" maxLength:"64" doc:"Name of the token that posted it; goes with key."`
	Since  string `query:"since" maxLength:"64" doc:"Posted at or after: RFC 3339, or a duration back (1h, 2d)."`
	Until  string `query:"until" maxLength:"64" doc:"Posted before: RFC 3339, or a duration back."`
	Paging
}

// CallLine is a call in a list.
type CallLine struct {
	ID       string    `json:"id" example:"call_01kbxw0000000000000000r000"`
	Delivery string    `json:"delivery" doc:"What waits, is tried and is replayed."`
	System   string    `json:"system"`
	Request  string    `json:"request" example:"POST /v1/refunds" doc:"Method and path, without the query."`
	State    string    `json:"state" doc:"pending, sending, held, delivered, dead or canceled."`
	Reason   string    `json:"reason,omitempty"`
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due,omitzero" doc:"Of a pending one: not before."`
	Created  time.Time `json:"created"`
	Finished time.Time `json:"finished,omitzero"`
}

// Call is a call with all that is known of it.
type Call struct {
	call.Document
	Event    string      `json:"event"`
	Delivery string      `json:"delivery"`
	Headers  http.Header `json:"headers,omitempty" doc:"Of the request, as posted."`
	Sent     []byte      `json:"sent,omitempty" doc:"Its body: the raw bytes."`
	Tries    []Attempt   `json:"tries" doc:"Its attempts, first to last."`
}

// CallPath is an operation on one call.
type CallPath struct {
	ID string `path:"id" maxLength:"64" example:"call_01kbxw0000000000000000r000"`
}

func (s *server) registerCalls(doc huma.API) {
	const tag = "calls"
	handle(s, doc, op("list-calls", http.MethodGet, "/calls", tag, "List calls", "Newest first, without requests and responses."), s.listCalls)
	handle(s, doc, op("get-call", http.MethodGet, "/calls/{id}", tag, "A call with its attempts and its response", ""), s.getCall)
	handle(s, doc, op("cancel-call", http.MethodPost, "/calls/{id}/cancel", tag, "Cancel a call",
		"A conflict if it has ended, or is being made."), s.cancelCall)
}

func (s *server) listCalls(ctx context.Context, in *CallQuery) (*answer[Page[CallLine]], error) {
	if in.Key != "" {
		return s.callsUnder(ctx, in)
	}
	f, err := s.deliveryFilter(Filter{State: in.State, Source: seawall.SourceCalls, Since: in.Since, Until: in.Until})
	if err != nil {
		return nil, err
	}
	if in.System != "" {
		f.Destination = seawall.CallsTo(in.System)
	}
	l, err := s.Store.ListDeliveries(ctx, f, in.page())
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	out := Page[CallLine]{Data: []CallLine{}, Next: l.Next}
	for i := range l.Items {
		// Routes may watch calls: what they deliver is no call.
		if strings.HasPrefix(l.Items[i].Destination, seawall.CallsTo("")) {
			out.Data = append(out.Data, formCallLine(&l.Items[i]))
		}
	}
	return &answer[Page[CallLine]]{out}, nil
}

// callsUnder are the calls under one key: one within its horizon, and perhaps
// others from before.
func (s *server) callsUnder(ctx context.Context, in *CallQuery) (*answer[Page[CallLine]], error) {
	if in.System == "" || in.By == "" {
		return nil, seawall.Errorf(seawall.ErrInvalid, "key goes with system and by").
			WithHint("keys are each token's own: name the system, and the token that posted the call")
	}
	l, err := s.Store.ListEvents(ctx, store.EventFilter{Source: seawall.SourceCalls, SourceID: call.SourceID(in.System, in.By, in.Key)}, in.page())
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	out := Page[CallLine]{Data: []CallLine{}, Next: l.Next}
	for _, ev := range l.Items {
		d, err := s.Store.Delivery(ctx, ev.ID.Delivery(1))
		if err != nil {
			return nil, about("call", ev.ID.Call(), err)
		}
		if in.State == "" || d.State.String() == in.State {
			out.Data = append(out.Data, formCallLine(d))
		}
	}
	return &answer[Page[CallLine]]{out}, nil
}

func formCallLine(d *seawall.Delivery) CallLine {
	out := CallLine{
		ID: d.ID.Event().Call(), Delivery: d.ID.String(), System: strings.TrimPrefix(d.Destination, seawall.CallsTo("")),
		Request: d.Type, State: d.State.String(), Reason: d.Reason, Attempts: d.Attempts, Created: d.Created, Finished: d.Finished,
	}
	if d.State == seawall.Pending {
		out.Due = d.Due
	}
	return out
}

func (s *server) theCall(ctx context.Context, p CallPath) (*call.Call, error) {
	id, err := seawall.ParseCallID(p.ID)
	if err != nil {
		return nil, err
	}
	c, err := s.Calls.Get(ctx, id)
	if err != nil {
		return nil, about("call", p.ID, err)
	}
	return c, nil
}

func (s *server) formCall(ctx context.Context, c *call.Call) (*answer[Call], error) {
	t, err := s.traced(ctx, *c.Delivery)
	if err != nil {
		return nil, err
	}
	return &answer[Call]{Call{
		Document: *c.Document(), Event: c.Event.ID.String(), Delivery: c.Delivery.ID.String(),
		Headers: c.Event.Headers, Sent: c.Event.Body, Tries: t.Tries,
	}}, nil
}

func (s *server) getCall(ctx context.Context, in *CallPath) (*answer[Call], error) {
	c, err := s.theCall(ctx, *in)
	if err != nil {
		return nil, err
	}
	return s.formCall(ctx, c)
}

func (s *server) cancelCall(ctx context.Context, in *struct {
	CallPath
	Body *Reason
}) (*answer[Call], error) {
	c, err := s.theCall(ctx, in.CallPath)
	if err != nil {
		return nil, err
	}
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	a := s.action(ctx, "cancel", c.Delivery.ID.String(), detail("reason", reason))
	if c, err = s.Calls.Cancel(ctx, c, canceledBy(ctx, reason), a); err != nil {
		return nil, err
	}
	return s.formCall(ctx, c)
}
