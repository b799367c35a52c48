package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Errors to be matched with [errors.Is]; an [*Error] says more.
var (
	// ErrInFlight: the same call is being made at this moment; [Client.Get] tells
	// how it gets on.
	ErrInFlight = errors.New("the call is in flight")
	// ErrKeyReused: another request was posted under this key.
	ErrKeyReused = errors.New("the key was used for another request")
	// ErrInvalid: the request cannot be taken as it is.
	ErrInvalid = errors.New("invalid request")
	// ErrDenied: the token is unknown, has expired, or has not the scope.
	ErrDenied = errors.New("not allowed")
	// ErrNotFound: there is no such system, source or call.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable: the gateway cannot take anything at this moment.
	ErrUnavailable = errors.New("unavailable")
)

// Error is what the gateway answered instead of doing what it was asked for
// (RFC 9457).
type Error struct {
	Status     int           // of HTTP
	Detail     string        // what happened
	Hint       string        // what to do about it; may be ""
	Call       string        // the call that it is about; may be ""
	RetryAfter time.Duration // 0: not said
	key        bool          // it is about a key that was used before
}

func (e *Error) Error() string {
	text := fmt.Sprintf("seawall: %d %s", e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Is matches the errors of this package.
func (e *Error) Is(target error) bool {
	switch e.Status {
	case http.StatusConflict:
		return target == ErrInFlight
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return target == ErrInvalid || target == ErrKeyReused && e.key
	case http.StatusUnauthorized, http.StatusForbidden:
		return target == ErrDenied
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return target == ErrUnavailable
	}
	return false
}

// passing tells whether the same request may be answered otherwise soon.
func (e *Error) passing() bool { return e.Call == "" && e.Is(ErrUnavailable) }

func problem(resp *http.Response, body []byte) *Error {
	e := &Error{Status: resp.StatusCode}
	var p struct {
		Type   string
		Title  string
		Detail string
		Hint   string
		Call   string
		Errors []struct{ Message, Location string }
	}
	if json.Unmarshal(body, &p) == nil {
		if e.Detail, e.Hint, e.Call = p.Detail, p.Hint, p.Call; e.Detail == "" {
			e.Detail = p.Title
		}
		for _, one := range p.Errors {
			e.Detail += fmt.Sprintf("; %s: %s", one.Location, one.Message)
		}
		e.key = p.Type == keyReused
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	return e
}

// keyReused is the problem's type.
const keyReused = "urn:seawall:problem:key-reused"
