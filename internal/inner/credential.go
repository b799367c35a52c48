package inner

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
)

// tokenHeader takes a token where a client has a use of its own for all others.
const tokenHeader = "Seawall-Token"

// apiKeys are headers that clients put a key into.
var apiKeys = []string{tokenHeader, "X-Api-Key", "Api-Key"}

// bearer is the token of a request to the listener itself (RFC 6750, section 2.1).
func bearer(h http.Header) string {
	if v := h.Values("Authorization"); len(v) == 1 {
		if scheme, secret, ok := strings.Cut(v[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(secret)
		}
	}
	return ""
}

// carried finds the token that a client of a system sends, in whatever form it
// sends the system's own key. Every form is looked at: of two that hold tokens,
// neither counts.
func carried(h http.Header, rawQuery string, s *config.System) (token string, ok bool) {
	var found []string
	note := func(values ...string) {
		for _, v := range values {
			if v = strings.TrimSpace(v); strings.HasPrefix(v, access.Prefix) && !slices.Contains(found, v) {
				found = append(found, v)
			}
		}
	}
	for _, v := range h.Values("Authorization") {
		scheme, rest, ok := strings.Cut(v, " ")
		switch {
		case !ok:
			note(v)
		case strings.EqualFold(scheme, "Basic"):
			if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
				user, password, _ := strings.Cut(string(plain), ":")
				note(user, password)
			}
		default:
			note(rest)
		}
	}
	for _, name := range append(slices.Clone(apiKeys), call.AuthHeader(s)) {
		if name != "" {
			note(h.Values(name)...)
		}
	}
	if name := queryKey(s); name != "" {
		for _, p := range strings.Split(rawQuery, "&") {
			if key, value, _ := strings.Cut(p, "="); unescaped(key) == name {
				note(unescaped(value))
			}
		}
	}
	if len(found) != 1 {
		return "", len(found) == 0
	}
	return found[0], true
}

// strip takes out of a request's headers and query whatever says who asks, and
// what belongs to the connection or to us.
func strip(h http.Header, rawQuery string, s *config.System) (http.Header, string) {
	out := h.Clone()
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for name := range out {
		if call.Withheld(s, name) || slices.Contains(passedOn, name) {
			delete(out, name)
		}
	}
	name := queryKey(s)
	if name == "" || rawQuery == "" {
		return out, rawQuery
	}
	var kept []string
	for _, p := range strings.Split(rawQuery, "&") {
		if key, _, _ := strings.Cut(p, "="); unescaped(key) != name {
			kept = append(kept, p)
		}
	}
	return out, strings.Join(kept, "&")
}

// passedOn are headers that a proxy before us adds: they tell of a way that is
// none of the system's business.
var passedOn = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "Via"}

func queryKey(s *config.System) string {
	switch a := s.Auth.(type) {
	case config.QueryKey:
		return a.Name
	case *config.QueryKey:
		return a.Name
	}
	return ""
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
