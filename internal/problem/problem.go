// Package problem is how errors look from outside (RFC 9457), on every listener
// that answers programs of ours.
package problem

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// Problem is an error as RFC 9457 has it, with a hint of our own.
type Problem struct {
	Type   string  `json:"type" doc:"What kind of problem: urn:seawall:problem:KIND." example:"urn:seawall:problem:not-found"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty" doc:"What happened."`
	Hint   string  `json:"hint,omitempty" doc:"What to do about it."`
	ID     string  `json:"id,omitempty" doc:"Of an internal error: what to look for in the log."`
	Call   string  `json:"call,omitempty" doc:"The call that this is about."`
	Errors []Fault `json:"errors,omitempty" doc:"What is wrong with the request, one by one."`
}

// Fault is one thing wrong with a request.
type Fault struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" example:"query.limit"`
}

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

// Kind returns the kind of error that an HTTP status of ours stands for.
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

// New fills in what a status alone tells.
func New(status int, detail string) *Problem {
	slug := strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-")
	for _, k := range kinds {
		if k.status == status {
			slug = k.slug
		}
	}
	return &Problem{Type: "urn:seawall:problem:" + slug, Title: http.StatusText(status), Status: status, Detail: detail}
}

// Writer makes problems of errors.
type Writer struct {
	Log    *slog.Logger
	Random io.Reader // for the ids of internal errors
}

// Of is what the outside sees of an error. Those that are nobody's business but
// ours are logged under an id, and only the id is shown.
func (w Writer) Of(ctx context.Context, err error) *Problem {
	var own *Problem
	if errors.As(err, &own) {
		return own
	}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			p := New(k.status, err.Error())
			p.Hint = seawall.Hint(err)
			return p
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return New(http.StatusServiceUnavailable, "it took too long")
	}
	id := make([]byte, 6)
	if _, rerr := io.ReadFull(w.Random, id); rerr != nil {
		w.Log.Error("no randomness", "error", rerr)
	}
	p := New(http.StatusInternalServerError, errInternal.Error())
	p.ID = "err_" + hex.EncodeToString(id)
	w.Log.ErrorContext(ctx, "request failed", "id", p.ID, "error", err)
	return p
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

// Write answers with the problem. What is in the header already stays.
func (p *Problem) Write(w http.ResponseWriter) {
	for name, v := range p.GetHeaders() {
		if w.Header()[name] == nil {
			w.Header()[name] = v
		}
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
