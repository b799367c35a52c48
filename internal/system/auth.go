package system

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// auth adds a system's credentials to a request.
type auth interface {
	// put may change the header, which is the request's own, and put another URL
	// in its place. Its error holds no secret and says what to do.
	put(ctx context.Context, r *send.Request, now time.Time) error
	// adds are the header names, or the name in the query, of what it adds.
	adds() (headers []string, query string)
	// secrets are the texts that must not be seen.
	secrets() []string
}

// renewer is an auth whose credentials a system may refuse and which then can get
// others.
type renewer interface {
	auth
	// refused tells whether there are others now than those of r.
	refused(ctx context.Context, r *send.Request) bool
	// taken hears that those of r were not refused.
	taken(r *send.Request)
}

func (y *System) authOf(c *config.System, sender *send.Sender, box *seal.Box, before auth) auth {
	switch a := c.Auth.(type) {
	case config.Bearer:
		return &header{"Authorization", "Bearer " + a.Token, []string{a.Token}}
	case config.Basic:
		both := base64.StdEncoding.EncodeToString([]byte(a.User + ":" + a.Password))
		return &header{"Authorization", "Basic " + both, []string{both, a.Password}}
	case config.HeaderKey:
		return &header{http.CanonicalHeaderKey(a.Name), a.Value, []string{a.Value}}
	case config.QueryKey:
		return &query{a.Name, a.Value}
	case config.HMAC:
		return &signer{a}
	case config.OAuth2:
		return y.all.oauth(y.name, a, sender.Do, box, before)
	}
	return nil
}

// header is a fixed header.
type header struct {
	name, value string
	hidden      []string
}

func (h *header) put(_ context.Context, r *send.Request, _ time.Time) error {
	r.Header[h.name] = []string{h.value}
	return nil
}

func (h *header) adds() ([]string, string) { return []string{h.name}, "" }
func (h *header) secrets() []string        { return h.hidden }

// query is a key in the query.
type query struct{ name, value string }

func (q *query) put(_ context.Context, r *send.Request, _ time.Time) error {
	r.URL = withQuery(r.URL, q.name, url.QueryEscape(q.value))
	return nil
}

// withQuery adds to a query, whose other parts stay as they are written.
func withQuery(u *url.URL, name, escaped string) *url.URL {
	c := *u
	if c.RawQuery != "" {
		c.RawQuery += "&"
	}
	c.RawQuery += url.QueryEscape(name) + "=" + escaped
	return &c
}

func (q *query) adds() ([]string, string) { return nil, q.name }
func (q *query) secrets() []string        { return []string{q.value, url.QueryEscape(q.value)} }

// redacted stands in the place of a secret.
const redacted = "[redacted]"

// Veil marks, in what is kept of a request, what the system's credentials add to
// it as it is sent.
func (y *System) Veil(r *seawall.Request) {
	a := y.set.Load().auth
	if a == nil {
		return
	}
	headers, query := a.adds()
	if len(headers) > 0 {
		h := r.Headers.Clone()
		if h == nil {
			h = http.Header{}
		}
		for _, name := range headers {
			h[name] = []string{redacted}
		}
		r.Headers = h
	}
	if query == "" {
		return
	}
	mark := "?"
	if strings.Contains(r.URL, "?") {
		mark = "&"
	}
	r.URL += mark + url.QueryEscape(query) + "=" + redacted
}

// way sends one request: whole, or with the answer's body left to be read.
type way func(ctx context.Context, s *send.Sender, r *send.Request) send.Reply

// ask makes one request with the system's credentials, and a second one only if
// the first was refused for an access token that was not the newest.
func (set *settings) ask(ctx context.Context, r *send.Request, how way, now func() time.Time) send.Reply {
	if set.auth == nil {
		return how(ctx, set.sender, r)
	}
	at := now()
	if err := set.authorize(ctx, r, now); err != nil {
		return send.Reply{At: at, Took: now().Sub(at), Err: err, Canceled: ctx.Err() != nil}
	}
	reply := set.once(ctx, r, how, now)
	reply.At, reply.Took = at, now().Sub(at)
	set.scrub(&reply)
	return reply
}

func (set *settings) once(ctx context.Context, r *send.Request, how way, now func() time.Time) send.Reply {
	a, ok := set.auth.(renewer)
	if !ok {
		return how(ctx, set.sender, r)
	}
	again := *r
	again.Header = r.Header.Clone()
	reply := how(ctx, set.sender, r)
	if reply.Response == nil || reply.Canceled {
		return reply
	}
	if reply.Response.Status != http.StatusUnauthorized {
		a.taken(&again)
		return reply
	}
	if !a.refused(ctx, &again) || a.put(ctx, &again, now()) != nil {
		return reply
	}
	sent := send.Request{Header: again.Header.Clone()}
	if reply = how(ctx, set.sender, &again); reply.Response != nil && reply.Response.Status != http.StatusUnauthorized {
		a.taken(&sent)
	}
	return reply
}

// authorize adds the credentials, to a request for the system itself only: a path
// that an expression made must not lead them elsewhere.
func (set *settings) authorize(ctx context.Context, r *send.Request, now func() time.Time) error {
	if base := set.URL; base != nil && (!strings.EqualFold(base.Host, r.URL.Host) || base.Scheme != r.URL.Scheme) {
		return fmt.Errorf("not sent: the request is for %s://%s, and the credentials of system %q are for %s://%s only",
			r.URL.Scheme, r.URL.Host, set.Name, base.Scheme, base.Host)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return set.auth.put(ctx, r, now())
}
