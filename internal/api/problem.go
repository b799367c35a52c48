package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/seawall"
)

// Problem is what every error of the API looks like.
type Problem = problem.Problem

func (s *server) problem(ctx context.Context, err error) *Problem {
	return problem.Writer{Log: s.Log, Random: s.Random}.Of(ctx, err)
}

// about says what an error is about, unless it does so itself: "no event evt_…"
// need not be told that it is about that event.
func about(what string, id any, err error) error {
	if errors.Is(err, seawall.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%s %v: %w", what, id, err)
}

func init() {
	// huma takes both as package variables.
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		p := problem.New(status, detail)
		for _, err := range errs {
			var e huma.ErrorDetailer
			switch {
			case err == nil:
			case errors.As(err, &e): // without the value: it may be a secret in the wrong place
				d := e.ErrorDetail()
				p.Errors = append(p.Errors, problem.Fault{Message: d.Message, Location: d.Location})
			default:
				p.Errors = append(p.Errors, problem.Fault{Message: err.Error()})
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
			problem.New(http.StatusMethodNotAllowed, "this takes "+strings.Join(allow, " and ")).Write(w)
			return
		}
		p := problem.New(http.StatusNotFound, "there is nothing at this address")
		p.Hint = "/api/v1/openapi.json lists what there is"
		p.Write(w)
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
				s.problem(r.Context(), fmt.Errorf("panic: %v\n%s", p, debug.Stack())).Write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
