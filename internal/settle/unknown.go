package settle

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// unknown goes on from an attempt of which nobody knows whether it took effect,
// by the policy's list, from one of its ways on. stuck says that the system only
// repeats what it said before.
//
// It ends nothing as dead: that would say that it certainly did not take effect.
func (t *trial) unknown(v Verdict, why string, asked time.Duration, from int, stuck bool) Verdict {
	for _, way := range t.OnUnknown[min(from, len(t.OnUnknown)):] {
		switch way {
		case config.UnknownRetry:
			if stuck {
				continue
			}
			if next := t.again(v, why, asked); next.State == seawall.Pending && t.remembered(next.Due) {
				next.Next += "; under the same key, which the system remembers"
				return next
			}
		case config.UnknownCheck:
			if t.Check != nil {
				v.State, v.Step, v.Reason = seawall.Pending, seawall.Check, why
				v.Due = t.now.Add(t.Check.After)
				v.Next = fmt.Sprintf("the system is asked in %s whether it took effect: %s", short(t.Check.After), why)
				return v
			}
		}
	}
	v.State, v.Reason = seawall.Held, seawall.ReasonUnknown
	v.Next = "held for a person, since it may have taken effect: " + why
	return v
}

// remembered tells whether the system still knows at a time what was sent under
// our key. It goes by when the delivery was planned, which was before anything
// was sent.
func (t *trial) remembered(at time.Time) bool {
	return t.Valid > 0 && at.Before(t.d.Created.Add(t.Valid))
}

// underWay tells whether an answer says that what was sent before under the same
// key has not ended.
func (t *trial) underWay(r send.Reply) bool {
	if t.Valid <= 0 || r.Response == nil || r.Response.Status != http.StatusConflict {
		return false
	}
	return doubted(t.Policy, t.past) || bytes.Contains(bytes.ToLower(r.Response.Body), []byte("idempoten"))
}

// Expired says what becomes of a delivery that is about to be sent again and must
// not be: of an earlier attempt nobody knows whether it took effect, and the
// system no longer knows the key. ok is false if it may be sent. A person's replay
// begins a new round, in which nothing is in doubt.
func Expired(p Policy, d *seawall.Delivery, past []seawall.Attempt, now time.Time) (v Verdict, ok bool) {
	t := trial{Policy: p, d: d, past: past, now: now}
	if !p.Unsafe || !doubted(p, past) || t.remembered(now) {
		return v, false
	}
	return t.unknown(v, "the system may have forgotten the key by now", 0, 0, true), true
}

// Doubted tells whether an attempt of the round may have taken effect.
func Doubted(p Policy, past []seawall.Attempt) bool { return p.Unsafe && doubted(p, past) }

func doubted(p Policy, past []seawall.Attempt) bool {
	for i := len(past) - 1; i >= 0; i-- {
		a := &past[i]
		switch {
		case a.Step == seawall.Check && a.Outcome == seawall.Failed:
			return false // it certainly had no effect
		case a.Step == seawall.Check:
		case a.Outcome == seawall.Unknown:
			return true
		case a.Response != nil && proves(p, a.Response.Status):
			return false
		}
	}
	return false
}

// proves tells whether an answer under a key that the system knows says what
// became of all that was sent under it. One about credentials, load or haste is
// given before the key is looked at.
func proves(p Policy, status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusConflict, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return p.Valid > 0 && status >= 400 && status <= 499
}

// isReplay tells whether a system says that it gives a stored answer once more.
func isReplay(r send.Reply) bool {
	return strings.EqualFold(strings.TrimSpace(r.Response.Headers.Get("Idempotent-Replayed")), "true")
}

// repeats tells whether the try before was answered by the same 5xx. Those that
// say that something in between has trouble, or that there is no capacity, are
// not stored under a key.
func repeats(past []seawall.Attempt, status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	for i := len(past) - 1; i >= 0; i-- {
		if past[i].Step != seawall.Check {
			return past[i].Response != nil && past[i].Response.Status == status
		}
	}
	return false
}

// Finding is what a check found.
type Finding uint8

const (
	Neither Finding = iota // no proof of either
	Found                  // it took effect
	Absent                 // it certainly did not
)

// JudgeCheck says what follows from asking whether d took effect; why is what the
// answer was, if it proved nothing.
func JudgeCheck(p Policy, d *seawall.Delivery, past []seawall.Attempt, f Finding, why string, now time.Time, random func() float64) Verdict {
	t := trial{p, d, past, now, random}
	switch f {
	case Found:
		return Verdict{Outcome: seawall.OK, State: seawall.Delivered, Next: "delivered: the system says that it took effect"}
	case Absent:
		why = "the system says that it did not take effect"
		t.past = beforeLast(past)
		return t.again(Verdict{Outcome: seawall.Failed, Error: why}, why, 0)
	}
	v := Verdict{Outcome: seawall.Unknown, Error: why}
	checks := 1
	for i := len(past) - 1; i >= 0 && past[i].Step == seawall.Check; i-- {
		checks++
	}
	if p.Check == nil || checks >= p.Check.Tries {
		after := 0
		for i, way := range p.OnUnknown {
			if way == config.UnknownCheck {
				after = i + 1
			}
		}
		t.past = beforeLast(past)
		return t.unknown(v, why, 0, after, false)
	}
	wait := Backoff(config.Retry{First: max(p.Check.After, time.Second), Cap: 24 * time.Hour}, checks, random)
	v.State, v.Step, v.Reason, v.Due = seawall.Pending, seawall.Check, why, now.Add(wait)
	v.Next = fmt.Sprintf("asked again in %s, %d of %d: %s", short(wait), checks+1, p.Check.Tries, why)
	return v
}

// beforeLast are the attempts before the last one that was no check: what follows
// from a check follows from that one.
func beforeLast(past []seawall.Attempt) []seawall.Attempt {
	for i := len(past) - 1; i >= 0; i-- {
		if past[i].Step != seawall.Check {
			return past[:i]
		}
	}
	return nil
}
