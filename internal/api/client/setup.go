package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/seawall-dev/seawall/internal/api"
)

// Destinations returns every destination, with its queue and its gate.
func (c *Client) Destinations(ctx context.Context) ([]api.Destination, error) {
	out := new(api.Page[api.Destination])
	err := c.call(ctx, http.MethodGet, []string{"destinations"}, nil, nil, out)
	return out.Data, err
}

// Destination returns one destination.
func (c *Client) Destination(ctx context.Context, name string) (*api.Destination, error) {
	out := new(api.Destination)
	return out, c.call(ctx, http.MethodGet, []string{"destinations", name}, nil, nil, out)
}

// Pause stops deliveries to a destination; they wait.
func (c *Client) Pause(ctx context.Context, name, reason string) (*api.Destination, error) {
	out := new(api.Destination)
	return out, c.call(ctx, http.MethodPost, []string{"destinations", name, "pause"}, nil, api.Reason{Reason: reason}, out)
}

// Resume lets deliveries to a paused or disabled destination go on.
func (c *Client) Resume(ctx context.Context, name, reason string) (*api.Destination, error) {
	out := new(api.Destination)
	return out, c.call(ctx, http.MethodPost, []string{"destinations", name, "resume"}, nil, api.Reason{Reason: reason}, out)
}

// Sources returns every source.
func (c *Client) Sources(ctx context.Context) ([]api.Source, error) {
	out := new(api.Page[api.Source])
	err := c.call(ctx, http.MethodGet, []string{"sources"}, nil, nil, out)
	return out.Data, err
}

// Routes returns every route.
func (c *Client) Routes(ctx context.Context) ([]api.Route, error) {
	out := new(api.Page[api.Route])
	err := c.call(ctx, http.MethodGet, []string{"routes"}, nil, nil, out)
	return out.Data, err
}

// Actions returns a page of what people did.
func (c *Client) Actions(ctx context.Context, q api.ActionQuery) (*api.Page[api.Action], error) {
	out := new(api.Page[api.Action])
	return out, c.call(ctx, http.MethodGet, []string{"actions"}, values(q), nil, out)
}

// Config returns the running configuration.
func (c *Client) Config(ctx context.Context) (*api.Revision, error) {
	out := new(api.Revision)
	return out, c.call(ctx, http.MethodGet, []string{"config"}, nil, nil, out)
}

// Revisions returns a page of the configurations that were accepted, newest
// first, without their text.
func (c *Client) Revisions(ctx context.Context, p api.Paging) (*api.Page[api.Revision], error) {
	out := new(api.Page[api.Revision])
	return out, c.call(ctx, http.MethodGet, []string{"config", "revisions"}, values(p), nil, out)
}

// Revision returns one accepted configuration.
func (c *Client) Revision(ctx context.Context, number int64) (*api.Revision, error) {
	out := new(api.Revision)
	return out, c.call(ctx, http.MethodGet, []string{"config", "revisions", num(number)}, nil, nil, out)
}

// Reload makes the gateway read its configuration file again.
func (c *Client) Reload(ctx context.Context, r api.ReloadRequest) (*api.Revision, error) {
	out := new(api.Revision)
	return out, c.call(ctx, http.MethodPost, []string{"config", "reload"}, nil, r, out)
}

// Tokens returns every token, without secrets.
func (c *Client) Tokens(ctx context.Context) ([]api.Token, error) {
	out := new(api.Page[api.Token])
	err := c.call(ctx, http.MethodGet, []string{"tokens"}, nil, nil, out)
	return out.Data, err
}

// CreateToken makes a token. Its secret is in the answer, and nowhere else.
func (c *Client) CreateToken(ctx context.Context, r api.TokenRequest) (*api.Token, error) {
	out := new(api.Token)
	return out, c.call(ctx, http.MethodPost, []string{"tokens"}, nil, r, out)
}

// DeleteToken ends a token, within a second.
func (c *Client) DeleteToken(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, []string{"tokens", name}, nil, nil, nil)
}

// Status returns how the gateway is.
func (c *Client) Status(ctx context.Context) (*api.Status, error) {
	out := new(api.Status)
	return out, c.call(ctx, http.MethodGet, []string{"status"}, nil, nil, out)
}

func num(n int64) string { return strconv.FormatInt(n, 10) }
