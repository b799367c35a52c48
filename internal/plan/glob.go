package plan

import "strings"

// glob is a pattern of event types, cut at its stars. A star stands for any run
// of characters, also none, dots and slashes included: "payment_intent.*",
// "orders/*", "*.deleted", "*". Everything else, case too, stands for itself.
type glob []string

func globs(patterns []string) []glob {
	gs := make([]glob, len(patterns))
	for i, p := range patterns {
		gs[i] = strings.Split(p, "*")
	}
	return gs
}

// matchAny tells whether s matches one of the patterns, or there are none.
func matchAny(gs []glob, s string) bool {
	for _, g := range gs {
		if g.match(s) {
			return true
		}
	}
	return len(gs) == 0
}

func (g glob) match(s string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	// The earliest place for each part leaves the most room for the next.
	for _, part := range g[1 : len(g)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
