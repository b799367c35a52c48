package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// check asks the system whether an attempt of unknown outcome took effect.
func (p *path) check(ctx context.Context, t *try) store.Settlement {
	if t.policy.Check == nil {
		// The configuration has none any more: on by the rest of its list.
		v := settle.JudgeCheck(t.policy, &t.Delivery, t.past, settle.Neither, "no check is configured", p.app.Now(), p.app.Jitter)
		return store.Settlement{State: v.State, Reason: v.Reason, Due: v.Due, Step: v.Step, At: t.at}
	}
	record, reply, in := p.ask(ctx, t)
	if reply.Canceled && reply.Response == nil {
		return t.wait(p.app.Now(), t.Delivery.Reason) // it tells nothing: whoever comes next asks
	}
	f, answer, why := settle.Neither, []byte(nil), ""
	if in == nil {
		why = "not asked: " + reply.Err.Error()
	} else {
		f, answer, why = p.find(ctx, t, in, reply)
	}
	v := settle.JudgeCheck(t.policy, &t.Delivery, t.past, f, why, p.app.Now(), p.app.Jitter)
	s := p.settlement(t, seawall.Check, v, record, reply)
	if t.policy.Call && f == settle.Found {
		s.Answer = &seawall.Answer{At: p.app.Now(), Status: http.StatusOK, Body: answer, Headers: http.Header{
			"Content-Type": {"application/json"}, answeredBy: {"check"},
		}}
	}
	if s.State == seawall.Dead {
		p.fallBack(t, &s)
	}
	p.observe(t.Claimed, &s)
	return s
}

// ask sends the check's request. in is nil if it could not be made.
func (p *path) ask(ctx context.Context, t *try) (record *seawall.Request, reply send.Reply, in *expr.Input) {
	defer p.caught(t, &reply)
	out, record, in, err := t.live.shape.Check(ctx, t.policy.Check, t.system, &t.Delivery, t.Event, t.links)
	if err != nil {
		return record, send.Reply{At: t.at, Err: err}, nil
	}
	out.Keep = maxProof
	return record, p.send(ctx, t.pass, t.name, record, out, t.limits), in
}

// maxProof is how much of an answer to a check is looked at. One that is longer
// proves nothing.
const maxProof = 4 << 20

// find reads the verdict from an answer, and where it is found, what is shown as
// the call's answer: what the expression gives, if that is an object, else all.
func (p *path) find(ctx context.Context, t *try, in *expr.Input, r send.Reply) (f settle.Finding, answer []byte, why string) {
	switch {
	case r.Response == nil:
		return settle.Neither, nil, "the check was not answered: " + r.Err.Error()
	case r.Err != nil || r.Response.Truncated:
		return settle.Neither, nil, "the check's answer is not complete, which proves nothing"
	}
	status := r.Response.Status
	said := fmt.Sprintf("the check was answered HTTP %d", status)
	yes := status >= 200 && status <= 299
	if !yes && status != http.StatusNotFound && status != http.StatusGone {
		return settle.Neither, nil, said
	}
	in = in.Answered(status, r.Response.Headers, r.Response.Body)
	payload, err := in.Payload()
	if err != nil {
		return settle.Neither, nil, "the check's answer cannot be read: " + err.Error()
	}
	if payload == nil && t.policy.Check.Method != http.MethodHead {
		return settle.Neither, nil, said + " without a body, which proves nothing"
	}
	c := t.policy.Check
	if yes && c.Found != nil {
		got, err := c.Found.Run(ctx, in)
		if err != nil {
			return settle.Neither, nil, "found: " + err.Error()
		}
		if got != nil && got != false {
			return settle.Found, shownOf(got, r.Response.Body), ""
		}
	}
	if c.Absent == nil {
		return settle.Neither, nil, "the check did not find it, and nothing says that it is not there"
	}
	gone, err := c.Absent.Bool(ctx, in)
	switch {
	case err != nil:
		return settle.Neither, nil, "absent: " + err.Error()
	case gone:
		return settle.Absent, nil, ""
	}
	return settle.Neither, nil, "the check found neither that it took effect nor that it did not"
}

func shownOf(found any, whole []byte) []byte {
	if _, ok := found.(map[string]any); ok {
		if b, err := json.Marshal(found); err == nil {
			return b
		}
	}
	return slices.Clone(whole)
}
