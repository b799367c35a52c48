package inner

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/problem"
)

// bodyShare is the part of the memory limit that bodies being received here may
// take.
const bodyShare = 8

// body reads a request's body of at most limit bytes. release must be called in
// any case, once it is not held any more; more than once does no harm.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, limit int64) (b []byte, release func(), err error) {
	size := r.ContentLength
	switch {
	case size == 0:
		waiting(w)
		return nil, func() {}, nil
	case size > limit:
		w.Header().Set("Connection", "close")
		return nil, func() {}, tooLarge()
	case size < 0:
		size = limit
	}
	var once sync.Once
	release = func() { once.Do(func() { h.bytes.Add(-size) }) }
	if h.bytes.Add(size) > h.Current().Config.Limits.Memory/bodyShare {
		return nil, release, problem.New(http.StatusServiceUnavailable, "too much is being received at once")
	}
	b, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, release, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, release, problem.New(http.StatusRequestTimeout, "the body did not arrive in time")
	case err != nil:
		return nil, release, problem.New(http.StatusBadRequest, "the body did not arrive whole")
	}
	waiting(w)
	return b, release, nil
}

// waiting lifts the bound on reading the request, once it is there: net/http
// would take its end for the client's going away.
func waiting(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

func tooLarge() error {
	p := problem.New(http.StatusRequestEntityTooLarge, "the body is too large")
	p.Hint = "limits: { body: … } in the configuration bounds it"
	return p
}
