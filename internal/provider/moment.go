package provider

import (
	"strconv"
	"strings"
	"time"
)

// moment reads a time in any form that providers send: RFC 3339 and its ISO
// 8601 kin (without a zone it is UTC), that of RFC 2822, or Unix time in seconds, with or without
// a fraction, in milliseconds, microseconds or nanoseconds, told apart by their
// size. It is zero if s is none of these.
func moment(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	if whole, fraction, _ := strings.Cut(s, "."); digits(whole) && (fraction == "" || digits(fraction)) {
		return unix(whole, fraction)
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", time.RFC1123Z, time.RFC1123} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// unix reads Unix time. Ten or eleven digits are seconds until the year 5138.
func unix(whole, fraction string) time.Time {
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}
	}
	switch {
	case len(whole) <= 11:
		ns, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		return time.Unix(n, ns).UTC()
	case len(whole) <= 14:
		return time.UnixMilli(n).UTC()
	case len(whole) <= 17:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
