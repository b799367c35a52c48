package client

import (
	"context"
	"net/http"

	"github.com/seawall-dev/seawall/internal/api"
)

// Calls returns a page of calls.
func (c *Client) Calls(ctx context.Context, q api.CallQuery) (*api.Page[api.CallLine], error) {
	out := new(api.Page[api.CallLine])
	return out, c.call(ctx, http.MethodGet, []string{"calls"}, values(q), nil, out)
}

// Call returns one call with its attempts and its response.
func (c *Client) Call(ctx context.Context, id string) (*api.Call, error) {
	out := new(api.Call)
	return out, c.call(ctx, http.MethodGet, []string{"calls", id}, nil, nil, out)
}

// CancelCall cancels one call that has not been made.
func (c *Client) CancelCall(ctx context.Context, id, reason string) (*api.Call, error) {
	out := new(api.Call)
	return out, c.call(ctx, http.MethodPost, []string{"calls", id, "cancel"}, nil, api.Reason{Reason: reason}, out)
}

// Systems returns every system, with its limits, its breaker and what waits.
func (c *Client) Systems(ctx context.Context) ([]api.System, error) {
	out := new(api.Page[api.System])
	err := c.call(ctx, http.MethodGet, []string{"systems"}, nil, nil, out)
	return out.Data, err
}

// ResetSystem lets a system be asked again.
func (c *Client) ResetSystem(ctx context.Context, name string) (*api.System, error) {
	out := new(api.System)
	return out, c.call(ctx, http.MethodPost, []string{"systems", name, "reset"}, nil, struct{}{}, out)
}
