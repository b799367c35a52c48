package shape

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// Call makes the request that a call is: its own method, headers and body, and
// its path on the system's url.
//
// The idempotency key that the system gets is the delivery's id, under the
// system's name for it. It stays the same over retries and replays, and no two
// callers can meet in one, as they could with keys of their own.
func (s *Shaper) Call(y *config.System, d *seawall.Delivery, ev *seawall.Event) (*send.Request, *seawall.Request, error) {
	at, err := join(y.URL, ev.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("shape: system %q: %w", y.Name, err)
	}
	out := make(http.Header, len(ev.Headers)+3)
	for name, values := range ev.Headers {
		if !ofConnection[name] && !notForwarded[name] {
			out[name] = values // shared, never changed
		}
	}
	if len(out["User-Agent"]) == 0 {
		out["User-Agent"] = []string{s.agent}
	}
	if y.Idempotency.Header != "" {
		out[textproto.CanonicalMIMEHeaderKey(y.Idempotency.Header)] = []string{d.ID.String()}
	}
	if len(out["Traceparent"]) == 0 {
		out["Traceparent"] = []string{traceparent(ev.ID, d.ID, d.Attempts+1)}
	}
	record := &seawall.Request{
		Method: ev.Method, URL: s.veil.url(at), Headers: s.shown(out), BodySize: int64(len(ev.Body)), Original: true,
	}
	return &send.Request{Method: ev.Method, URL: at, Header: out, Body: ev.Body}, record, nil
}

// Check makes the request that asks whether a delivery took effect, and returns
// with it what the verdict's expressions see of the event.
func (s *Shaper) Check(ctx context.Context, c *config.Check, y *config.System, d *seawall.Delivery, ev *seawall.Event, links map[string]string) (*send.Request, *seawall.Request, *expr.Input, error) {
	in := input(ev)
	in.Linked(links)
	if ev.Source == seawall.SourceCalls {
		key := ""
		if y != nil && y.Idempotency.Header != "" {
			key = d.ID.String()
		}
		path, _, _ := strings.Cut(ev.URL, "?")
		in = in.Calling(expr.Call{ID: ev.ID.Call(), Key: key, Method: ev.Method, Path: path, Headers: ev.Headers})
	}
	raw, err := c.URL.Expand(ctx, in, expr.URL)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("check: path: %w", err)
	}
	at, err := parseTarget(raw, s.veil)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("check: path: %w", err)
	}
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	out := http.Header{"User-Agent": {s.agent}, "Accept": {"application/json"}}
	if at.credentials != "" {
		out["Authorization"] = []string{at.credentials}
	}
	var body []byte
	if c.Body != nil {
		if body, err = c.Body.JSON(ctx, in); err != nil {
			return nil, nil, nil, fmt.Errorf("check: body: %w", err)
		}
		out["Content-Type"] = []string{"application/json"}
	}
	record := &seawall.Request{
		Method: method, URL: at.shown, Headers: s.shown(out), Body: body[:min(len(body), keepBody)], BodySize: int64(len(body)),
	}
	return &send.Request{Method: method, URL: at.url, Header: out, Body: body}, record, in, nil
}

// shown are headers without secrets.
func (s *Shaper) shown(h http.Header) http.Header {
	shown := maps.Clone(h)
	for name, values := range h {
		for _, v := range values {
			if s.veil.covers(name, v) {
				shown[name] = []string{redacted}
			}
		}
	}
	for _, name := range credentialHeaders {
		if _, ok := shown[name]; ok {
			shown[name] = []string{redacted}
		}
	}
	return shown
}

var errEscapes = errors.New("the call's path leads out of the system's url")

// join puts a call's path with its query below a base, as it is escaped. What
// would lead elsewhere, by dots or slashes however they are escaped, is refused.
func join(base *url.URL, path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, errEscapes
	}
	path, query, asks := strings.Cut(path, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, errors.New("the call's path: an escape that cannot be read")
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(plain, `\`, "/"), "/") {
		if part, _, _ = strings.Cut(part, ";"); part == "." || part == ".." {
			return nil, errEscapes
		}
	}
	whole := strings.TrimSuffix(base.EscapedPath(), "/") + path
	at := &url.URL{Scheme: base.Scheme, Host: base.Host, RawQuery: base.RawQuery}
	if at.Path, err = url.PathUnescape(whole); err != nil {
		return nil, errors.New("the call's path: an escape that cannot be read")
	}
	at.RawPath = whole
	if asks && at.RawQuery != "" && query != "" {
		at.RawQuery += "&" + query
	} else if query != "" {
		at.RawQuery = query
	}
	return at, nil
}
