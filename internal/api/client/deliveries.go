package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/seawall-dev/seawall/internal/api"
)

// Deliveries returns a page of deliveries.
func (c *Client) Deliveries(ctx context.Context, q api.DeliveryQuery) (*api.Page[api.Delivery], error) {
	out := new(api.Page[api.Delivery])
	return out, c.call(ctx, http.MethodGet, []string{"deliveries"}, values(q), nil, out)
}

// AllDeliveries iterates over the deliveries of a query, page by page. It ends
// after the first error.
func (c *Client) AllDeliveries(ctx context.Context, q api.DeliveryQuery) iter.Seq2[api.Delivery, error] {
	return pages(func(cursor string) (*api.Page[api.Delivery], error) {
		q.Cursor = cursor
		return c.Deliveries(ctx, q)
	}, q.Cursor)
}

// Delivery returns one delivery with its attempts.
func (c *Client) Delivery(ctx context.Context, id string) (*api.Traced, error) {
	out := new(api.Traced)
	return out, c.call(ctx, http.MethodGet, []string{"deliveries", id}, nil, nil, out)
}

// Replay puts one finished delivery back. One that is already waiting is left
// as it is.
func (c *Client) Replay(ctx context.Context, id string, r api.ReplayOne) (*api.Delivery, error) {
	out := new(api.Delivery)
	return out, c.call(ctx, http.MethodPost, []string{"deliveries", id, "replay"}, nil, r, out)
}

// Cancel ends one unfinished delivery.
func (c *Client) Cancel(ctx context.Context, id, reason string) (*api.Delivery, error) {
	out := new(api.Delivery)
	return out, c.call(ctx, http.MethodPost, []string{"deliveries", id, "cancel"}, nil, api.Reason{Reason: reason}, out)
}

// Skip ends one unfinished delivery, for what waits behind it to go on.
func (c *Client) Skip(ctx context.Context, id string) (*api.Delivery, error) {
	out := new(api.Delivery)
	return out, c.call(ctx, http.MethodPost, []string{"deliveries", id, "skip"}, nil, struct{}{}, out)
}

// Replays puts many deliveries back, or counts them. It repeats the request
// until all is done, calling progress, which may be nil, with the sum so far.
// Where it fails midway, the sum comes with the error.
func (c *Client) Replays(ctx context.Context, r api.ReplayRequest, progress func(api.ReplayResult)) (*api.ReplayResult, error) {
	sum := &api.ReplayResult{DryRun: r.DryRun}
	for {
		var part api.ReplayResult
		if err := c.call(ctx, http.MethodPost, []string{"replays"}, nil, r, &part); err != nil {
			return sum, err
		}
		sum.Add(part)
		if progress != nil {
			progress(*sum)
		}
		if r.Cursor = part.Next; r.Cursor == "" {
			return sum, nil
		}
	}
}

// Cancels ends many deliveries, or counts them, as Replays does.
func (c *Client) Cancels(ctx context.Context, r api.CancelRequest, progress func(api.CancelResult)) (*api.CancelResult, error) {
	sum := &api.CancelResult{DryRun: r.DryRun}
	for {
		var part api.CancelResult
		if err := c.call(ctx, http.MethodPost, []string{"deliveries", "cancel"}, nil, r, &part); err != nil {
			return sum, err
		}
		sum.Matched += part.Matched
		sum.Canceled += part.Canceled
		sum.Next = part.Next
		if progress != nil {
			progress(*sum)
		}
		if r.Cursor = part.Next; r.Cursor == "" {
			return sum, nil
		}
	}
}
