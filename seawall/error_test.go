package seawall

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorMatchesKindAndCause(t *testing.T) {
	err := fmt.Errorf("doing: %w", Errorf(ErrUnavailable, "read: %w", io.ErrUnexpectedEOF).WithHint("try %s", "again"))
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrInvalid) {
		t.Errorf("%v matches the wrong kinds", err)
	}
	if got := err.Error(); got != "doing: read: unexpected EOF" {
		t.Errorf("message %q", got)
	}
	if got := Hint(err); got != "try again" {
		t.Errorf("hint %q", got)
	}
}

func TestHintComesFromTheTop(t *testing.T) {
	inner := Errorf(ErrInvalid, "inner").WithHint("inner hint")
	if got := Hint(Errorf(ErrConflict, "outer: %w", inner)); got != "inner hint" {
		t.Errorf("hint %q", got)
	}
	if got := Hint(Errorf(ErrConflict, "outer: %w", inner).WithHint("outer hint")); got != "outer hint" {
		t.Errorf("hint %q", got)
	}
	if got := Hint(io.EOF); got != "" {
		t.Errorf("hint %q of an error without one", got)
	}
}

func TestNamesRoundTrip(t *testing.T) {
	for s := Pending; s <= Canceled; s++ {
		back, err := ParseState(s.String())
		if err != nil || back != s {
			t.Errorf("%v came back as %v: %v", s, back, err)
		}
	}
	if _, err := ParseState("gone"); !errors.Is(err, ErrInvalid) || Hint(err) == "" {
		t.Errorf("an unknown state: %v, hint %q", err, Hint(err))
	}
	if Sending.Final() || !Delivered.Final() || !Dead.Final() || !Canceled.Final() || !Superseded.Final() {
		t.Error("the wrong states are final")
	}
}
