package api

import (
	"errors"
	"net/http"

	"github.com/seawall-dev/seawall/seawall"
)

// kinds maps the kinds of error to HTTP statuses and problem types: the one
// place that does. Anything else is internal.
var kinds = []struct {
	kind   error
	status int
	slug   string
}{
	{seawall.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{seawall.ErrNotFound, http.StatusNotFound, "not-found"},
	{seawall.ErrConflict, http.StatusConflict, "conflict"},
	{seawall.ErrUnauthorized, http.StatusUnauthorized, "unauthorized"},
	{seawall.ErrForbidden, http.StatusForbidden, "forbidden"},
	{seawall.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
}

var errInternal = errors.New("internal error")

// Kind returns the kind of error that an HTTP status of the API stands for.
func Kind(status int) error {
	for _, k := range kinds {
		if k.status == status {
			return k.kind
		}
	}
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return seawall.ErrUnavailable
	case status >= 400 && status < 500:
		return seawall.ErrInvalid
	}
	return errInternal
}
