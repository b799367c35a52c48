package send

import (
	"net/http"
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

// selected removes what is not kept, in place: mostly that is nothing, and the
// map that net/http made is ours.
func selected(h http.Header) http.Header {
	for name, values := range h {
		if !kept[name] && !strings.HasPrefix(name, "Ratelimit") && !strings.HasPrefix(name, "X-Ratelimit-") {
			delete(h, name)
			continue
		}
		if len(values) > maxValues {
			values = values[:maxValues]
			h[name] = values
		}
		for i, v := range values {
			if len(v) > maxValue {
				values[i] = strings.Clone(v[:maxValue]) + "…"
			}
		}
	}
	return h
}
