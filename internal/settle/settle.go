// Package settle judges what came of an attempt and says what happens next. It
// is pure: the clock and the dice are the caller's. docs/retries.md tells the
// same to people.
package settle

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// Verdict is what an attempt came to and what follows from it.
type Verdict struct {
	Outcome seawall.Outcome
	Error   string // what went wrong, in plain words; "" if OK
	State   seawall.State
	Reason  string    // why the delivery is in that state; "" if delivered
	Due     time.Time // for Pending
	Next    string    // what was decided, for people: "retry 3 of 10 in 1m20s: HTTP 503"
	Disable string    // not "": the destination is to be disabled, for this reason
}

// Judge says what follows from an attempt at d, as d was before it. random
// returns numbers from 0 up to 1.
//
// A request that could not be made at all, because an expression failed, is
// judged as a Reply with that Err and nothing sent.
func Judge(p config.Retry, d *seawall.Delivery, r send.Reply, now time.Time, random func() float64) Verdict {
	v := Verdict{Outcome: outcome(r)}
	if v.Outcome == seawall.OK {
		v.State, v.Next = seawall.Delivered, "delivered"
		return v
	}
	why := because(r)
	v.Error = why
	switch {
	case r.Response == nil && r.Canceled:
		// It says nothing about the destination: whoever has the delivery next
		// tries at once.
		v.State, v.Due, v.Reason = seawall.Pending, now, why
		v.Next = "retry at once: " + why
		return v
	case r.Response != nil && r.Response.Status == http.StatusGone:
		v.State, v.Due = seawall.Pending, now
		v.Reason = "destination disabled: " + why
		v.Next = "waits until the destination is resumed: " + why
		v.Disable = why
		return v
	}
	asked := askedToWait(r, now)
	if over, after := gaveUp(p, d, now, asked > 0); over {
		v.State, v.Reason = seawall.Dead, fmt.Sprintf("gave up after %s: %s", after, why)
		v.Next = "dead: " + v.Reason
		return v
	}
	wait := Backoff(p, d.Round+1, random)
	v.Due = now.Add(wait)
	// The last try is moved to the end of the time, not left out.
	if end := d.Since.Add(p.For); p.For > 0 && now.Before(end) && v.Due.After(end) {
		v.Due = end
	}
	// A wait that the destination asked for is never cut short.
	if early := now.Add(asked); v.Due.Before(early) {
		v.Due = early
	}
	v.State, v.Reason = seawall.Pending, why
	v.Next = fmt.Sprintf("retry %d of %d in %s: %s", d.Round+1, p.Max, short(v.Due.Sub(now)), why)
	return v
}

// HoldUnknown is the verdict on an attempt that is not safe to repeat (G6): where
// nobody knows whether it took effect, a person looks before it is repeated.
func (v Verdict) HoldUnknown() Verdict {
	if v.Outcome != seawall.Unknown {
		return v
	}
	v.State, v.Reason, v.Due = seawall.Held, seawall.ReasonUnknown, time.Time{}
	v.Next = "held for a person, since it may have taken effect: " + v.Error
	return v
}

// gaveUp tells whether no try is left, and after what.
//
// The number of retries ends a delivery, or its time. Time alone does not: it
// also passes while a destination is paused, while the gateway is down and when
// a clock is set forward. So the tries that fit into the time, as it passes
// undisturbed, are all made. Only where the destination itself asks for longer
// waits does time count alone.
func gaveUp(p config.Retry, d *seawall.Delivery, now time.Time, asked bool) (over bool, after string) {
	if d.Round >= p.Max {
		return true, plural(p.Max, "retry", "retries")
	}
	if p.For <= 0 || now.Before(d.Since.Add(p.For)) {
		return false, ""
	}
	if asked || d.Round >= fits(p) {
		return true, fmt.Sprintf("%s and %s", short(p.For), plural(d.Round, "retry", "retries"))
	}
	return false, ""
}

// outcome maps a reply; every status is in the table of docs/retries.md.
func outcome(r send.Reply) seawall.Outcome {
	if r.Response == nil {
		if r.Sent {
			return seawall.Unknown
		}
		return seawall.Failed
	}
	switch s := r.Response.Status; {
	case s >= 200 && s <= 299:
		return seawall.OK
	case s == http.StatusBadGateway, s == http.StatusGatewayTimeout:
		// Someone in between answers for a destination that did not: it may
		// have done the work.
		return seawall.Unknown
	default:
		return seawall.Refused
	}
}

// because says what was wrong, in the words of a reason.
func because(r send.Reply) string {
	if r.Response == nil {
		return r.Err.Error()
	}
	s := r.Response.Status
	text := fmt.Sprintf("HTTP %d", s)
	if name := http.StatusText(s); name != "" {
		text += " " + name
	}
	if s >= 300 && s <= 399 {
		text += ": redirects are not followed"
		if to := r.Response.Headers.Get("Location"); to != "" {
			text += "; it points to " + clip(to)
		}
	}
	return text
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// short is a duration to be read by people: "12s", "5m20s", "22h45m".
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		d = d.Round(time.Second)
		if d%time.Minute == 0 && d > 0 {
			return fmt.Sprintf("%dm", d/time.Minute)
		}
		return d.String()
	default:
		d = d.Round(time.Minute)
		if d%time.Hour == 0 {
			return fmt.Sprintf("%dh", d/time.Hour)
		}
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
