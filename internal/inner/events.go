package inner

import (
	"net/http"
	"strings"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/seawall"
)

// event takes an event in. Whoever has a token for the source vouches for it;
// without a token the source verifies it, as on the public listener. A source
// that verifies nothing takes nothing without one.
func (h *Handler) event(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("source")
	secret := bearer(r.Header)
	if !strings.HasPrefix(secret, access.Prefix) {
		if s := h.source(name); s == "" || s == "none" {
			h.refuse(w, r, h.stranger(r, secret != ""))
			return
		}
		h.Events.ServeHTTP(w, r)
		return
	}
	t, err := h.admit(r, secret, access.Events(name))
	if err == nil && h.source(name) == "" {
		err = seawall.Errorf(seawall.ErrNotFound, "no source is named %q", name)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.Events.Vouched(w, r, "token "+t.Name)
}

// source is the kind of the source of that name; "" if there is none.
func (h *Handler) source(name string) string {
	for _, s := range h.Current().Config.Sources {
		if s.Name == name {
			return s.Kind
		}
	}
	return ""
}
