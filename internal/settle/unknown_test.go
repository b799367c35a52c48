package settle

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	again = config.UnknownRetry
	check = config.UnknownCheck
	hold  = config.UnknownHold
)

var lost = send.Reply{Sent: true, Err: errors.New("timeout")}

func policy(valid time.Duration, ways ...config.OnUnknown) Policy {
	return Policy{
		Retry: defaults, Unsafe: true, Valid: valid, OnUnknown: ways,
		Check: &config.Check{After: 3 * time.Second, Tries: 2},
	}
}

func call(p Policy) Policy { p.Call = true; return p }

// of makes the attempts of a round out of their outcomes: "unknown", "refused",
// "500", "check absent", "check neither".
func of(words ...string) (past []seawall.Attempt) {
	for i, w := range words {
		a := seawall.Attempt{N: i + 1}
		switch w {
		case "unknown":
			a.Outcome = seawall.Unknown
		case "failed":
			a.Outcome = seawall.Failed
		case "refused":
			a.Outcome, a.Response = seawall.Refused, &seawall.Response{Status: 402}
		case "500":
			a.Outcome, a.Response = seawall.Unknown, &seawall.Response{Status: 500}
		case "503":
			a.Outcome, a.Response = seawall.Unknown, &seawall.Response{Status: 503}
		case "check absent":
			a.Step, a.Outcome = seawall.Check, seawall.Failed
		case "check neither":
			a.Step, a.Outcome = seawall.Check, seawall.Unknown
		default:
			panic(w)
		}
		past = append(past, a)
	}
	return past
}

func conflict(body string) send.Reply {
	r := answer(409)
	r.Response.Body = []byte(body)
	return r
}

func TestG6_UnknownGoesByItsList(t *testing.T) {
	day := 24 * time.Hour
	ten := strings.Fields(strings.Repeat("unknown ", 10))
	never := send.Reply{Err: errors.New("connection refused")}
	for _, c := range []struct {
		name    string
		p       Policy
		past    []seawall.Attempt
		r       send.Reply
		age     time.Duration // of the delivery
		outcome seawall.Outcome
		state   seawall.State
		step    seawall.Step
		due     time.Duration
	}{
		{"no list holds", policy(0), nil, lost, 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"a key is no good unless the list says so", policy(day, hold), nil, lost, 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"retry without a key is left out", policy(0, again, hold), nil, lost, 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"retry under the key", policy(day, again, hold), nil, lost, 0, seawall.Unknown, seawall.Pending, seawall.Send, 5 * time.Second},
		{"the window counts the wait", policy(3*time.Second, again, check, hold), nil, lost, 0, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
		{"past the window", policy(day, again, check, hold), of("unknown"), lost, 25 * time.Hour, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
		{"retries exhausted", policy(300*day, again, hold), of(ten...), lost, 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"check first", policy(day, check, again, hold), nil, lost, 0, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
		{"500 is unknown", policy(0, check, hold), nil, answer(500), 0, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
		{"503 is unknown", policy(0, hold), nil, answer(503, "Retry-After", "5"), 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"503 under a key, when asked", policy(day, again, hold), nil, answer(503, "Retry-After", "60"), 0, seawall.Unknown, seawall.Pending, seawall.Send, time.Minute},
		{"a stored 500", policy(day, again, check, hold), nil, answer(500, "Idempotent-Replayed", "true"), 0, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
		{"the same 500 again", policy(day, again, hold), of("500"), answer(500), 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"another 5xx than before", policy(day, again, hold), of("500"), answer(501), 0, seawall.Unknown, seawall.Pending, seawall.Send, 20 * time.Second},
		{"503 again is no stored answer", policy(day, again, hold), of("503"), answer(503), 0, seawall.Unknown, seawall.Pending, seawall.Send, 20 * time.Second},
		{"429 is a no", policy(0, hold), nil, answer(429, "Retry-After", "60"), 0, seawall.Refused, seawall.Pending, seawall.Send, time.Minute},
		{"429 after a doubt leaves it", policy(day, again, hold), of(ten...), answer(429), 0, seawall.Refused, seawall.Held, seawall.Send, 0},
		{"not reached after a doubt leaves it", policy(day, again, hold), of(ten...), never, 0, seawall.Failed, seawall.Held, seawall.Send, 0},
		{"not reached, no doubt", policy(0, hold), of(strings.Fields(strings.Repeat("failed ", 10))...), never, 0, seawall.Failed, seawall.Dead, seawall.Send, 0},
		{"the key's answer ends the doubt", call(policy(day, again, hold)), of("unknown"), answer(402), 0, seawall.Refused, seawall.Dead, seawall.Send, 0},
		{"without a key it does not", call(policy(0, hold)), of("unknown"), answer(402), 0, seawall.Refused, seawall.Held, seawall.Send, 0},
		{"nor do bad credentials", call(policy(day, hold)), of("unknown"), answer(401), 0, seawall.Refused, seawall.Held, seawall.Send, 0},
		{"under way", call(policy(day, again, hold)), of("unknown"), conflict(""), 0, seawall.Unknown, seawall.Pending, seawall.Send, 20 * time.Second},
		{"under way, as it says", call(policy(day, again, hold)), nil, conflict(`{"code":"idempotency_key_in_use"}`), 0, seawall.Unknown, seawall.Pending, seawall.Send, 5 * time.Second},
		{"a conflict of another kind is an answer", call(policy(day, again, hold)), nil, conflict(`{"error":"exists"}`), 0, seawall.Refused, seawall.Dead, seawall.Send, 0},
		{"a call's 429 waits", call(policy(0, hold)), nil, answer(429), 0, seawall.Refused, seawall.Pending, seawall.Send, 5 * time.Second},
		{"a call's 410 disables nothing", call(policy(0, hold)), nil, answer(410), 0, seawall.Refused, seawall.Dead, seawall.Send, 0},
		{"a redirect may be what follows a form that was taken", policy(0, hold), nil, answer(303, "Location", "/done"), 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"a redirect that says where to do it did nothing", policy(0, hold), nil, answer(307, "Location", "/there"), 0, seawall.Refused, seawall.Pending, seawall.Send, 5 * time.Second},
		{"a call's redirect is its answer", call(policy(0, hold)), nil, answer(303, "Location", "/done"), 0, seawall.Refused, seawall.Dead, seawall.Send, 0},
		{"what leaves HTTP behind says nothing", call(policy(0, hold)), nil, answer(101), 0, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"after an absence all is as before", policy(day, again, hold), of("unknown", "check absent"), never, 0, seawall.Failed, seawall.Pending, seawall.Send, 20 * time.Second},
	} {
		d := fresh()
		d.Created, d.Round = start.Add(-c.age), len(c.past)
		v := Judge(c.p, d, c.past, c.r, start, even)
		due := time.Time{}
		if c.due > 0 {
			due = start.Add(c.due)
		}
		if v.Outcome != c.outcome || v.State != c.state || v.Step != c.step || !v.Due.Equal(due) || v.Disable != "" {
			t.Errorf("%s: %+v", c.name, v)
		}
		if v.Error == "" || v.Next == "" || v.Reason == "" {
			t.Errorf("%s is not explained: %+v", c.name, v)
		}
		if v.State == seawall.Held && v.Reason != seawall.ReasonUnknown {
			t.Errorf("%s: held for %q", c.name, v.Reason)
		}
	}
}

// Whatever comes, in whatever order: what may have taken effect is never called
// dead, and never sent again without a key that is remembered.
func TestG6_DoubtNeverEndsAsDead(t *testing.T) {
	replies := []send.Reply{lost, answer(500), answer(503), answer(429), answer(401), answer(404), answer(302), {Err: errors.New("refused")}, conflict("")}
	for _, valid := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		for i := range replies {
			for j := range replies {
				p := call(policy(valid, again, hold))
				d := fresh()
				d.Created = start
				now, past := start, of("unknown")
				for n := range 40 {
					r := replies[(i+n*j)%len(replies)]
					if v, over := Expired(p, d, past, now); over {
						if v.State != seawall.Held {
							t.Fatalf("expired: %+v", v)
						}
						break
					}
					v := Judge(p, d, past, r, now, even)
					if v.State == seawall.Dead && !(valid > 0 && proves(p, r.Response.Status)) {
						t.Fatalf("valid %s, %d, %d: dead by %+v", valid, i, j, r)
					}
					if v.State != seawall.Pending {
						break
					}
					if valid == 0 || !v.Due.Before(start.Add(valid)) {
						t.Fatalf("valid %s: again in %s by %+v", valid, v.Due.Sub(start), r)
					}
					past = append(past, seawall.Attempt{Outcome: v.Outcome, Response: r.Response})
					d.Round, now = d.Round+1, v.Due
				}
			}
		}
	}
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		name    string
		p       Policy
		past    []seawall.Attempt
		f       Finding
		outcome seawall.Outcome
		state   seawall.State
		step    seawall.Step
		due     time.Duration
	}{
		{"found", policy(0, check, hold), of("unknown"), Found, seawall.OK, seawall.Delivered, seawall.Send, 0},
		{"absent", policy(0, check, hold), of("unknown"), Absent, seawall.Failed, seawall.Pending, seawall.Send, 5 * time.Second},
		{"absent, the last time", policy(0, check, hold), of(strings.Fields(strings.Repeat("unknown ", 11))...), Absent, seawall.Failed, seawall.Dead, seawall.Send, 0},
		{"neither", policy(0, check, hold), of("unknown"), Neither, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
		{"neither, the last time", policy(0, check, hold), of("unknown", "check neither"), Neither, seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"neither, then by the key", policy(time.Hour, check, again, hold), of("unknown", "check neither"), Neither, seawall.Unknown, seawall.Pending, seawall.Send, 5 * time.Second},
		{"earlier checks count no more", policy(0, check, hold), of("unknown", "check neither", "check absent", "unknown"), Neither, seawall.Unknown, seawall.Pending, seawall.Check, 3 * time.Second},
	} {
		d := fresh()
		d.Created = start
		v := JudgeCheck(c.p, d, c.past, c.f, "nothing there", start, even)
		due := time.Time{}
		if c.due > 0 {
			due = start.Add(c.due)
		}
		if v.Outcome != c.outcome || v.State != c.state || v.Step != c.step || !v.Due.Equal(due) || v.Next == "" {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// A call's answer that breaks off is asked for again, where that is safe.
func TestAnswerThatBrokeOff(t *testing.T) {
	cut := answer(200)
	cut.Err, cut.Response.Truncated = errors.New("cut off"), true
	for _, c := range []struct {
		p    Policy
		want seawall.State
	}{
		{Policy{Retry: defaults, Call: true}, seawall.Pending},
		{call(policy(time.Hour, again, hold)), seawall.Pending},
		{call(policy(0, hold)), seawall.Delivered},
		{Policy{Retry: defaults}, seawall.Delivered},
	} {
		d := fresh()
		d.Created = start
		if v := Judge(c.p, d, nil, cut, start, even); v.State != c.want || (v.Error == "") != (c.want == seawall.Delivered) {
			t.Errorf("%+v: %+v", c.p, v)
		}
	}
}
