package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Event is something that happened in the product.
type Event struct {
	// JSON is the event itself, made JSON. Where its id, its type and its time
	// are, the source's configuration says.
	JSON any
	// Repeatable tells that the source finds an id in the event, so that the
	// gateway recognises a second try: then a failed one is made again.
	Repeatable bool
}

// Send hands an event over to a source and returns its id, evt_…: of the first
// one, where it had come before. When it returns without an error, the event is
// durable, and on its way to wherever its routes lead.
func (c *Client) Send(ctx context.Context, source string, ev Event) (id string, err error) {
	body, err := json.Marshal(ev.JSON)
	if err != nil {
		return "", fmt.Errorf("seawall: the event: %w", err)
	}
	var out struct{ Events []string }
	_, err = c.do(ctx, request{
		method: http.MethodPost, path: "/in/" + url.PathEscape(source), body: body, once: !ev.Repeatable,
		header: http.Header{"Content-Type": {"application/json"}},
	}, &out)
	if err != nil || len(out.Events) == 0 {
		return "", err
	}
	return out.Events[0], nil
}
