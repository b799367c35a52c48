package verify

import (
	"net/http"
	"strings"
)

// Header returns the one value of a header that must be there. A header that
// came twice is an error, not a choice: whoever adds a second one (a proxy, a
// forger) must not decide which of the two is believed.
func Header(h http.Header, name string) (string, error) {
	values := h.Values(name)
	switch {
	case len(values) == 0:
		return "", Errorf(HeaderMissing, "the header %s is missing", name)
	case len(values) > 1:
		return "", Errorf(HeaderRepeated, "the header %s came %d times", name, len(values))
	}
	v := strings.TrimSpace(values[0])
	if v == "" {
		return "", Errorf(HeaderMissing, "the header %s is empty", name)
	}
	return v, nil
}
