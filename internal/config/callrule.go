package config

import (
	"net/http"
	"slices"
	"strings"
)

// Rule is how the system's calls of a method and a path (without the query) are
// dealt with: by the first rule that matches, with what it leaves open filled in
// from the system.
func (s *System) Rule(method, path string) Treatment {
	t := Treatment{Unsafe: !idempotent[method], Timeout: s.Timeout, Retry: s.Retry}
	for i := range s.Calls {
		r := &s.Calls[i]
		if !r.matches(method, path) {
			continue
		}
		if r.Repeatable != nil {
			t.Unsafe = !*r.Repeatable
		}
		t.OnUnknown, t.Check, t.AssignKey, t.Fallback = r.OnUnknown, r.Check, r.AssignKey, r.Fallback
		if r.Timeout != nil {
			t.Timeout = *r.Timeout
		}
		if r.Retry != nil {
			t.Retry = *r.Retry
		}
		break
	}
	if t.OnUnknown == nil {
		t.OnUnknown = UsualUnknown(s.Idempotency.Header != "", t.Check != nil)
	}
	return t
}

// Treatment is how one call is dealt with.
type Treatment struct {
	Unsafe    bool        // not repeatable: see [Destination]
	OnUnknown []OnUnknown // if Unsafe
	Check     *Check
	AssignKey bool
	Fallback  *Fallback
	Timeout   Timeouts
	Retry     Retry
}

// UsualUnknown is what is done about an unknown outcome where nothing is said:
// again where the system takes a key, a check where there is one, then a person.
func UsualUnknown(takesKey, check bool) []OnUnknown {
	var out []OnUnknown
	if takesKey {
		out = append(out, UnknownRetry)
	}
	if check {
		out = append(out, UnknownCheck)
	}
	return append(out, UnknownHold)
}

// idempotent are the methods that may be repeated (RFC 9110, section 9.2.2).
var idempotent = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodOptions: true, http.MethodTrace: true,
	http.MethodPut: true, http.MethodDelete: true,
}

func (r *CallRule) matches(method, path string) bool {
	if r.Method != "*" && r.Method != method {
		return false
	}
	segments := segmentsOf(path)
	if n := len(r.Path); n > 0 && r.Path[n-1] == "**" {
		if len(segments) < n-1 {
			return false
		}
		return matchSegments(r.Path[:n-1], segments[:n-1])
	}
	return len(r.Path) == len(segments) && matchSegments(r.Path, segments)
}

func matchSegments(pattern, path []string) bool {
	return slices.EqualFunc(pattern, path, func(p, s string) bool { return p == "*" && s != "" || p == s })
}

// segmentsOf cuts a path at its slashes. One at the end makes no difference.
func segmentsOf(path string) []string {
	return strings.Split(strings.Trim(path, "/"), "/")
}
