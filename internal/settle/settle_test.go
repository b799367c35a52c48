package settle

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

var (
	start    = time.Date(2028, 2, 28, 23, 0, 0, 0, time.UTC) // the next day is the 29th
	defaults = config.Retry{For: 75 * time.Hour, Max: 10, First: 5 * time.Second, Cap: 24 * time.Hour}
)

func even() float64 { return 0.5 } // no jitter

func fresh() *seawall.Delivery { return &seawall.Delivery{Since: start, Due: start} }

func answer(status int, header ...string) send.Reply {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return send.Reply{Sent: true, Response: &seawall.Response{Status: status, Headers: h}}
}

// Every status has one meaning: the table of docs/retries.md.
func TestEveryStatus(t *testing.T) {
	for status := 100; status <= 999; status++ {
		v := Judge(Policy{Retry: defaults}, fresh(), nil, answer(status), start, even)
		outcome, state, disable := seawall.Refused, seawall.Pending, false
		due := start.Add(5 * time.Second)
		switch {
		case status >= 200 && status <= 299:
			outcome, state, due = seawall.OK, seawall.Delivered, time.Time{}
		case status == 410:
			disable, due = true, start
		case status == 502, status == 504:
			outcome = seawall.Unknown
		}
		if v.Outcome != outcome || v.State != state || (v.Disable != "") != disable || !v.Due.Equal(due) {
			t.Errorf("HTTP %d: %+v", status, v)
		}
		if (v.Error == "") != (outcome == seawall.OK) || (v.Reason == "") != (outcome == seawall.OK) || v.Next == "" {
			t.Errorf("HTTP %d is not explained: %+v", status, v)
		}
		if outcome != seawall.OK && !strings.Contains(v.Error, fmt.Sprint("HTTP ", status)) {
			t.Errorf("HTTP %d: error %q", status, v.Error)
		}
	}
}

func TestWords(t *testing.T) {
	late := fresh()
	late.Round = 10
	long := fresh()
	long.Round = 4
	for _, c := range []struct {
		d            *seawall.Delivery
		r            send.Reply
		now          time.Time
		reason, next string
	}{
		{fresh(), answer(200), start, "", "delivered"},
		{fresh(), answer(503), start, "HTTP 503 Service Unavailable", "retry 1 of 10 in 5s: HTTP 503 Service Unavailable"},
		{long, answer(500), start, "HTTP 500 Internal Server Error", "retry 5 of 10 in 21m20s: HTTP 500 Internal Server Error"},
		{fresh(), answer(429, "Retry-After", "7200"), start, "HTTP 429 Too Many Requests", "retry 1 of 10 in 2h: HTTP 429 Too Many Requests"},
		{fresh(), answer(599), start, "HTTP 599", "retry 1 of 10 in 5s: HTTP 599"},
		{
			fresh(), answer(301, "Location", "https://www.example.com/"), start,
			"HTTP 301 Moved Permanently: redirects are not followed; it points to https://www.example.com/",
			"retry 1 of 10 in 5s: HTTP 301 Moved Permanently: redirects are not followed; it points to https://www.example.com/",
		},
		{fresh(), answer(410), start, "destination disabled: HTTP 410 Gone", "waits until the destination is resumed: HTTP 410 Gone"},
		{fresh(), send.Reply{Err: errors.New("connect: refused by 10.0.0.1:80")}, start, "connect: refused by 10.0.0.1:80", "retry 1 of 10 in 5s: connect: refused by 10.0.0.1:80"},
		{late, answer(500), start.Add(time.Hour), "gave up after 10 retries: HTTP 500 Internal Server Error", "dead: gave up after 10 retries: HTTP 500 Internal Server Error"},
		{
			long, answer(503, "Retry-After", "60"), start.Add(80 * time.Hour),
			"gave up after 75h and 4 retries: HTTP 503 Service Unavailable", "dead: gave up after 75h and 4 retries: HTTP 503 Service Unavailable",
		},
	} {
		v := Judge(Policy{Retry: defaults}, c.d, nil, c.r, c.now, even)
		if v.Reason != c.reason || v.Next != c.next {
			t.Errorf("%+v:\n got %q, %q\nwant %q, %q", c.r, v.Reason, v.Next, c.reason, c.next)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	for _, c := range []struct {
		r    send.Reply
		want seawall.Outcome
		due  time.Duration
	}{
		{send.Reply{Err: errors.New("dns: no such host x")}, seawall.Failed, 5 * time.Second},
		{send.Reply{Err: errors.New("shape: .a: cannot index number")}, seawall.Failed, 5 * time.Second},
		{send.Reply{Err: errors.New("connection reset"), Sent: true}, seawall.Unknown, 5 * time.Second},
		{send.Reply{Err: errors.New("cut off"), Sent: true, Canceled: true}, seawall.Unknown, 0},
		{send.Reply{Err: errors.New("cut off"), Canceled: true}, seawall.Failed, 0},
	} {
		v := Judge(Policy{Retry: defaults}, fresh(), nil, c.r, start, even)
		if v.Outcome != c.want || v.State != seawall.Pending || !v.Due.Equal(start.Add(c.due)) || v.Error != c.r.Err.Error() || v.Disable != "" {
			t.Errorf("%+v: %+v", c.r, v)
		}
	}
}

// The gateway's own stop never uses up a delivery.
func TestCutOffNeverKills(t *testing.T) {
	d := fresh()
	d.Round = 50
	v := Judge(Policy{Retry: defaults}, d, nil, send.Reply{Canceled: true, Err: errors.New("cut off")}, start.Add(1000*time.Hour), even)
	if v.State != seawall.Pending {
		t.Errorf("%+v", v)
	}
}

// A body that breaks off, or a stop while it is read, does not change what the
// status said.
func TestStatusCounts(t *testing.T) {
	r := answer(200)
	r.Err, r.Canceled, r.Response.Truncated = errors.New("response body cut off"), true, true
	if v := Judge(Policy{Retry: defaults}, fresh(), nil, r, start, even); v.State != seawall.Delivered || v.Error != "" {
		t.Errorf("%+v", v)
	}
}

// run plays a delivery against a destination that never says yes, and returns
// the times of its tries and its end.
func run(t *testing.T, p config.Retry, reply func(now time.Time) send.Reply, clock func(n int, due time.Time) time.Time, random func() float64) (tries []time.Time, end Verdict) {
	t.Helper()
	d := fresh()
	now := start
	for n := 1; ; n++ {
		if n > 1000 {
			t.Fatal("no end after 1,000 tries")
		}
		tries = append(tries, now)
		v := Judge(Policy{Retry: p}, d, nil, reply(now), now, random)
		if v.State != seawall.Pending {
			return tries, v
		}
		if v.Due.Before(now) {
			t.Fatalf("try %d: due %s before now", n, now.Sub(v.Due))
		}
		d.Round++
		d.Attempts++
		d.Due = v.Due
		now = clock(n, v.Due)
	}
}

func undisturbed(_ int, due time.Time) time.Time { return due }

func unavailable(time.Time) send.Reply { return answer(503) }

func TestDaysOfRetries(t *testing.T) {
	for _, random := range []func() float64{even, func() float64 { return 0 }, func() float64 { return 0.999999 }} {
		tries, end := run(t, defaults, unavailable, undisturbed, random)
		last := tries[len(tries)-1].Sub(start)
		if len(tries) != 11 || end.State != seawall.Dead || last > 75*time.Hour || last < 60*time.Hour {
			t.Errorf("%d tries, the last after %s, %s", len(tries), last, end.Next)
		}
	}
	// The nominal schedule, in seconds; the last is moved to the end of 75 h.
	tries, _ := run(t, defaults, unavailable, undisturbed, even)
	var at []int
	for _, x := range tries {
		at = append(at, int(x.Sub(start)/time.Second))
	}
	want := []int{0, 5, 25, 105, 425, 1705, 6825, 27305, 109225, 195625, 270000}
	if fmt.Sprint(at) != fmt.Sprint(want) {
		t.Errorf("tries after %v s, want %v", at, want)
	}
}

func TestTimeEndsAndTheLastTryIsMade(t *testing.T) {
	p := config.Retry{For: 10 * time.Minute, Max: 10, First: 5 * time.Second, Cap: 24 * time.Hour}
	tries, end := run(t, p, unavailable, undisturbed, even)
	if last := tries[len(tries)-1]; !last.Equal(start.Add(p.For)) || len(tries) != 6 || end.State != seawall.Dead {
		t.Errorf("%d tries, the last after %s, %s", len(tries), last.Sub(start), end.Next)
	}
	if want := "gave up after 10m and 5 retries: HTTP 503 Service Unavailable"; end.Reason != want {
		t.Errorf("reason %q, want %q", end.Reason, want)
	}
}

func TestNoRetries(t *testing.T) {
	p := defaults
	p.Max = 0
	tries, end := run(t, p, unavailable, undisturbed, even)
	if len(tries) != 1 || end.Reason != "gave up after 0 retries: HTTP 503 Service Unavailable" {
		t.Errorf("%d tries, %q", len(tries), end.Reason)
	}
}

// A clock that jumps by an hour, once, at any try, leaves no retry out; nor does
// a queue that stood still for days.
func TestG2_JumpsKillNothingEarly(t *testing.T) {
	for _, p := range []config.Retry{
		defaults,
		{For: 10 * time.Minute, Max: 10, First: 5 * time.Second, Cap: 24 * time.Hour},
		{For: 3 * time.Hour, Max: 100, First: time.Second, Cap: 5 * time.Minute},
	} {
		plain, _ := run(t, p, unavailable, undisturbed, func() float64 { return 0.999999 })
		for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 100 * time.Hour} {
			for at := 1; at < len(plain); at++ {
				clock := func(n int, due time.Time) time.Time {
					if n == at {
						return due.Add(jump)
					}
					return due
				}
				tries, end := run(t, p, unavailable, clock, func() float64 { return 0.999999 })
				if len(tries) < len(plain) || end.State != seawall.Dead {
					t.Errorf("for %s, %s at try %d: %d tries instead of %d", p.For, jump, at, len(tries), len(plain))
				}
			}
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, c := range []struct {
		status int
		value  string
		wait   time.Duration
	}{
		{429, "60", time.Minute},
		{503, start.Add(time.Hour).Format(http.TimeFormat), time.Hour},
		{403, "60", time.Minute},
		{302, "60", time.Minute},
		{500, "1", 5 * time.Second}, // shorter than ours: a flood of these must not use up the retries
		{503, "0", 5 * time.Second},
		{503, "soon", 5 * time.Second},
		{503, start.Add(-time.Hour).Format(http.TimeFormat), 5 * time.Second},
		{503, "31536000", 24 * time.Hour},
	} {
		v := Judge(Policy{Retry: defaults}, fresh(), nil, answer(c.status, "Retry-After", c.value), start, even)
		if got := v.Due.Sub(start); got != c.wait || v.State != seawall.Pending {
			t.Errorf("%d with %q: waits %s, want %s", c.status, c.value, got, c.wait)
		}
	}
}

// A wait that was asked for may lead past the end of the time, once.
func TestAskedWaitsEndByTime(t *testing.T) {
	asks := func(time.Time) send.Reply { return answer(429, "Retry-After", "86400") }
	tries, end := run(t, defaults, asks, undisturbed, even)
	if last := tries[len(tries)-1].Sub(start); last != 96*time.Hour || len(tries) != 5 || end.State != seawall.Dead {
		t.Errorf("%d tries, the last after %s: %s", len(tries), last, end.Next)
	}
}

// What is not safe to repeat is held where the outcome is not known, whatever
// the reason, and nowhere else.
func TestG6_OnlyAnUnknownOutcomeIsHeld(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply send.Reply
		held  bool
	}{
		{"ok", answer(200), false},
		{"refused", answer(422), false},
		{"an error of the server", answer(500), true},
		{"gone", answer(410), false},
		{"bad gateway", answer(502), true},
		{"gateway timeout", answer(504), true},
		{"never reached", send.Reply{Err: errors.New("connection refused")}, false},
		{"no answer", send.Reply{Sent: true, Err: errors.New("reset")}, true},
		{"cut off before it was sent", send.Reply{Canceled: true, Err: errors.New("stopped")}, false},
		{"cut off", send.Reply{Sent: true, Canceled: true, Err: errors.New("stopped")}, true},
	} {
		v := Judge(Policy{Retry: defaults}, fresh(), nil, c.reply, start, even)
		u := Judge(Policy{Retry: defaults, Unsafe: true}, fresh(), nil, c.reply, start, even)
		if !c.held && u != v {
			t.Errorf("%s: %+v, would be %+v", c.name, u, v)
		}
		if c.held && (u.State != seawall.Held || u.Reason != seawall.ReasonUnknown || !u.Due.IsZero() || !strings.Contains(u.Next, u.Error)) {
			t.Errorf("%s: %+v", c.name, u)
		}
	}
	last := fresh()
	last.Round = defaults.Max
	if u := Judge(Policy{Retry: defaults, Unsafe: true}, last, nil, answer(502), start, even); u.State != seawall.Held {
		t.Errorf("after the last retry: %+v", u)
	}
}
