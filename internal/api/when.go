package api

import (
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// back reads a time in the past: RFC 3339, or a duration back from now ("90m",
// "1h", "2d"); zero for "".
func back(name, v string, now time.Time) (time.Time, error) {
	return when(name, v, now, -1)
}

// ahead reads a time to come, as back does; zero for "".
func ahead(v string, now time.Time) (time.Time, error) {
	return when("expires", v, now, 1)
}

func when(name, v string, now time.Time, sign time.Duration) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		return t, nil
	}
	if d, ok := duration(v); ok {
		return now.Add(sign * d), nil
	}
	return time.Time{}, seawall.Errorf(seawall.ErrInvalid, "%s: %q is neither a time nor a duration", name, v).
		WithHint("for example 2026-01-31T12:00:00Z, 90m, 1h or 2d")
}

// duration reads a Go duration, or whole days or weeks ("2d", "1w").
func duration(v string) (time.Duration, bool) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if digits, ok := strings.CutSuffix(v, unit); ok {
			n, err := strconv.Atoi(digits)
			return time.Duration(n) * length, err == nil && n >= 0 && n < 100_000
		}
	}
	d, err := time.ParseDuration(v)
	return d, err == nil && d >= 0
}

// interval reads a rate as the time between one and the next: "50/s", "10/m",
// "5/h"; 0 for "".
func interval(v string) (time.Duration, error) {
	if v == "" {
		return 0, nil
	}
	count, unit, _ := strings.Cut(v, "/")
	per, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 || n > 1_000_000 {
		return 0, seawall.Errorf(seawall.ErrInvalid, "rate: %q is not a rate", v).WithHint("for example 50/s, 10/m or 5/h")
	}
	return per / time.Duration(n), nil
}
