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

// Policy is how a delivery is dealt with.
type Policy struct {
	Retry     config.Retry
	Unsafe    bool               // not repeatable without more ado (G6)
	OnUnknown []config.OnUnknown // if Unsafe; none: held
	Check     *config.Check
	Valid     time.Duration // how long the system remembers our key; 0: it takes none
	Call      bool          // what the system answers is for whoever made the call
	Keeps     bool          // it keeps a record, which takes attempts that did not fail
}

// Verdict is what an attempt came to and what follows from it.
type Verdict struct {
	Outcome seawall.Outcome
	Error   string // what went wrong, in plain words; "" if OK
	State   seawall.State
	Reason  string    // why the delivery is in that state; "" if delivered
	Due     time.Time // for Pending
	Step    seawall.Step
	Next    string // what was decided, for people: "retry 3 of 10 in 1m20s: HTTP 503"
	Disable string // not "": the destination is to be disabled, for this reason
	answer  bool
}

// Final tells whether the answer that was judged ends the delivery: it is what the
// system has to say, rather than the last of what it said before we gave up.
func (v Verdict) Final() bool { return v.State == seawall.Delivered || v.answer }

// trial is what a judgement is made of.
type trial struct {
	Policy
	d      *seawall.Delivery
	past   []seawall.Attempt // of this round, before the one judged; needed if Unsafe
	now    time.Time
	random func() float64
}

// Judge says what follows from an attempt at d, as d was before it. past are the
// attempts of its round, which are only looked at if it is not safe to repeat;
// random returns numbers from 0 up to 1.
//
// A request that could not be made at all, because an expression failed, is
// judged as a Reply with that Err and nothing sent; an attempt whose owner went
// away, as one that was sent and not answered.
func Judge(p Policy, d *seawall.Delivery, past []seawall.Attempt, r send.Reply, now time.Time, random func() float64) Verdict {
	t := trial{p, d, past, now, random}
	v := Verdict{Outcome: outcome(r)}
	status := 0
	if r.Response != nil {
		status = r.Response.Status
	}
	if v.Outcome == seawall.OK {
		v.State, v.Next = seawall.Delivered, "delivered"
		if p.Call && r.Err != nil {
			// It took effect, but its answer is not whole. Where asking again is
			// safe, that brings it.
			if again := t.again(v, r.Err.Error(), 0); again.State == seawall.Pending && (!p.Unsafe || t.remembered(again.Due)) {
				again.Outcome, again.Error = seawall.Unknown, r.Err.Error()
				return again
			}
		}
		return v
	}
	why := because(r)
	v.Error = why
	doubtful := false // nobody knows whether it took effect, this time or before
	if p.Unsafe {
		switch {
		case status >= 500, !p.Call && elsewhere(status), status > 0 && status < 200, t.underWay(r):
			v.Outcome = seawall.Unknown
		}
		doubtful = v.Outcome == seawall.Unknown || doubted(p, past) && !proves(p, status)
	}
	asked := askedToWait(r, now)
	switch {
	case doubtful && status >= 500 && (isReplay(r) || repeats(past, status)):
		return t.unknown(v, why, asked, 0, true)
	case doubtful:
		return t.unknown(v, why, asked, 0, false)
	case r.Response == nil && r.Canceled:
		// It says nothing about the destination: whoever has the delivery next
		// tries at once.
		v.State, v.Due, v.Reason = seawall.Pending, now, why
		v.Next = "retry at once: " + why
		return v
	case p.Call && answers(status):
		v.State, v.Reason, v.answer = seawall.Dead, why, true
		v.Next = "ended by the system's answer: " + why
		return v
	case status == http.StatusGone:
		v.State, v.Due = seawall.Pending, now
		v.Reason = "destination disabled: " + why
		v.Next = "waits until the destination is resumed: " + why
		v.Disable = why
		return v
	}
	return t.again(v, why, asked)
}

// elsewhere tells whether a redirect may be the answer to what was done: browsers
// are sent on from a form that was taken. 307 and 308 say that nothing was, yet.
func elsewhere(status int) bool {
	return status >= 300 && status <= 303
}

// again is another try after a while, or the end of all tries.
func (t *trial) again(v Verdict, why string, asked time.Duration) Verdict {
	round := t.round()
	if over, after := gaveUp(t.Retry, round, t.d.Since, t.now, asked > 0); over {
		v.State, v.Reason = seawall.Dead, fmt.Sprintf("gave up after %s: %s", after, why)
		v.Next = "dead: " + v.Reason
		return v
	}
	v.Due = t.due(round, asked)
	v.State, v.Step, v.Reason = seawall.Pending, seawall.Send, why
	v.Next = fmt.Sprintf("retry %d of %d in %s: %s", round+1, t.Retry.Max, short(v.Due.Sub(t.now)), why)
	return v
}

// round is how many tries there were before the one judged.
func (t *trial) round() int {
	if t.Keeps {
		return failures(t.past)
	}
	if !t.Unsafe {
		return t.d.Round
	}
	n := 0
	for i := range t.past {
		if t.past[i].Step != seawall.Check {
			n++
		}
	}
	return n
}

// due is when the next try comes.
func (t *trial) due(round int, asked time.Duration) time.Time {
	due := t.now.Add(Backoff(t.Retry, round+1, t.random))
	// The last try is moved to the end of the time, not left out.
	if end := t.d.Since.Add(t.Retry.For); t.Retry.For > 0 && t.now.Before(end) && due.After(end) {
		due = end
	}
	// A wait that the destination asked for is never cut short.
	if early := t.now.Add(asked); due.Before(early) {
		due = early
	}
	return due
}

// gaveUp tells whether no try is left, and after what.
//
// The number of retries ends a delivery, or its time. Time alone does not: it
// also passes while a destination is paused, while the gateway is down and when
// a clock is set forward. So the tries that fit into the time, as it passes
// undisturbed, are all made. Only where the destination itself asks for longer
// waits does time count alone.
func gaveUp(p config.Retry, round int, since, now time.Time, asked bool) (over bool, after string) {
	if round >= p.Max {
		return true, plural(p.Max, "retry", "retries")
	}
	if p.For <= 0 || now.Before(since.Add(p.For)) {
		return false, ""
	}
	if asked || round >= fits(p) {
		return true, fmt.Sprintf("%s and %s", short(p.For), plural(round, "retry", "retries"))
	}
	return false, ""
}

// answers tells whether a status other than yes is the answer to a call, rather
// than that there will be one later.
func answers(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 300 && status <= 499
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
