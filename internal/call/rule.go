package call

import (
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
)

// Rule is what the configuration says of calls like this one; nil if nothing.
func Rule(s *config.System, method, path string) *config.CallRule {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, g := range segments {
		if plain, err := url.PathUnescape(g); err == nil {
			segments[i] = plain
		}
	}
	for i := range s.Calls {
		if r := &s.Calls[i]; (r.Method == "*" || r.Method == method) && matches(r.Path, segments) {
			return r
		}
	}
	return nil
}

// matches tells whether a path fits a pattern, segment by segment.
func matches(pattern, path []string) bool {
	for i, p := range pattern {
		switch {
		case p == "**" && i == len(pattern)-1:
			return true
		case i >= len(path) || p != "*" && p != path[i]:
			return false
		}
	}
	return len(pattern) == len(path)
}
