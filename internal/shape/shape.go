// Package shape makes the request that a delivery is, by the configuration in
// force when it is sent: a corrected transform applies to what is tried again.
package shape

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// Shaper shapes by one configuration. It is immutable and safe for concurrent
// use.
type Shaper struct {
	routes       map[string]*config.Route
	destinations map[string]*destination // by name, and by the name they were renamed from
	veil         veil
	agent        string
}

// New prepares a configuration. version is the gateway's own, for the header
// user-agent.
func New(c *config.Config, version string) *Shaper {
	s := &Shaper{
		routes:       make(map[string]*config.Route, len(c.Routes)),
		destinations: make(map[string]*destination, len(c.Destinations)),
		veil:         newVeil(c.Secrets),
		agent:        "seawall",
	}
	if version != "" {
		s.agent += "/" + version
	}
	for _, r := range c.Routes {
		s.routes[r.Name] = r
	}
	for _, d := range c.Destinations {
		if d.RenamedFrom != "" {
			s.destinations[d.RenamedFrom] = newDestination(d, s.veil)
		}
	}
	for _, d := range c.Destinations {
		s.destinations[d.Name] = newDestination(d, s.veil)
	}
	return s
}

// Given is what is known of a delivery's entity when it is sent.
type Given struct {
	Links   map[string]string // the records that it is, by system; nil where nothing uses them
	Fetched string            // Fetched, Gone, or "": nothing was
	Record  []byte            // what was Fetched, as JSON, in the payload's place
	Request *config.Request   // made in place of the destination's: an upsert's
	Key     string            // idempotency key; "": the delivery's id
	NoKey   bool              // none
}

// What the header seawall-record says.
const (
	Fetched = "fetched" // the body is made of the entity's current record
	Gone    = "gone"    // it has none any more, and the body is made of the event
)

// Shape makes the request of the delivery's next attempt, and what is kept of
// it, without secrets. An error says in plain words what of the configuration
// failed on the event; nothing was sent then.
func (s *Shaper) Shape(ctx context.Context, d *seawall.Delivery, ev *seawall.Event, now time.Time, g Given) (*send.Request, *seawall.Request, error) {
	w, err := s.work(ctx, d, ev, now, g)
	if err != nil {
		return nil, nil, err
	}
	out, shown, err := w.shape(s.veil)
	if err != nil {
		return nil, nil, fmt.Errorf("shape: %w", err)
	}
	return out, shown, nil
}

func (s *Shaper) work(ctx context.Context, d *seawall.Delivery, ev *seawall.Event, now time.Time, g Given) (*work, error) {
	dest, route := s.destinations[d.Destination], s.routes[d.Route]
	switch {
	case dest == nil:
		return nil, seawall.Errorf(seawall.ErrNotFound, "shape: destination %q is not in the configuration", d.Destination)
	case route == nil:
		return nil, seawall.Errorf(seawall.ErrNotFound, "shape: route %q is not in the configuration", d.Route)
	}
	return &work{Given: g, ctx: ctx, d: d, ev: ev, now: now, route: route, dest: dest, agent: s.agent}, nil
}

// work is the shaping of one attempt.
type work struct {
	Given
	ctx   context.Context
	d     *seawall.Delivery
	ev    *seawall.Event
	now   time.Time
	route *config.Route
	dest  *destination
	agent string

	input *expr.Input // the payload; made when first asked for
}

func (w *work) shape(veil veil) (*send.Request, *seawall.Request, error) {
	var at target
	method, body, kind, err := w.content()
	if err == nil {
		at, err = w.target(veil)
	}
	if err != nil {
		return nil, nil, err
	}
	header, shown, err := w.headers(body.bytes, kind, at.credentials, veil)
	if err != nil {
		return nil, nil, err
	}
	record := &seawall.Request{
		Method: method, URL: at.shown, Headers: shown,
		BodySize: int64(len(body.bytes)), Original: body.original,
	}
	if !body.original {
		record.Body = body.bytes[:min(len(body.bytes), keepBody)]
	}
	return &send.Request{Method: method, URL: at.url, Header: header, Body: body.bytes}, record, nil
}

// keepBody is how much is kept of a body that is not the event's.
const keepBody = 64 << 10

// method is the destination's, of which "" is POST.
func (w *work) method() (string, error) {
	if w.Request != nil {
		return w.Request.Method, nil
	}
	t := w.dest.Method
	if t == nil {
		return http.MethodPost, nil
	}
	m, err := w.expand(t, expr.Raw)
	if err != nil {
		return "", w.fault("method", err)
	}
	m = strings.ToUpper(strings.TrimSpace(m))
	if m == "" {
		return http.MethodPost, nil
	}
	if m == http.MethodConnect || !isToken(m) {
		return "", w.fault("method", fmt.Errorf("%q is no method that can be sent", clip(m)))
	}
	return m, nil
}

func (w *work) expand(t *expr.Template, escape expr.Escape) (string, error) {
	if t.Constant() {
		return t.Expand(w.ctx, nil, escape)
	}
	in, err := w.payload()
	if err != nil {
		return "", err
	}
	return t.Expand(w.ctx, in, escape)
}

// fault says what of the destination failed.
func (w *work) fault(what string, err error) error {
	return fmt.Errorf("destination %q: %s: %w", w.dest.Name, what, err)
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
