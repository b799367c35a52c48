package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/seawall-dev/seawall/internal/api"
)

// tailWait is how long one request of Tail waits for an event.
const tailWait = "20s"

// Events returns a page of events, without headers and bodies.
func (c *Client) Events(ctx context.Context, q api.EventQuery) (*api.Page[api.Event], error) {
	out := new(api.Page[api.Event])
	return out, c.call(ctx, http.MethodGet, []string{"events"}, values(q), nil, out)
}

// AllEvents iterates over the events of a query, page by page. It ends after
// the first error.
func (c *Client) AllEvents(ctx context.Context, q api.EventQuery) iter.Seq2[api.Event, error] {
	return pages(func(cursor string) (*api.Page[api.Event], error) {
		q.Cursor = cursor
		return c.Events(ctx, q)
	}, q.Cursor)
}

// Tail follows events as they are accepted, oldest first: those after q.After,
// or if that is "", those still to come. It ends with an error, at the latest
// that of ctx; an event's Seq is where to go on.
func (c *Client) Tail(ctx context.Context, q api.EventQuery) iter.Seq2[api.Event, error] {
	if q.After == "" {
		q.After = "now"
	}
	q.Wait = tailWait
	return pages(func(cursor string) (*api.Page[api.Event], error) {
		q.Cursor = cursor
		return c.Events(ctx, q)
	}, q.Cursor)
}

// Story returns all that is known of one event.
func (c *Client) Story(ctx context.Context, id string) (*api.Story, error) {
	out := new(api.Story)
	return out, c.call(ctx, http.MethodGet, []string{"events", id}, nil, nil, out)
}

// Body returns an event's raw body.
func (c *Client) Body(ctx context.Context, id string) (out []byte, err error) {
	return out, c.call(ctx, http.MethodGet, []string{"events", id, "body"}, nil, nil, &out)
}

// Plan plans an event again, by the running configuration. Routes that already
// have a delivery of it are left out.
func (c *Client) Plan(ctx context.Context, id string) (*api.Planned, error) {
	out := new(api.Planned)
	return out, c.call(ctx, http.MethodPost, []string{"events", id, "plan"}, nil, struct{}{}, out)
}

// Preview returns the request that a route would send for a stored event,
// secrets redacted.
func (c *Client) Preview(ctx context.Context, id string, r api.PreviewRequest) (*api.Request, error) {
	out := new(api.Request)
	return out, c.call(ctx, http.MethodPost, []string{"events", id, "preview"}, nil, r, out)
}

// Arrivals returns a page of arrivals, without headers and bodies.
func (c *Client) Arrivals(ctx context.Context, q api.ArrivalQuery) (*api.Page[api.Arrival], error) {
	out := new(api.Page[api.Arrival])
	return out, c.call(ctx, http.MethodGet, []string{"arrivals"}, values(q), nil, out)
}

// Arrival returns one arrival with all that is kept of it.
func (c *Client) Arrival(ctx context.Context, id int64) (*api.Arrival, error) {
	out := new(api.Arrival)
	return out, c.call(ctx, http.MethodGet, []string{"arrivals", num(id)}, nil, nil, out)
}

// Capture returns one arrival in the form that "seawall verify" reads.
func (c *Client) Capture(ctx context.Context, id int64) (*api.Capture, error) {
	out := new(api.Capture)
	return out, c.call(ctx, http.MethodGet, []string{"arrivals", num(id), "capture"}, nil, nil, out)
}

// pages iterates over a list from a cursor on.
func pages[T any](page func(cursor string) (*api.Page[T], error), cursor string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			p, err := page(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Data {
				if !yield(item, nil) {
					return
				}
			}
			if cursor = p.Next; cursor == "" {
				return
			}
		}
	}
}
