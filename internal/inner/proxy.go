package inner

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/seawall"
)

// usualWait is how long a client of the proxy is kept waiting unless it says
// otherwise: less than the patience that clients usually have.
const usualWait = 25 * time.Second

// proxy stands in for a system: what only looks passes through, all else is a
// call whose answer is given as the system gave it.
func (h *Handler) proxy(w http.ResponseWriter, r *http.Request, name, target string) {
	s := h.Current().System(name)
	if s == nil {
		// Strangers are not told which systems there are.
		if _, err := h.admit(r, bearer(r.Header), ""); err != nil {
			h.refuse(w, r, err)
			return
		}
		h.refuse(w, r, call.NoSystem(name))
		return
	}
	path, query, asks := strings.Cut(target, "?")
	token, one := carried(r.Header, query, s)
	if !one {
		h.refuse(w, r, badRequest(seawall.Errorf(seawall.ErrInvalid, "the request brings more than one token").
			WithHint("send one, where the client would send the system's own key")))
		return
	}
	t, err := h.admit(r, token, access.Calls(name))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	wait, err := patience(r.Header.Get("Seawall-Wait"))
	if err != nil {
		h.refuse(w, r, badRequest(err))
		return
	}
	headers, query := strip(r.Header, query, s)
	if asks && query != "" {
		path += "?" + query
	}
	body, release, err := h.body(w, r, h.Current().Config.Limits.Body)
	defer release()
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	req := call.Request{Method: r.Method, Path: path, Headers: headers, Body: body}
	if call.Safe(r.Method) {
		h.read(w, r, s, &req, wait)
		return
	}
	key, err := keyOf(r.Header, s)
	if err != nil {
		h.refuse(w, r, badRequest(err))
		return
	}
	// The answer is kept and given again: as it is, not as one client packs it.
	headers.Del("Accept-Encoding")
	done, err := h.Calls.Post(r.Context(), call.Post{
		Request: req, System: name, By: t.Name, Key: key, Remote: r.RemoteAddr, Proof: "token " + t.Name,
	})
	req, body = call.Request{}, nil
	release() // it need not be held while we wait
	if err != nil {
		h.refuse(w, r, worded(err))
		return
	}
	h.relay(w, r, done, wait)
}

// keyOf is the idempotency key under the name that the system gives it, or under
// the usual one.
func keyOf(h http.Header, s *config.System) (string, error) {
	values := h.Values("Idempotency-Key")
	if own := s.Idempotency.Header; own != "" && len(h.Values(own)) > 0 {
		values = h.Values(own)
	}
	return call.ParseKey(values)
}

// relay answers with what the system answered to a call.
func (h *Handler) relay(w http.ResponseWriter, r *http.Request, done *call.Posted, wait time.Duration) {
	c := done.Call
	again := done.Again && c.Settled()
	c, err := h.wait(w, r, c, wait)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set(callHeader, c.ID())
	switch {
	case c.Answer != nil:
		if again {
			w.Header().Set(replayed, "true")
		}
		raw(w, r, c.Answer)
	case c.Delivery.State == seawall.Canceled:
		final(w, http.StatusGone, c, "the call was canceled "+c.Delivery.Reason, "")
	case c.Delivery.State.Final():
		final(w, http.StatusBadGateway, c, "the call was given up: "+c.Delivery.Reason, "")
	case c.Delivery.State == seawall.Held:
		final(w, http.StatusGatewayTimeout, c, "nobody knows whether the call took effect: it is held for a person",
			"do not make it again under another key: seawall calls show "+c.ID())
	case done.Assigned:
		// A second try would be a second call.
		final(w, http.StatusGatewayTimeout, c, "the call is on its way, and is going to be made",
			"do not make it again; send an Idempotency-Key, and a second try joins the first")
	default:
		p := problem.New(http.StatusServiceUnavailable, "the call is on its way, and is going to be made")
		p.Call, p.Hint = c.ID(), "try again under the same key: that joins this call"
		retry(w, true)
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		p.Write(w)
	}
}

// retryAfter is when a client should come back to a call that is on its way, in
// seconds: it will wait again.
const retryAfter = 1

// final answers where trying again changes nothing.
func final(w http.ResponseWriter, status int, c *call.Call, why, hint string) {
	p := problem.New(status, why)
	p.Call, p.Hint = c.ID(), hint
	retry(w, false)
	p.Write(w)
}

// retry tells clients that look for it whether to try again: Stripe's and those
// that Stainless generates do.
func retry(w http.ResponseWriter, yes bool) {
	for _, name := range []string{"Stripe-Should-Retry", "X-Should-Retry"} {
		w.Header().Set(name, strconv.FormatBool(yes))
	}
}

// ofConnection are the headers of a response that are not part of it (RFC 9110,
// section 7.6.1), and its length, which net/http counts.
var ofConnection = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length"}

// copyHeaders gives a response's headers on.
func copyHeaders(to, from http.Header) {
	for name, values := range from {
		if !slices.Contains(ofConnection, name) {
			to[name] = values
		}
	}
}

// raw answers as the system did.
func raw(w http.ResponseWriter, r *http.Request, a *seawall.Answer) {
	w.Header().Del("Cache-Control")
	w.Header().Del("X-Content-Type-Options")
	again := w.Header()[replayed]
	copyHeaders(w.Header(), a.Headers)
	if again != nil {
		w.Header()[replayed] = again
	}
	if _, ok := a.Headers["Content-Type"]; !ok {
		w.Header()["Content-Type"] = nil // none is guessed
	}
	if bodyless(a.Status) || r.Method == http.MethodHead {
		w.WriteHeader(a.Status)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

func bodyless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}
