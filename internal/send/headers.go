package send

import (
	"net/http"
	"slices"
	"strings"
)

const (
	maxValues = 4    // of one response header that are kept
	maxValue  = 1024 // bytes of each
)

// kept are the response headers worth keeping: what the answer is, what it asks
// for, and what finds it again in the destination's own logs.
var kept = map[string]bool{
	"Allow": true, "Cf-Ray": true, "Content-Encoding": true, "Content-Length": true,
	"Content-Type": true, "Date": true, "Deprecation": true, "Location": true,
	"Request-Id": true, "Retry-After": true, "Server": true, "Sunset": true,
	"Traceparent": true, "Via": true, "Warning": true, "Www-Authenticate": true,
	"X-Amz-Cf-Id": true, "X-Amzn-Requestid": true, "X-Amzn-Trace-Id": true,
	"X-Correlation-Id": true, "X-Request-Id": true,
}

// selected returns what is kept of h, which stays as it is. The values are h's own,
// and the map, too, where nothing is left out.
func selected(h http.Header) http.Header {
	if all(h) {
		return h
	}
	some := make(http.Header, len(h))
	for name, values := range h {
		if !isKept(name) {
			continue
		}
		values = values[:min(len(values), maxValues)]
		if slices.ContainsFunc(values, long) {
			values = slices.Clone(values)
			for i, v := range values {
				if long(v) {
					values[i] = strings.Clone(v[:maxValue]) + "…"
				}
			}
		}
		some[name] = values
	}
	return some
}

// all tells whether nothing of h is left out or cut.
func all(h http.Header) bool {
	for name, values := range h {
		if !isKept(name) || len(values) > maxValues {
			return false
		}
		if slices.ContainsFunc(values, long) {
			return false
		}
	}
	return true
}

// long tells whether a value is cut. One that was is not cut again.
func long(v string) bool {
	return len(v) > maxValue && (len(v) > maxValue+len("…") || !strings.HasSuffix(v, "…"))
}

func isKept(name string) bool {
	return kept[name] || strings.HasPrefix(name, "Ratelimit") || strings.HasPrefix(name, "X-Ratelimit-")
}
