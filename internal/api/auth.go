package api

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/seawall"
)

// localPrincipal is who acts while there are no tokens.
const localPrincipal = "local"

// principal is who makes a request.
type principal struct {
	name string
	all  bool // may change things
}

type principalKey struct{}

// by is the principal of the request, as actions name it.
func by(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p.name
}

// action begins the record of something that the principal does.
func (s *server) action(ctx context.Context, what, on string, detail map[string]string) seawall.Action {
	return seawall.Action{At: s.Now(), By: by(ctx), What: what, On: on, Detail: detail}
}

// guard lets a request through to the API if its principal may make it, and if
// there is room: in that order, so that strangers take no room.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, no := s.admit(r)
		if no == nil {
			no = plainBody(r)
		}
		if no != nil {
			no.Write(w)
			return
		}
		room := s.work
		if r.Method == http.MethodGet && r.URL.Query().Get("wait") != "" {
			room = s.follows
		}
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
		default:
			problem.New(http.StatusServiceUnavailable, "too many requests at once").Write(w)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), principalKey{}, p), requestTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// admit tells who makes the request, or why it is turned away.
func (s *server) admit(r *http.Request) (principal, *Problem) {
	secret, sent := bearer(r)
	t, some, err := s.tokens.Find(r.Context(), secret, s.Now())
	if err != nil {
		// Whoever asks is not known yet: he is not told where the store is.
		s.Log.WarnContext(r.Context(), "tokens not read", "error", err)
		return principal{}, s.problem(r.Context(), seawall.Errorf(seawall.ErrUnavailable, "tokens cannot be read: the store does not answer"))
	}
	if !some {
		if !s.local {
			return principal{}, s.problem(r.Context(), seawall.Errorf(seawall.ErrForbidden,
				"this listener is reachable from other machines, and there is no token yet").
				WithHint("on the gateway's machine: seawall token create --name me --scope admin"))
		}
		if err := fromHere(r); err != nil {
			return principal{}, s.problem(r.Context(), err)
		}
		return principal{name: localPrincipal, all: true}, nil
	}

	if sent && t != nil {
		return s.scoped(r, t)
	}
	if !s.strikes.Allow(r.RemoteAddr, s.Now()) {
		return principal{}, problem.New(http.StatusTooManyRequests, "too many requests without a valid token")
	}
	if !sent {
		return principal{}, s.problem(r.Context(), seawall.Errorf(seawall.ErrUnauthorized, "a token is needed").
			WithHint("send it as: Authorization: Bearer swt_…; seawall token create --scope admin (or read) makes one; those for calls and events are for the internal listener"))
	}
	s.Log.WarnContext(r.Context(), "token refused", "remote", r.RemoteAddr)
	return principal{}, s.problem(r.Context(), seawall.Errorf(seawall.ErrUnauthorized, "the token is unknown or has expired"))
}

// scoped tells what a valid token may do here. The scopes calls: and events:
// are for other listeners.
func (s *server) scoped(r *http.Request, t *seawall.Token) (principal, *Problem) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case slices.Contains(t.Scopes, access.Admin):
		return principal{name: t.Name, all: true}, nil
	case slices.Contains(t.Scopes, access.Read) && reads:
		return principal{name: t.Name}, nil
	case slices.Contains(t.Scopes, access.Read):
		return principal{}, s.problem(r.Context(), seawall.Errorf(seawall.ErrForbidden,
			"token %q may read only", t.Name).WithHint("use one with scope admin"))
	}
	return principal{}, s.problem(r.Context(), seawall.Errorf(seawall.ErrForbidden,
		"token %q has no scope for this", t.Name).WithHint("use one with scope read or admin"))
}

// bearer returns the token that came with a request (RFC 6750, section 2.1).
func bearer(r *http.Request) (string, bool) {
	v := r.Header.Values("Authorization")
	if len(v) != 1 {
		return "", false
	}
	scheme, secret, ok := strings.Cut(v[0], " ")
	return secret, ok && strings.EqualFold(scheme, "Bearer")
}

// plainBody refuses bodies that a browser sends across origins without asking:
// what changes things takes JSON, or nothing at all.
func plainBody(r *http.Request) *Problem {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	sent := r.Header.Values("Content-Type")
	if len(sent) == 0 && r.ContentLength == 0 {
		return nil
	}
	if len(sent) == 1 {
		media, _, err := mime.ParseMediaType(sent[0])
		if err == nil && (media == "application/json" || media == ndjson && r.URL.Path == "/api/v1/links") {
			return nil
		}
	}
	p := problem.New(http.StatusUnsupportedMediaType, "the body must be JSON")
	p.Hint = "send Content-Type: application/json, or no body and no content type"
	return p
}

// headers go with every answer: nothing here is a page, and none is to be kept.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
