package receive

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/seawall-dev/seawall/seawall"
)

const (
	// captureBody bounds the body kept of a rejected request.
	captureBody = 16 << 10
	// notesPerSecond bounds what a flood of junk can make us write; what is
	// beyond is counted in the metrics only.
	notesPerSecond = 100

	redacted = "[redacted]"
)

// note keeps an arrival that did not become an event, off the answering path.
func (v *visit) note(verdict seawall.Verdict, reason, detail string, status int) {
	a := seawall.Arrival{
		At: v.start, Verdict: verdict, Reason: reason, Detail: detail, Status: status, Proof: v.proof,
		Remote: remote(v.r, v.cur.Config), Method: v.r.Method, URL: v.safeURL(), Headers: v.safeHeaders(),
		BodySize: v.r.ContentLength,
	}
	if v.source != nil {
		a.Source = v.source.Name
	}
	if v.req != nil {
		a.BodySize = int64(len(v.req.Body))
		a.Body = slices.Clone(v.req.Body[:min(len(v.req.Body), captureBody)])
	}
	result := reason
	if verdict != seawall.Rejected {
		result = verdict.String()
	}
	v.rc.Metrics.Arrival(a.Source, result, v.rc.Now().Sub(v.start))
	select {
	case v.rc.refusals <- a:
	default: // bounded: the metrics have counted it
	}
}

// Run writes the notes until ctx ends.
func (rc *Receiver) Run(ctx context.Context) error {
	pace := rate.NewLimiter(notesPerSecond, notesPerSecond)
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-rc.refusals:
			if !pace.AllowN(rc.Now(), 1) {
				continue
			}
			wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			if err := rc.Store.Refuse(wctx, a); err != nil {
				rc.Log.Warn("arrival not kept", "source", a.Source, "reason", a.Reason, "error", err)
			}
			cancel()
		}
	}
}

// safeHeaders are the request's headers without the credentials that the
// provider sends in some. They are shared, never changed.
func (v *visit) safeHeaders() http.Header {
	hide := append(make([]string, 0, 8), "Authorization", "Proxy-Authorization", "Cookie")
	if v.source != nil {
		headers, _ := v.source.Provider.Redact()
		hide = append(hide, headers...)
	}
	out := v.r.Header
	copied := false
	for _, name := range hide {
		name = http.CanonicalHeaderKey(name)
		if _, ok := out[name]; !ok {
			continue
		}
		if !copied {
			out, copied = out.Clone(), true
		}
		out[name] = []string{redacted}
	}
	return out
}

// safeURL is the public URL without credentials in the query. The rest of the
// query stays byte for byte.
func (v *visit) safeURL() string {
	var raw string
	if v.req != nil {
		raw = v.req.URL
	} else {
		raw = publicURL(v.r, v.cur.Config)
	}
	if v.source == nil {
		return clip(raw)
	}
	_, params := v.source.Provider.Redact()
	base, query, found := strings.Cut(raw, "?")
	if !found || len(params) == 0 {
		return raw
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		key, _, _ := strings.Cut(p, "=")
		if name, err := url.QueryUnescape(key); err == nil && slices.Contains(params, name) {
			parts[i] = key + "=" + redacted
		}
	}
	return base + "?" + strings.Join(parts, "&")
}

func clip(s string) string {
	if len(s) > 2048 {
		return s[:2048] + "…"
	}
	return s
}
