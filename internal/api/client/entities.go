package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/seawall"
)

// Entities returns a page of entities.
func (c *Client) Entities(ctx context.Context, q api.EntityQuery) (*api.Page[api.Entity], error) {
	out := new(api.Page[api.Entity])
	return out, c.call(ctx, http.MethodGet, []string{"entities"}, values(q), nil, out)
}

// Entity returns all about an entity, NAME/KEY, with a page of its events.
func (c *Client) Entity(ctx context.Context, entity string, p api.Paging) (*api.EntityStory, error) {
	name, key := seawall.EntityName(entity)
	out := new(api.EntityStory)
	return out, c.call(ctx, http.MethodGet, []string{"entities", name, key}, values(p), nil, out)
}

// Merge makes an entity another name of a second.
func (c *Client) Merge(ctx context.Context, from, into string) (*api.Merged, error) {
	name, key := seawall.EntityName(from)
	out := new(api.Merged)
	return out, c.call(ctx, http.MethodPost, []string{"entities", name, key, "merge"}, nil, api.MergeRequest{Into: into}, out)
}

// Links returns a page of links.
func (c *Client) Links(ctx context.Context, q api.LinkQuery) (*api.Page[seawall.Link], error) {
	out := new(api.Page[seawall.Link])
	return out, c.call(ctx, http.MethodGet, []string{"links"}, values(q), nil, out)
}

// AllLinks iterates over the links of a query, page by page. It ends after the
// first error.
func (c *Client) AllLinks(ctx context.Context, q api.LinkQuery) iter.Seq2[seawall.Link, error] {
	return pages(func(cursor string) (*api.Page[seawall.Link], error) {
		q.Cursor = cursor
		return c.Links(ctx, q)
	}, q.Cursor)
}

// PutLinks writes links, all or none; with dry, it only says what that would do.
// Where some cannot be written, the error is a [*Refused] that tells which.
func (c *Client) PutLinks(ctx context.Context, ls []api.LinkItem, dry bool) (*api.LinksWritten, error) {
	type query struct {
		DryRun bool `query:"dry_run"`
	}
	out := new(api.LinksWritten)
	return out, c.call(ctx, http.MethodPost, []string{"links"}, values(query{dry}), append([]api.LinkItem{}, ls...), out)
}

// Unlink removes an entity's link to a system.
func (c *Client) Unlink(ctx context.Context, entity, system string) error {
	return c.call(ctx, http.MethodDelete, []string{"links", entity, system}, nil, nil, nil)
}
