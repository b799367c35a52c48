package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// ArrivalPath is an operation on one arrival.
type ArrivalPath struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *server) registerArrivals(doc huma.API) {
	handle(s, doc, op("list-arrivals", http.MethodGet, "/arrivals", "arrivals", "List arrivals that made no event of their own",
		"Duplicates, conflicts, rejected requests and handshakes, newest first, without headers and bodies."), s.listArrivals)
	handle(s, doc, op("get-arrival", http.MethodGet, "/arrivals/{id}", "arrivals", "An arrival with all that is kept of it", ""), s.getArrival)
	handle(s, doc, op("get-capture", http.MethodGet, "/arrivals/{id}/capture", "arrivals", "An arrival as a capture",
		"In the form that \"seawall verify\" reads. It holds no credentials, and of a body only what was kept."), s.capture)
	handle(s, doc, op("list-actions", http.MethodGet, "/actions", "actions", "List what people did",
		"And programs with a token: who, what and when, newest first."), s.listActions)
}

func (s *server) listArrivals(ctx context.Context, in *ArrivalQuery) (*answer[Page[Arrival]], error) {
	f := store.ArrivalFilter{Source: in.Source}
	var err error
	if in.Verdict != "" {
		f.Verdict = new(seawall.Verdict)
		if err := f.Verdict.UnmarshalText([]byte(in.Verdict)); err != nil {
			return nil, err
		}
	}
	if in.Event != "" {
		if f.Event, err = (EventPath{ID: in.Event}).event(); err != nil {
			return nil, err
		}
	}
	if f.Since, err = back("since", in.Since, s.Now()); err != nil {
		return nil, err
	}
	if f.Until, err = back("until", in.Until, s.Now()); err != nil {
		return nil, err
	}
	l, err := s.Store.ListArrivals(ctx, f, in.page())
	if err != nil {
		return nil, fmt.Errorf("list arrivals: %w", err)
	}
	return page(l, formArrival), nil
}

func (s *server) getArrival(ctx context.Context, in *ArrivalPath) (*answer[Arrival], error) {
	a, err := s.Store.Arrival(ctx, in.ID)
	if err != nil {
		return nil, about("arrival", in.ID, err)
	}
	return &answer[Arrival]{formArrival(*a)}, nil
}

func (s *server) capture(ctx context.Context, in *ArrivalPath) (*answer[Capture], error) {
	a, err := s.Store.Arrival(ctx, in.ID)
	if err != nil {
		return nil, about("arrival", in.ID, err)
	}
	headers := a.Headers
	if headers == nil {
		headers = http.Header{}
	}
	body := a.Body
	if body == nil {
		body = []byte{}
	}
	return &answer[Capture]{Capture{Method: a.Method, URL: a.URL, Headers: headers, Body: body, Now: a.At}}, nil
}

func (s *server) listActions(ctx context.Context, in *ActionQuery) (*answer[Page[Action]], error) {
	l, err := s.Store.ListActions(ctx, in.On, in.page())
	if err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	return page(l, formAction), nil
}
