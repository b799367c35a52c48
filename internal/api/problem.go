package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

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

// retryAfter goes with every answer that asks to come again, in seconds.
const retryAfter = 1

// newProblem fills in what a status alone tells.
func newProblem(status int, detail string) *Problem {
	slug := strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-")
	for _, k := range kinds {
		if k.status == status {
			slug = k.slug
		}
	}
	return &Problem{Type: "urn:seawall:problem:" + slug, Title: http.StatusText(status), Status: status, Detail: detail}
}

// problem is what the outside sees of an error. Those that are nobody's
// business but ours are logged under an id, and only the id is shown.
func (s *server) problem(ctx context.Context, err error) *Problem {
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			p := newProblem(k.status, err.Error())
			p.Hint = seawall.Hint(err)
			return p
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return newProblem(http.StatusServiceUnavailable, "it took too long")
	}
	id := make([]byte, 6)
	if _, rerr := io.ReadFull(s.Random, id); rerr != nil {
		s.Log.Error("no randomness", "error", rerr)
	}
	p := newProblem(http.StatusInternalServerError, errInternal.Error())
	p.ID = "err_" + hex.EncodeToString(id)
	s.Log.ErrorContext(ctx, "api request failed", "id", p.ID, "error", err)
	return p
}

// about says what an error is about, unless it does so itself: "no event evt_…"
// need not be told that it is about that event.
func about(what string, id any, err error) error {
	if errors.Is(err, seawall.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%s %v: %w", what, id, err)
}

// Error, GetStatus, GetHeaders and ContentType are what huma asks of an error.
func (p *Problem) Error() string { return p.Detail }

func (p *Problem) GetStatus() int { return p.Status }

func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="seawall"`) // RFC 6750, section 3
	}
	return h
}

func (p *Problem) ContentType(string) string { return "application/problem+json" }

// write answers with the problem, where huma is not in charge.
func (p *Problem) write(w http.ResponseWriter) {
	for name, v := range p.GetHeaders() {
		w.Header()[name] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func init() {
	// huma takes both as package variables.
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		p := newProblem(status, detail)
		for _, err := range errs {
			var e huma.ErrorDetailer
			switch {
			case err == nil:
			case errors.As(err, &e): // without the value: it may be a secret in the wrong place
				d := e.ErrorDetail()
				p.Errors = append(p.Errors, ProblemError{Message: d.Message, Location: d.Location})
			default:
				p.Errors = append(p.Errors, ProblemError{Message: err.Error()})
			}
		}
		return p
	}
}

// notFound answers what no operation takes: 405 if another method would do.
func notFound(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = m
			if _, pattern := mux.Handler(other); pattern != "/api/v1/" {
				allow = append(allow, m)
			}
		}
		if len(allow) > 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			newProblem(http.StatusMethodNotAllowed, "this takes "+strings.Join(allow, " and ")).write(w)
			return
		}
		p := newProblem(http.StatusNotFound, "there is nothing at this address")
		p.Hint = "/api/v1/openapi.json lists what there is"
		p.write(w)
	}
}

// recovered turns a panic into a problem, and keeps serving.
func (s *server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.problem(r.Context(), fmt.Errorf("panic: %v\n%s", p, debug.Stack())).write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
