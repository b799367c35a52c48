package seawall

import (
	"errors"
	"fmt"
)

// The kinds of error that a person or a program can act on. Test with
// errors.Is. One table maps them to HTTP problems (package api), one to exit
// codes (cmd/seawall); anything else is internal.
var (
	ErrInvalid      = errors.New("invalid")
	ErrNotFound     = errors.New("not found")
	ErrConflict     = errors.New("conflict")
	ErrUnauthorized = errors.New("unauthorized")
	ErrForbidden    = errors.New("forbidden")
	ErrUnavailable  = errors.New("unavailable")
)

// Error is an error of a kind, with a message for the person who meets it and,
// where there is one, a hint at what to do.
type Error struct {
	Kind error  // one of the kinds above
	Msg  string // what happened and where, lower case, without the kind
	Hint string // what to do; may be empty
	Err  error  // the cause; may be nil
}

func (e *Error) Error() string { return e.Msg }

// Unwrap makes errors.Is match the kind as well as the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Errorf makes an Error of the kind; a %w in the format keeps the cause.
func Errorf(kind error, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns a copy of the error that tells what to do about it.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Hint returns the hint nearest to the top of err's chain, or "".
func Hint(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		if err = e.Err; err == nil {
			break
		}
	}
	return ""
}
