package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// request is what a destination was sent.
type request struct {
	method string
	path   string
	header http.Header
	body   []byte
}

// destination takes deliveries, hands them to the test, and answers as told.
type destination struct {
	*httptest.Server
	t    *testing.T
	sent chan request
}

// newDestination answers each request by answer, nil for 204.
func newDestination(t *testing.T, answer http.HandlerFunc) *destination {
	t.Helper()
	d := &destination{t: t, sent: make(chan request, 1000)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut off: not a request
		}
		d.sent <- request{r.Method, r.URL.Path, r.Header, body}
		if answer != nil {
			answer(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(d.Close)
	return d
}

// next waits for a request.
func (d *destination) next() request {
	d.t.Helper()
	select {
	case r := <-d.sent:
		return r
	case <-time.After(patience):
		d.t.Fatal("nothing was delivered")
		panic("unreachable")
	}
}

// none expects that nothing more was sent than what next returned.
func (d *destination) none() {
	d.t.Helper()
	select {
	case r := <-d.sent:
		d.t.Errorf("also delivered: %s %s %s", r.method, r.path, r.body)
	default:
	}
}
