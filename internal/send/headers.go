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

// selected returns what is kept of h: mostly that is all of it, and then h itself.
func selected(h http.Header) http.Header {
	if all(h) {
		return h
	}
	some := make(http.Header, len(h))
	for name, values := range h {
		if !isKept(name) {
			continue
		}
		values = slices.Clone(values[:min(len(values), maxValues)])
		for i, v := range values {
			if len(v) > maxValue {
				values[i] = strings.Clone(v[:maxValue]) + "…"
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
		for _, v := range values {
			if len(v) > maxValue+len("…") { // one that was cut is kept as it is
				return false
			}
		}
	}
	return true
}

func isKept(name string) bool {
	return kept[name] || strings.HasPrefix(name, "Ratelimit") || strings.HasPrefix(name, "X-Ratelimit-")
}
