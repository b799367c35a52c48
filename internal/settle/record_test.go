package settle

import (
	"errors"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

func keeping(change func(*Keeping)) Keeping {
	k := Keeping{Policy: Policy{Retry: defaults, Keeps: true}, Lag: 31 * time.Second, Finds: true}
	if change != nil {
		change(&k)
	}
	return k
}

// tried are the attempts of a round, each a word, a second before start at the latest.
func tried(words ...string) (past []seawall.Attempt) {
	at := start.Add(-time.Duration(len(words)) * time.Second)
	for n, w := range words {
		a := seawall.Attempt{N: n + 1, At: at.Add(time.Duration(n) * time.Second), Step: seawall.Create, Request: seawall.Request{Method: "POST"}}
		switch w {
		case "lost":
			a.Outcome = seawall.Unknown
		case "crash":
			a.Step, a.Outcome = seawall.Doubt, seawall.Unknown
		case "created":
			a.Outcome = seawall.OK
		case "conflict":
			a.Outcome, a.Response = seawall.Refused, &seawall.Response{Status: 409}
		case "taken":
			a.Outcome, a.Response = seawall.Refused, &seawall.Response{Status: 422, Body: []byte(`{"email":["has already been taken"]}`)}
		case "invalid":
			a.Outcome, a.Response = seawall.Refused, &seawall.Response{Status: 422, Body: []byte(`{"email":["is invalid"]}`)}
		case "busy":
			a.Outcome, a.Response = seawall.Refused, &seawall.Response{Status: 429}
		case "unreached":
			a.Outcome = seawall.Failed
		case "none":
			a.Step, a.Outcome, a.Request = seawall.Check, seawall.OK, seawall.Request{}
		case "not yet":
			a.Step, a.Outcome, a.Request = seawall.Check, seawall.Unknown, seawall.Request{}
		case "unread":
			a.Step, a.Outcome, a.Request = seawall.Check, seawall.Failed, seawall.Request{}
		case "updated":
			a.Step, a.Outcome, a.Response = seawall.Send, seawall.Refused, &seawall.Response{Status: 500}
		case "missing":
			a.Step, a.Outcome, a.Response = seawall.Send, seawall.Refused, &seawall.Response{Status: 404}
		default:
			panic(w)
		}
		past = append(past, a)
	}
	return past
}

// What may have created the record is in doubt until a find says otherwise.
func TestG6_WhatMayHaveCreatedIsInDoubt(t *testing.T) {
	keys := func(k *Keeping) { k.Valid = time.Hour }
	for _, c := range []struct {
		past   []string
		change func(*Keeping)
		is     bool
		sure   bool
		ago    time.Duration
	}{
		{nil, nil, false, false, 0},
		{[]string{"lost"}, nil, true, false, time.Second},
		{[]string{"crash"}, nil, true, false, time.Second},
		{[]string{"lost", "not yet", "unread"}, nil, true, false, 3 * time.Second},
		{[]string{"lost", "none"}, nil, false, false, 0},
		{[]string{"lost", "none", "lost"}, nil, true, false, time.Second},
		{[]string{"lost", "busy"}, nil, true, false, 2 * time.Second},
		{[]string{"lost", "unreached"}, nil, true, false, 2 * time.Second},
		{[]string{"lost", "invalid"}, nil, true, false, 2 * time.Second},
		{[]string{"lost", "invalid"}, keys, false, false, 0},
		{[]string{"lost", "busy"}, keys, true, false, 2 * time.Second},
		{[]string{"conflict"}, nil, true, true, time.Second},
		{[]string{"taken"}, nil, true, true, time.Second},
		{[]string{"invalid"}, nil, false, false, 0},
		{[]string{"created"}, nil, true, true, time.Second},
		{[]string{"lost", "updated"}, nil, false, false, 0},
		{[]string{"updated"}, nil, false, false, 0},
	} {
		got, is := keeping(c.change).Doubt(tried(c.past...))
		if is != c.is || (got.Sure != "") != c.sure || is && start.Sub(got.Since) != c.ago {
			t.Errorf("%v: %+v %t", c.past, got, is)
		}
	}
}

func TestG6_Creations(t *testing.T) {
	plain := answer(409)
	hold := func(k *Keeping) { k.Finds = false }
	keyed := func(k *Keeping) { k.Finds, k.Valid = false, time.Hour }
	taken := answer(422)
	taken.Response.Body = []byte("Email has already been taken")
	for _, c := range []struct {
		name    string
		change  func(*Keeping)
		past    []string
		r       send.Reply
		id      string
		outcome seawall.Outcome
		state   seawall.State
		step    seawall.Step
		due     time.Duration
	}{
		{"created", nil, nil, answer(201), "55", seawall.OK, seawall.Delivered, seawall.Send, 0},
		{"created, who knows as what", nil, nil, answer(201), "", seawall.OK, seawall.Pending, seawall.Check, time.Second},
		{"that, and no find", hold, nil, answer(201), "", seawall.OK, seawall.Held, seawall.Send, 0},
		{"no answer", nil, nil, lost, "", seawall.Unknown, seawall.Pending, seawall.Check, time.Second},
		{"500", nil, nil, answer(500), "", seawall.Unknown, seawall.Pending, seawall.Check, time.Second},
		{"303", nil, nil, answer(303), "", seawall.Unknown, seawall.Pending, seawall.Check, time.Second},
		{"no answer, no find", hold, nil, lost, "", seawall.Unknown, seawall.Held, seawall.Send, 0},
		{"no answer, no find, but a key", keyed, nil, lost, "", seawall.Unknown, seawall.Pending, seawall.Create, 5 * time.Second},
		{"conflict", nil, nil, plain, "", seawall.Refused, seawall.Pending, seawall.Check, 0},
		{"conflict in other words", nil, nil, taken, "", seawall.Refused, seawall.Pending, seawall.Check, 0},
		{"conflict, no find", hold, nil, plain, "", seawall.Refused, seawall.Held, seawall.Send, 0},
		{"refused", nil, nil, answer(422), "", seawall.Refused, seawall.Pending, seawall.Send, 5 * time.Second},
		{"busy", nil, nil, answer(429, "Retry-After", "60"), "", seawall.Refused, seawall.Pending, seawall.Send, time.Minute},
		{"busy, after a doubt", nil, []string{"lost"}, answer(429, "Retry-After", "60"), "", seawall.Refused, seawall.Pending, seawall.Check, time.Minute},
		{"not reached", nil, nil, send.Reply{Err: errors.New("refused")}, "", seawall.Failed, seawall.Pending, seawall.Send, 5 * time.Second},
		{"not sent: stopped", nil, nil, send.Reply{Err: errors.New("stop"), Canceled: true}, "", seawall.Failed, seawall.Pending, seawall.Send, 0},
		{"sent, and stopped", nil, nil, send.Reply{Err: errors.New("stop"), Canceled: true, Sent: true}, "", seawall.Unknown, seawall.Pending, seawall.Check, time.Second},
		{"finds take no retries", nil, []string{"none", "lost", "not yet", "not yet", "not yet", "none"}, answer(422), "", seawall.Refused, seawall.Pending, seawall.Send, 20 * time.Second},
	} {
		d := fresh()
		d.Round, d.Created = len(c.past), start
		v := JudgeCreate(keeping(c.change), d, tried(c.past...), c.r, c.id, start, even)
		due := time.Duration(0)
		if v.State == seawall.Pending {
			due = v.Due.Sub(start)
		}
		if v.Outcome != c.outcome || v.State != c.state || v.Step != c.step || due != c.due || v.Next == "" || v.Disable != "" {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestG6_Finds(t *testing.T) {
	hold := func(k *Keeping) { k.OnUnknown = []config.OnUnknown{config.UnknownHold} }
	again := func(k *Keeping) { k.OnUnknown = []config.OnUnknown{config.UnknownRetry, config.UnknownHold} }
	ten := make([]string, 0, 22)
	for range 11 {
		ten = append(ten, "lost", "none")
	}
	for _, c := range []struct {
		name    string
		change  func(*Keeping)
		past    []string
		f       Sought
		later   time.Duration // than start
		outcome seawall.Outcome
		state   seawall.State
		step    seawall.Step
		reason  string
		due     time.Duration
	}{
		{"found", nil, nil, Sought{Record: "55"}, 0, seawall.OK, seawall.Pending, seawall.Send, "", 0},
		{"found after a doubt", nil, []string{"lost"}, Sought{Record: "55"}, 0, seawall.OK, seawall.Pending, seawall.Send, "", 0},
		{"found, and the link was not kept", nil, []string{"none"}, Sought{Record: "55"}, 0, seawall.Failed, seawall.Pending, seawall.Send, "", 5 * time.Second},
		{"another's", nil, nil, Sought{Held: "record 55 is that of user/8"}, 0, seawall.Failed, seawall.Held, seawall.Send, "record: record 55 is that of user/8", 0},
		{"never kept", nil, []string{"none", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread"}, Sought{Record: "55"}, 0,
			seawall.Failed, seawall.Held, seawall.Send, "record: record 55 was adopted, and the link was not kept", 0},
		{"none", nil, nil, Sought{}, 0, seawall.OK, seawall.Pending, seawall.Create, "", 0},
		{"none yet", nil, []string{"lost"}, Sought{}, 0, seawall.Unknown, seawall.Pending, seawall.Check, "", 2 * time.Second},
		{"none within the lag", nil, []string{"lost"}, Sought{}, 20 * time.Second, seawall.Unknown, seawall.Pending, seawall.Check, "", 10 * time.Second},
		{"none after the lag", nil, []string{"lost"}, Sought{}, 30 * time.Second, seawall.OK, seawall.Pending, seawall.Create, "", 0},
		{"retry says so too", again, []string{"lost"}, Sought{}, 30 * time.Second, seawall.OK, seawall.Pending, seawall.Create, "", 0},
		{"that is a person's to do", hold, []string{"lost"}, Sought{}, 30 * time.Second, seawall.Unknown, seawall.Held, seawall.Send, "unknown", 0},
		{"and after so many", nil, ten, Sought{}, 0, seawall.OK, seawall.Pending, seawall.Create, "", 0},
		{"and after so many and one", nil, append(ten, "lost"), Sought{}, 40 * time.Second, seawall.Unknown, seawall.Held, seawall.Send, "unknown", 0},
		{"it says that it is there", nil, []string{"conflict"}, Sought{}, 30 * time.Second, seawall.Failed, seawall.Held, seawall.Send, "record: HTTP 409 says that it is there, and no find shows it", 0},
		{"not asked", nil, nil, Sought{Err: "HTTP 500", Reply: answer(500)}, 0, seawall.Failed, seawall.Pending, seawall.Send, "", 5 * time.Second},
		{"not asked, after a doubt", nil, []string{"lost"}, Sought{Err: "HTTP 500", Reply: answer(500)}, 0, seawall.Failed, seawall.Pending, seawall.Check, "", 20 * time.Second},
		{"not asked for good", nil, []string{"unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread"}, Sought{Err: "HTTP 500", Reply: answer(500)}, 0, seawall.Failed, seawall.Dead, seawall.Send, "gave up after 10 retries: HTTP 500", 0},
		{"that, after a doubt", nil, []string{"lost", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread", "unread"}, Sought{Err: "HTTP 500", Reply: answer(500)}, 0, seawall.Failed, seawall.Held, seawall.Send, "unknown", 0},
	} {
		d, k, now := fresh(), keeping(c.change), start.Add(c.later)
		c.f.Began = now
		past := tried(c.past...)
		doubt, is := k.Doubt(past)
		v := JudgeFind(k, d, past, c.f, doubt, is, now, even)
		due := time.Duration(0)
		if v.State == seawall.Pending {
			due = v.Due.Sub(now)
		}
		if v.Outcome != c.outcome || v.State != c.state || v.Step != c.step || due != c.due || v.Next == "" || c.reason != "" && v.Reason != c.reason {
			t.Errorf("%s: %+v, due in %s", c.name, v, due)
		}
	}
}

// A record that is gone is looked for at once, and is never a dead letter: where a
// find and the update do not agree, a person has to see.
func TestARecordThatIsGoneIsLookedFor(t *testing.T) {
	k := keeping(nil)
	for _, c := range []struct {
		past  []string
		r     send.Reply
		gone  bool
		state seawall.State
		due   time.Duration
	}{
		{nil, answer(404), true, seawall.Pending, 0},
		{nil, answer(410), true, seawall.Pending, 0},
		{[]string{"missing", "none"}, answer(404), true, seawall.Pending, 20 * time.Second},
		{[]string{"missing", "missing", "missing", "missing", "missing", "missing", "missing", "missing", "missing", "missing"}, answer(404), true, seawall.Held, 0},
		{nil, answer(409), false, seawall.Pending, 5 * time.Second},
		{nil, lost, false, seawall.Pending, 5 * time.Second},
		{nil, answer(200), false, seawall.Delivered, 0},
	} {
		d := fresh()
		d.Round = len(c.past)
		v, gone := JudgeUpdate(k, d, tried(c.past...), c.r, "55", start, even)
		due := time.Duration(0)
		if v.State == seawall.Pending {
			due = v.Due.Sub(start)
		}
		if gone != c.gone || v.State != c.state || v.Step != seawall.Send || due != c.due || v.Disable != "" {
			t.Errorf("%v: %+v, gone %t", c.past, v, gone)
		}
	}
}

// Whatever comes, in whatever order: what may be there is neither dead nor created
// again before a find that began after the lag did not show it.
func TestG6_NothingIsCreatedAgainUnseen(t *testing.T) {
	replies := []send.Reply{lost, answer(500), answer(429), answer(401), answer(409), answer(422), {Err: errors.New("refused")}, {Err: errors.New("stop"), Canceled: true, Sent: true}}
	finds := []Sought{{}, {Err: "HTTP 500", Reply: answer(500)}, {}}
	for i := range replies {
		for j := range replies {
			for f := range finds {
				k, d, now := keeping(nil), fresh(), start
				d.Created = start
				var past []seawall.Attempt
				var unknown time.Time // when something may last have been created
				for n := range 60 {
					var v Verdict
					a := seawall.Attempt{N: n + 1, At: now, Step: d.Step}
					if d.Step == seawall.Create {
						if !unknown.IsZero() && now.Sub(unknown) < k.Lag {
							t.Fatalf("created again %s after it may have been: %d %d %d", now.Sub(unknown), i, j, f)
						}
						r := replies[(i+n*j)%len(replies)]
						v = JudgeCreate(k, d, past, r, "", now, even)
						a.Response, a.Request.Method = r.Response, "POST"
						if v.Outcome == seawall.Unknown {
							unknown = now
						}
					} else {
						s := finds[(f+n)%len(finds)]
						s.Began = now
						doubt, is := k.Doubt(past)
						v, a.Step = JudgeFind(k, d, past, s, doubt, is, now, even), seawall.Check
						if is && v.State == seawall.Dead {
							t.Fatalf("dead though it may be there: %d %d %d: %+v", i, j, f, v)
						}
					}
					if v.State != seawall.Pending {
						break
					}
					a.Outcome = v.Outcome
					past = append(past, a)
					d.Step, d.Round, now = v.Step, d.Round+1, v.Due
				}
			}
		}
	}
}
