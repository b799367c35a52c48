package verify

import (
	"errors"
	"strconv"
	"time"
)

// Window is how far a signed time may be from ours. A negative Future is no
// bound: some providers' own libraries look at the past only.
type Window struct{ Past, Future time.Duration }

// Both is a window of the same length both ways.
func Both(d time.Duration) Window { return Window{d, d} }

// Units of a signed time.
const (
	Seconds = "s"       // Unix time
	Millis  = "ms"      // Unix time in milliseconds
	RFC3339 = "rfc3339" // or any ISO 8601 form of it
)

var errTime = errors.New("not a time")

// ParseTime reads a signed time in the unit; "" is seconds.
func ParseTime(s, unit string) (time.Time, error) {
	if unit == RFC3339 {
		return time.Parse(time.RFC3339Nano, s)
	}
	if len(s) == 0 || len(s) > 15 {
		return time.Time{}, errTime
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return time.Time{}, errTime
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if unit == Millis {
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}

// Fresh checks that the signed time lies within the window around now. Times in
// whole seconds are compared in whole seconds, as the providers' libraries do.
// The error is [TimestampOld] or [TimestampFuture].
//
// It is asked after the signature has been checked, so that these two reasons
// always mean: signed by the right secret, but not now.
func Fresh(signed, now time.Time, w Window) error {
	if signed.Nanosecond() == 0 {
		now = now.Truncate(time.Second)
	}
	age := now.Sub(signed)
	if age > w.Past {
		return Errorf(TimestampOld, "the signature fits, but it was made %s ago; %s are allowed", Span(age), Span(w.Past))
	}
	if w.Future >= 0 && -age > w.Future {
		return Errorf(TimestampFuture, "the signature fits, but it was made %s in the future; %s are allowed", Span(-age), Span(w.Future))
	}
	return nil
}

// Span writes a time span in seconds, the unit in which tolerances are given.
func Span(d time.Duration) string {
	return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
}
