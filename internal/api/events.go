package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// EventPath is an operation on one event.
type EventPath struct {
	ID string `path:"id" maxLength:"64" example:"evt_01kbxw0000000000000000r000"`
}

func (p EventPath) event() (seawall.EventID, error) {
	id, err := seawall.ParseEventID(p.ID)
	if err == nil {
		return id, nil
	}
	if d, derr := seawall.ParseDeliveryID(p.ID); derr == nil {
		return id, seawall.Errorf(seawall.ErrInvalid, "%s is a delivery", p.ID).WithHint("its event is %s", d.Event())
	}
	return id, err
}

func (s *server) registerEvents(doc huma.API) {
	handle(s, doc, op("list-events", http.MethodGet, "/events", "events", "List events, or follow them",
		"Newest first, without headers and bodies. With after, oldest first from there on, and with wait, "+
			"the answer comes when there is an event, or when the wait is over."), s.listEvents)
	handle(s, doc, op("get-event", http.MethodGet, "/events/{id}", "events", "The whole story of an event",
		"What arrived, how it was verified, what each route decided and why, every delivery with its attempts, "+
			"what people did, and a timeline of it all."), s.story)
	body := op("get-event-body", http.MethodGet, "/events/{id}/body", "events", "The raw body of an event",
		"Byte for byte as it came, always as a download.")
	body.Responses = map[string]*huma.Response{"200": {
		Description: "The raw bytes",
		Content:     map[string]*huma.MediaType{octets: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	handle(s, doc, body, s.eventBody)
	handle(s, doc, op("plan-event", http.MethodPost, "/events/{id}/plan", "events", "Plan an event again",
		"By the running configuration: for an event whose planning went wrong, or that no route wanted then. "+
			"Routes that already have a delivery of it are left out."), s.plan)
	handle(s, doc, op("preview-event", http.MethodPost, "/events/{id}/preview", "events",
		"What a route would send for an event", "Secrets redacted. Nothing is sent."), s.preview)
}

func (s *server) listEvents(ctx context.Context, in *EventQuery) (*answer[Page[Event]], error) {
	f, err := s.eventFilter(in)
	if err != nil {
		return nil, err
	}
	if in.After != "" || in.Wait != "" || strings.HasPrefix(in.Cursor, followPrefix) {
		return s.follow(ctx, in, f)
	}
	l, err := s.Store.ListEvents(ctx, f, in.page())
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return page(l, formEvent), nil
}

func (s *server) eventFilter(q *EventQuery) (f store.EventFilter, err error) {
	f = store.EventFilter{Source: q.Source, Type: q.Type, Entity: q.Entity, SourceID: q.SourceID}
	if q.Routing != "" {
		f.Routing = new(seawall.Routing)
		if err := f.Routing.UnmarshalText([]byte(q.Routing)); err != nil {
			return f, err
		}
	}
	if f.Since, err = back("since", q.Since, s.Now()); err != nil {
		return f, err
	}
	f.Until, err = back("until", q.Until, s.Now())
	return f, err
}

const octets = "application/octet-stream"

// download is bytes that no browser is to make anything of.
type download struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (s *server) eventBody(ctx context.Context, in *EventPath) (*download, error) {
	id, err := in.event()
	if err != nil {
		return nil, err
	}
	ev, err := s.Store.Event(ctx, id)
	if err != nil {
		return nil, about("event", id, err)
	}
	return &download{Type: octets, Disposition: fmt.Sprintf("attachment; filename=%q", id.String()+".body"), Body: ev.Body}, nil
}

func (s *server) plan(ctx context.Context, in *EventPath) (*answer[Planned], error) {
	id, err := in.event()
	if err != nil {
		return nil, err
	}
	added, err := s.Gateway.Replan(ctx, id, s.action(ctx, "plan", id.String(), nil))
	if err != nil {
		return nil, about("plan", id, err)
	}
	s.wake(added)
	ev, err := s.Store.Event(ctx, id)
	if err != nil {
		return nil, about("event", id, err)
	}
	return &answer[Planned]{Planned{
		Routing: ev.Routing.String(), Decisions: each(ev.Decisions, same), Added: each(added, formDelivery),
	}}, nil
}

func same[T any](v T) T { return v }

// wake tells the queues that deliveries were added to them.
func (s *server) wake(ds []seawall.Delivery) {
	woken := map[string]bool{}
	for _, d := range ds {
		if !woken[d.Destination] {
			woken[d.Destination] = true
			s.Gateway.Wake(d.Destination)
		}
	}
}

func (s *server) preview(ctx context.Context, in *struct {
	EventPath
	Body PreviewRequest
}) (*answer[Request], error) {
	id, err := in.event()
	if err != nil {
		return nil, err
	}
	ev, err := s.Store.Event(ctx, id)
	if err != nil {
		return nil, about("event", id, err)
	}
	var revision int64
	if in.Body.Config == configOriginal {
		revision = ev.Revision
	}
	r, err := s.Gateway.Preview(ctx, in.Body.Route, ev, revision)
	if err != nil {
		return nil, fmt.Errorf("preview %s: %w", id, err)
	}
	return &answer[Request]{*r}, nil
}
