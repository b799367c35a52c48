package expr

import (
	"errors"
	"net/url"
	"strings"
)

// Escape makes a value fit for the place where it stands in a template: after
// the text before. known is false if the value is null or missing.
type Escape func(before, value string, known bool) (string, error)

// Raw leaves values as they are; what is missing is empty.
func Raw(_, value string, _ bool) (string, error) { return value, nil }

var (
	errMissing = errors.New("missing or null")
	errEmpty   = errors.New("empty, which a path cannot be")
	errDots    = errors.New(`“.” and “..” would lead to another path`)
	errHost    = errors.New("a host cannot come from an event")
	errControl = errors.New("a line break or other control character, which a header cannot hold")
)

// PathSegment escapes for the path of a URL (RFC 3986, section 3.3), slashes
// included. A value that is missing or empty is an error, as is one that would
// climb to another path.
func PathSegment(before, value string, known bool) (string, error) {
	if !known {
		return "", errMissing
	}
	if value == "" {
		return "", errEmpty
	}
	segment := before[strings.LastIndexByte(before, '/')+1:] + value
	if segment == "." || segment == ".." || strings.Trim(value, ".") == "" && len(value) <= 2 {
		return "", errDots
	}
	return url.PathEscape(value), nil
}

// Query escapes for the query of a URL; what is missing is empty.
func Query(_, value string, _ bool) (string, error) { return url.QueryEscape(value), nil }

// HeaderValue lets through what a header may hold (RFC 9110, section 5.5); what
// is missing is empty.
func HeaderValue(_, value string, _ bool) (string, error) {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", errControl
		}
	}
	return value, nil
}

// URL escapes for where the value stands in a URL: path, or query and fragment.
// In scheme and host no value may stand.
func URL(before, value string, known bool) (string, error) {
	_, rest, ok := strings.Cut(before, "://")
	switch {
	case strings.ContainsAny(rest, "?#"):
		return Query(before, value, known)
	case !ok || !strings.Contains(rest, "/"):
		return "", errHost
	default:
		return PathSegment(before, value, known)
	}
}
