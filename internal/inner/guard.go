package inner

import (
	"net/http"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/seawall"
)

// admit finds the token that a request brings; or says why it is turned away.
// scope "" is any.
func (h *Handler) admit(r *http.Request, secret, scope string) (*seawall.Token, error) {
	t, _, err := h.book.Find(r.Context(), secret, h.Now())
	switch {
	case err != nil:
		// Whoever asks is not known yet: he is not told where the store is.
		h.Log.WarnContext(r.Context(), "tokens not read", "error", err)
		return nil, seawall.Errorf(seawall.ErrUnavailable, "tokens cannot be read: the store does not answer")
	case secret == "" || t == nil:
		return nil, h.stranger(r, secret != "")
	case scope != "" && !access.Allows(t, scope):
		return nil, seawall.Errorf(seawall.ErrForbidden, "token %q has no scope for this", t.Name).
			WithHint("seawall token create --name NAME --scope %s makes one that has", scope)
	}
	return t, nil
}

// stranger turns away who has no valid token, and at some point without a word
// of advice or a line in the log.
func (h *Handler) stranger(r *http.Request, sent bool) error {
	if !h.strikes.Allow(r.RemoteAddr, h.Now()) {
		return problem.New(http.StatusTooManyRequests, "too many requests without a valid token")
	}
	if !sent {
		return seawall.Errorf(seawall.ErrUnauthorized, "a token is needed").
			WithHint("send it as: Authorization: Bearer swt_…; seawall token create --scope calls:SYSTEM makes one")
	}
	h.Log.WarnContext(r.Context(), "token refused", "remote", r.RemoteAddr)
	return seawall.Errorf(seawall.ErrUnauthorized, "the token is unknown or has expired")
}
