package shape

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// ErrMissing is that a request that asks for something has nothing to ask by.
var ErrMissing = errors.New("missing, null or empty, so that it would ask for anything")

// asking escapes for a URL, in which nothing may be missing: a search for the email
// of nobody finds everybody.
func asking(before, value string, known bool) (string, error) {
	if !known || value == "" {
		return "", ErrMissing
	}
	return expr.URL(before, value, known)
}

// About is an input for expressions on an answer: all but the payload.
func (s *Shaper) About(ev *seawall.Event, g Given) *expr.Input {
	in := input(ev)
	in.Linked(g.Links)
	return in
}

// Fetch makes the request that reads an entity's current record, and returns with it
// what an expression on the answer sees of the event.
func (s *Shaper) Fetch(ctx context.Context, f *config.Fetch, ev *seawall.Event, links map[string]string) (*send.Request, *seawall.Request, *expr.Input, error) {
	in := input(ev)
	in.Linked(links)
	in = in.With(nil)
	raw, err := f.URL.Expand(ctx, in, asking)
	if err == nil {
		var out *send.Request
		var shown *seawall.Request
		if out, shown, err = s.read(http.MethodGet, raw, nil); err == nil {
			return out, shown, in, nil
		}
	}
	return nil, nil, nil, fmt.Errorf("fetch: path: %w", err)
}

// Find makes the request that looks for a record which may be the entity's. The
// error is [ErrMissing] if the event has not what it is looked for by.
func (s *Shaper) Find(ctx context.Context, q *config.Request, d *seawall.Delivery, ev *seawall.Event, now time.Time, g Given) (*send.Request, *seawall.Request, *expr.Input, error) {
	w, err := s.work(ctx, d, ev, now, g)
	if err != nil {
		return nil, nil, nil, err
	}
	raw, err := w.expand(q.URL, asking)
	if err != nil {
		return nil, nil, nil, w.fault("find", err)
	}
	in, err := w.payload()
	if err != nil {
		return nil, nil, nil, err
	}
	own := http.Header{}
	for _, h := range w.dest.Headers {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		value, err := w.expand(h.Value, expr.HeaderValue)
		if err == nil {
			err = w.checkHeader(name, value)
		}
		if err != nil {
			return nil, nil, nil, w.fault("header "+clip(h.Name), err)
		}
		if value != "" && !strings.HasPrefix(name, "Content-") {
			own[name] = []string{value}
		}
	}
	out, shown, err := s.read(q.Method, raw, own)
	if err != nil {
		return nil, nil, nil, w.fault("find", err)
	}
	return out, shown, in, nil
}

// read makes a request without a body that asks for JSON.
func (s *Shaper) read(method, raw string, own http.Header) (*send.Request, *seawall.Request, error) {
	at, err := parseTarget(raw, s.veil)
	if err != nil {
		return nil, nil, err
	}
	out := http.Header{"User-Agent": {s.agent}, "Accept": {"application/json"}}
	if at.credentials != "" {
		out["Authorization"] = []string{at.credentials}
	}
	for name, values := range own {
		out[name] = values
	}
	return &send.Request{Method: method, URL: at.url, Header: out}, &seawall.Request{Method: method, URL: at.shown, Headers: s.shown(out)}, nil
}

// ReadAnswer is the JSON of a whole answer, as an input for expressions about it.
func ReadAnswer(in *expr.Input, r send.Reply) (*expr.Input, any, error) {
	switch {
	case r.Response == nil:
		return nil, nil, r.Err
	case r.Err != nil:
		return nil, nil, fmt.Errorf("the answer is not whole: %w", r.Err)
	case r.Response.Truncated:
		return nil, nil, fmt.Errorf("the answer is longer than %d KiB", len(r.Response.Body)>>10)
	case len(r.Response.Body) == 0:
		return nil, nil, fmt.Errorf("HTTP %d without a body", r.Response.Status)
	}
	kind := r.Response.Headers.Get("Content-Type")
	in = in.Answered(r.Response.Status, r.Response.Headers, r.Response.Body)
	v, err := in.Payload()
	switch v.(type) {
	case map[string]any, []any:
	default:
		if err == nil && !isJSON(kind) {
			err = fmt.Errorf("the answer is %s, not JSON", clip(kindOf(kind)))
		}
	}
	return in, v, err
}

func kindOf(contentType string) string {
	if contentType == "" {
		return "of no type"
	}
	return contentType
}
