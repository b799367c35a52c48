package receive

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

// refusal is a request turned away: what the sender is told, and what our own
// people can read about it.
type refusal struct {
	status int
	reason string // stable code
	told   string
	detail string
}

// refuse answers with a problem document and keeps the arrival.
func (v *visit) refuse(f refusal) {
	h := v.w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	v.w.WriteHeader(f.status)
	public := f.reason
	if public == string(verify.SecretExpired) {
		public = string(verify.SignatureMismatch) // a forger need not know that it was right once
	}
	_ = json.NewEncoder(v.w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(f.status), "status": f.status,
		"detail": f.told, "reason": public,
	})
	v.note(seawall.Rejected, f.reason, f.detail, f.status)
}

// busy turns a request away that a later try may get through. It is never given
// after a commit.
func (v *visit) busy(why string) {
	v.w.Header().Set("Retry-After", "1")
	v.refuse(refusal{http.StatusServiceUnavailable, "busy", why, ""})
}

// answer sends what a provider wants to hear.
func (v *visit) answer(a *provider.Answer) {
	h := v.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	for k, vs := range a.Header {
		h[http.CanonicalHeaderKey(k)] = vs
	}
	if h.Get("Content-Type") == "" && len(a.Body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	v.w.WriteHeader(a.Status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(a.Body)
	}
}

// acknowledge is the gateway's own 200. A duplicate is answered exactly as the
// first was.
func (v *visit) acknowledge(done []store.Accepted) {
	b := make([]byte, 0, 16+40*len(done))
	b = append(b, `{"events":[`...)
	for i, d := range done {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), d.Event.String()...), '"') // an id has nothing to quote
	}
	b = append(b, "]}\n"...)
	h, values := v.w.Header(), []string{"application/json", strconv.Itoa(len(b))}
	h["Content-Type"], h["Content-Length"] = values[:1:1], values[1:]
	_, _ = v.w.Write(b)
}

func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strconv.Quote(s)
}

func size(n int64) string {
	if n >= 1<<20 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
