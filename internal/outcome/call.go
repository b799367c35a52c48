package outcome

import (
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// callOf reads from a call's event whose it is and under which key.
func callOf(ev *seawall.Event) *called {
	_, rest, _ := strings.Cut(ev.SourceID, "/")
	by, key, _ := strings.Cut(rest, "/")
	if plain, err := url.PathUnescape(by); err == nil {
		by = plain
	}
	path, _, _ := strings.Cut(ev.URL, "?")
	return &called{ID: ev.ID.Call(), By: by, Key: key, Method: ev.Method, Path: path}
}
