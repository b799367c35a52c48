package settle

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// What follows where a record is fetched, found, created and updated.
// docs/records.md tells it to people.

// JudgeFetch says what follows when the record that is to be delivered could not be
// read, for the reason why: nothing was sent to where it goes.
func JudgeFetch(p Policy, d *seawall.Delivery, past []seawall.Attempt, r send.Reply, why string, now time.Time, random func() float64) Verdict {
	t := trial{p, d, past, now, random}
	v := Verdict{Outcome: seawall.Failed, Error: why}
	switch {
	case r.Response == nil && r.Canceled:
		return v.atOnce(d.Step, why, now)
	case p.Unsafe && doubted(p, past):
		return t.unknown(v, why, askedToWait(r, now), 0, false)
	}
	return t.again(v, why, askedToWait(r, now))
}

func (v Verdict) atOnce(step seawall.Step, why string, now time.Time) Verdict {
	v.State, v.Due, v.Step, v.Reason = seawall.Pending, now, step, why
	v.Next = "retry at once: " + why
	return v
}

// Keeping is how a record is kept for each entity. Its policy is that of updates,
// but for OnUnknown, which is what is done about a creation of unknown outcome:
// nothing said is to create again what no find shows.
type Keeping struct {
	Policy
	Lag   time.Duration // how far finds may be behind
	Finds bool          // there are any
}

// Doubt is that the record may be there, though no link tells which it is.
type Doubt struct {
	Since time.Time // from then on finds have until the lag is over
	Sure  string    // not "": it is there, for this reason
}

// Doubt tells whether an attempt may have created the record.
func (k Keeping) Doubt(past []seawall.Attempt) (doubt Doubt, is bool) {
	for i := len(past) - 1; i >= 0; i-- {
		switch a := &past[i]; a.Step {
		case seawall.Doubt:
			return Doubt{Since: a.At}, true
		case seawall.Check:
			if a.Outcome == seawall.OK {
				return doubt, false // it was answered: found, or not there
			}
		case seawall.Send:
			if a.Request.Method != "" {
				return doubt, false // it was updated, so that its link was known
			}
		case seawall.Create:
			switch end := a.At.Add(a.Took); {
			case a.Outcome == seawall.OK:
				return Doubt{Since: end, Sure: "it was created, and the answer does not tell its id"}, true
			case a.Outcome == seawall.Unknown:
				return Doubt{Since: end}, true
			case a.Response != nil && says(a.Response):
				return Doubt{Since: end, Sure: fmt.Sprintf("HTTP %d says that it is there", a.Response.Status)}, true
			case a.Response != nil && proves(k.Policy, a.Response.Status):
				return doubt, false
			}
		}
	}
	return doubt, false
}

// says tells whether an answer to a creation says that the record is there: 409, and
// what some systems answer in its place.
func says(r *seawall.Response) bool {
	switch r.Status {
	case http.StatusConflict:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		body := bytes.ToLower(r.Body)
		return slices.ContainsFunc(there, func(words string) bool { return bytes.Contains(body, []byte(words)) })
	}
	return false
}

var there = []string{"already exist", "already been taken", "already taken", "already in use", "already registered", "duplicate"}

// failures is how many attempts of a round failed: what was answered is none, nor is
// a record that does not show yet.
func failures(past []seawall.Attempt) (n int) {
	for i := range past {
		if o := past[i].Outcome; o == seawall.Failed || o == seawall.Refused || o == seawall.Unknown && past[i].Step != seawall.Check {
			n++
		}
	}
	return n
}

// retry is another try after a while, by finding it first; or the end, which is dead
// unless the record may be there.
func (k Keeping) retry(t *trial, v Verdict, why string, asked time.Duration, doubt bool) Verdict {
	round := failures(t.past)
	over, after := gaveUp(t.Retry, round, t.d.Since, t.now, asked > 0)
	switch {
	case over && doubt:
		v.State, v.Reason = seawall.Held, seawall.ReasonUnknown
		v.Next = fmt.Sprintf("held for a person, since the record may have been created: gave up after %s: %s", after, why)
		return v
	case over:
		v.State, v.Reason = seawall.Dead, fmt.Sprintf("gave up after %s: %s", after, why)
		v.Next = "dead: " + v.Reason
		return v
	}
	v.State, v.Reason, v.Due, v.Step = seawall.Pending, why, t.due(round, asked), seawall.Send
	if doubt {
		v.Step = seawall.Check
	}
	v.Next = fmt.Sprintf("retry %d of %d in %s: %s", round+1, t.Retry.Max, short(v.Due.Sub(t.now)), why)
	return v
}

func held(v Verdict, why string) Verdict {
	v.State, v.Reason = seawall.Held, seawall.ReasonRecord+why
	v.Next = "held for a person: " + why
	return v
}

// JudgeUpdate says what follows from an update of a record.
func JudgeUpdate(k Keeping, d *seawall.Delivery, past []seawall.Attempt, r send.Reply, record string, now time.Time, random func() float64) (v Verdict, gone bool) {
	status := 0
	if r.Response != nil {
		status = r.Response.Status
	}
	if status != http.StatusNotFound && status != http.StatusGone {
		return Judge(k.Policy, d, past, r, now, random), false
	}
	t := trial{k.Policy, d, past, now, random}
	why := fmt.Sprintf("HTTP %d: record %s is not there", status, clip(record))
	v = Verdict{Outcome: seawall.Refused, Error: why}
	for i := range past {
		if p := &past[i]; p.Step == seawall.Send && p.Response != nil && p.Response.Status == status {
			// It was found again, or created, and is not there again.
			if v = k.retry(&t, v, why, 0, false); v.State == seawall.Dead {
				v = held(v, "it is found, and the update says that it is not there: "+why)
			}
			return v, true
		}
	}
	v.State, v.Due, v.Step, v.Reason = seawall.Pending, now, seawall.Send, why
	v.Next = "its link goes, and it is looked for at once: " + why
	return v, true
}

// JudgeCreate says what follows from creating a record. id is what the answer says
// of it, "" if nothing.
func JudgeCreate(k Keeping, d *seawall.Delivery, past []seawall.Attempt, r send.Reply, id string, now time.Time, random func() float64) Verdict {
	t := trial{k.Policy, d, past, now, random}
	v := Verdict{Outcome: outcome(r)}
	_, doubt := k.Doubt(past)
	if v.Outcome == seawall.OK {
		if id != "" {
			v.State, v.Next = seawall.Delivered, "delivered: created as record "+clip(id)
			return v
		}
		v.Error = "created, and the answer does not tell its id"
		if r.Err != nil {
			v.Error += ": " + r.Err.Error()
		}
		return k.lookFor(v, v.Error, k.soon(now))
	}
	why := because(r)
	v.Error = why
	if r.Response == nil && r.Canceled && !r.Sent {
		return v.atOnce(seawall.Send, why, now)
	}
	status := 0
	if r.Response != nil {
		status = r.Response.Status
	}
	asked := askedToWait(r, now)
	switch {
	case status >= 500, elsewhere(status), status > 0 && status < 200, t.underWay(r):
		v.Outcome = seawall.Unknown
	case r.Response != nil && says(r.Response):
		return k.lookFor(v, why, now)
	case doubt && r.Response != nil && proves(k.Policy, status):
		doubt = false
	}
	if v.Outcome == seawall.Unknown {
		if k.Finds {
			return k.lookFor(v, why, k.soon(now))
		}
		return k.unknown(&t, v, why, asked, false)
	}
	return k.retry(&t, v, why, asked, doubt)
}

// unknown goes on from a creation of unknown outcome where nothing can be looked
// for: by the key, while the system remembers it.
func (k Keeping) unknown(t *trial, v Verdict, why string, asked time.Duration, over bool) Verdict {
	if len(t.OnUnknown) == 0 {
		t.OnUnknown = config.UsualUnknown(t.Valid > 0, false)
	}
	v = t.unknown(v, why, asked, 0, over)
	if v.State == seawall.Pending {
		v.Step = seawall.Create
	}
	return v
}

// MustNotCreate says what becomes of a delivery that is about to create and must not: it
// may have done so before, and neither a find nor the key would tell. ok is false if
// it may.
func MustNotCreate(k Keeping, d *seawall.Delivery, past []seawall.Attempt, now time.Time) (v Verdict, ok bool) {
	t := trial{Policy: k.Policy, d: d, past: past, now: now}
	if _, doubt := k.Doubt(past); !doubt || k.Finds || t.remembered(now) {
		return v, false
	}
	return k.unknown(&t, v, "the system may have forgotten the key by now", 0, true), true
}

func (k Keeping) soon(now time.Time) time.Time { return k.Due(Doubt{Since: now}, now) }

// lookFor has the record looked for that is there, or may be.
func (k Keeping) lookFor(v Verdict, why string, due time.Time) Verdict {
	if !k.Finds {
		return held(v, why+", and nothing says how to find it")
	}
	v.State, v.Due, v.Step, v.Reason = seawall.Pending, due, seawall.Check, why
	v.Next = "it is looked for, before it is created again: " + why
	return v
}

// Due is when the record is looked for next: soon, and then at longer intervals
// until the lag is over.
func (k Keeping) Due(doubt Doubt, now time.Time) time.Time {
	const whole = 31
	for n := 1; n < whole; n = 2*n + 1 {
		if at := doubt.Since.Add(k.Lag * time.Duration(n) / whole); at.After(now) {
			return at
		}
	}
	return later(doubt.Since.Add(k.Lag), now)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Sought is what came of looking for a record.
type Sought struct {
	Began  time.Time
	Record string     // not "": it is to be the entity's
	Held   string     // not "": there is one, which a person has to see, for this reason
	Err    string     // not "": it is not known whether there is one
	Reply  send.Reply // with Err: the answer, if there was one
}

// JudgeFind says what follows from it, where the record may be there already or
// not.
func JudgeFind(k Keeping, d *seawall.Delivery, past []seawall.Attempt, f Sought, doubt Doubt, doubted bool, now time.Time, random func() float64) Verdict {
	t := trial{k.Policy, d, past, now, random}
	v := Verdict{Outcome: seawall.OK}
	switch {
	case f.Held != "":
		v.Outcome, v.Error = seawall.Failed, f.Held
		return held(v, f.Held)
	case f.Record != "" && adopted(d, past):
		// It was another's by the time that the link was to be kept, or a person took it
		// away.
		v.Outcome, v.Error = seawall.Failed, "record "+clip(f.Record)+" was adopted, and the link was not kept"
		if v = k.retry(&t, v, v.Error, 0, doubted); v.State != seawall.Pending {
			v = held(v, v.Error)
		}
		return v
	case f.Record != "":
		v.State, v.Due, v.Step, v.Reason = seawall.Pending, now, seawall.Send, "record "+clip(f.Record)+" is adopted"
		v.Next = v.Reason + ", and updated at once"
		return v
	case f.Err != "" && f.Reply.Response == nil && f.Reply.Canceled:
		v.Outcome, v.Error = seawall.Failed, f.Err
		return v.atOnce(d.Step, f.Err, now)
	case f.Err != "":
		v.Outcome, v.Error = seawall.Failed, f.Err
		return k.retry(&t, v, f.Err, askedToWait(f.Reply, now), doubted)
	case !doubted:
		v.State, v.Due, v.Step, v.Reason = seawall.Pending, now, seawall.Create, "no record is there"
		v.Next = "no record is there: it is created at once"
		return v
	}
	if end := doubt.Since.Add(k.Lag); f.Began.Before(end) {
		v.Outcome, v.Error = seawall.Unknown, "no find shows it yet"
		v.State, v.Due, v.Step, v.Reason = seawall.Pending, k.Due(doubt, now), seawall.Check, v.Error
		v.Next = fmt.Sprintf("looked for again in %s, until %s after it may have been created", short(v.Due.Sub(now)), short(k.Lag))
		return v
	}
	why := fmt.Sprintf("no find shows it %s after it may have been created", short(k.Lag))
	if doubt.Sure != "" {
		v.Outcome, v.Error = seawall.Failed, doubt.Sure+", and no find shows it"
		return held(v, v.Error)
	}
	if over, _ := gaveUp(t.Retry, failures(past), d.Since, now, false); over || !k.createsAgain() {
		v.Outcome, v.Error = seawall.Unknown, why
		v.State, v.Reason, v.Next = seawall.Held, seawall.ReasonUnknown, "held for a person: "+why
		return v
	}
	v.State, v.Due, v.Step, v.Reason = seawall.Pending, now, seawall.Create, why
	v.Next = "created again at once: " + why
	return v
}

// adopted tells whether a record was adopted just before: a find was answered, and
// what was to follow was no creation.
func adopted(d *seawall.Delivery, past []seawall.Attempt) bool {
	for i := len(past) - 1; i >= 0 && d.Step == seawall.Send && past[i].Step == seawall.Check; i-- {
		if past[i].Outcome == seawall.OK {
			return true
		}
	}
	return false
}

// createsAgain tells whether what no find shows in time is created again: unless the
// first that is to be done about an unknown outcome is to leave it to a person.
func (k Keeping) createsAgain() bool {
	return len(k.OnUnknown) == 0 || k.OnUnknown[0] != config.UnknownHold
}
