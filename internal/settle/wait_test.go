package settle

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		v    string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true},
		{"120", 2 * time.Minute, true},
		{" 120\t", 2 * time.Minute, true},
		{"0120", 2 * time.Minute, true},
		{"86400", 24 * time.Hour, true},
		{"86401", 24 * time.Hour, true},
		{"99999999999999999999999999", 24 * time.Hour, true},
		{"Tue, 29 Feb 2028 00:00:00 GMT", time.Hour, true},
		{"Tuesday, 29-Feb-28 00:00:00 GMT", time.Hour, true}, // RFC 850
		{"Tue Feb 29 00:00:00 2028", time.Hour, true},        // asctime
		{"Mon, 28 Feb 2028 22:00:00 GMT", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour, true},
		{"-5", 0, false},
		{"+5", 0, false},
		{"1.5", 0, false},
		{"5s", 0, false},
		{"5, 6", 0, false},
		{"٣", 0, false}, // a digit, but not one of ASCII
		{"tomorrow", 0, false},
	} {
		got, err := RetryAfter(c.v, start)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %s, %v", c.v, got, err)
		}
	}
	for _, v := range []string{"", " ", "\t"} {
		if _, err := RetryAfter(v, start); !errors.Is(err, ErrNoRetryAfter) {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"", "0", "120", "99999999999999999999", "Tue, 29 Feb 2028 00:00:00 GMT", "-1", "1e3", "\x00"} {
		f.Add(v, start.Unix())
	}
	f.Fuzz(func(t *testing.T, v string, unix int64) {
		now := time.Unix(unix%(1<<40), 0)
		d, err := RetryAfter(v, now)
		if d < 0 || d > 24*time.Hour || err != nil && d != 0 {
			t.Errorf("%q: %s, %v", v, d, err)
		}
		verdict := Judge(Policy{Retry: defaults}, fresh(), nil, answer(http.StatusServiceUnavailable, "Retry-After", v), start, even)
		if wait := verdict.Due.Sub(start); wait < 5*time.Second || wait > 24*time.Hour {
			t.Errorf("%q: due in %s", v, wait)
		}
	})
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 20 * time.Second, 5: 1280 * time.Second, 8: 81920 * time.Second,
		9: 24 * time.Hour, 10: 24 * time.Hour, 1000: 24 * time.Hour,
	} {
		least := Backoff(defaults, n, func() float64 { return 0 })
		most := Backoff(defaults, n, func() float64 { return 1 })
		if Backoff(defaults, n, even) != want || least != want*4/5 || most != want*6/5 {
			t.Errorf("retry %d: %s (%s to %s), want %s", n, Backoff(defaults, n, even), least, most, want)
		}
	}
	odd := defaults
	odd.First, odd.Cap = time.Hour, time.Minute
	if got := Backoff(odd, 1, even); got != time.Minute {
		t.Errorf("a first delay beyond the cap: %s", got)
	}
}
