package call

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/seawall-dev/seawall/seawall"
)

// Document is a call as the product and our own people see it. It is made of what
// is stored and of nothing else, so that it is the same each time.
type Document struct {
	ID       string    `json:"id" example:"call_01kbxw0000000000000000r000"`
	System   string    `json:"system"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Key      string    `json:"key" doc:"Idempotency key; the call's own id where it was posted without one."`
	By       string    `json:"by" doc:"Name of the token that posted it."`
	State    string    `json:"state" doc:"pending, sending, held, delivered, dead or canceled."`
	Reason   string    `json:"reason,omitempty" doc:"Why it is in that state."`
	Attempts int       `json:"attempts" doc:"Tries so far."`
	Due      time.Time `json:"due,omitzero" doc:"Of a pending one: not before."`
	Created  time.Time `json:"created"`
	Finished time.Time `json:"finished,omitzero"`
	Response *Reply    `json:"response,omitempty" doc:"The system's; missing while there is none."`
}

// Reply is what a system answered to a call.
type Reply struct {
	Status     int             `json:"status"`
	Headers    http.Header     `json:"headers"`
	Body       json.RawMessage `json:"body,omitempty" doc:"Where it is JSON."`
	BodyBase64 []byte          `json:"body_base64,omitempty" doc:"Where it is not."`
	At         time.Time       `json:"at"`
	Fallback   bool            `json:"fallback,omitempty" doc:"The configuration's own answer, given because the system gave none."`
}

// Document shows the call.
func (c *Call) Document() *Document {
	d := c.Delivery
	out := &Document{
		ID: c.ID(), System: c.System, Method: c.Event.Method, Path: c.Event.URL, Key: c.Key, By: c.By,
		State: d.State.String(), Reason: d.Reason, Attempts: d.Attempts,
		Created: moment(d.Created), Finished: moment(d.Finished),
	}
	if d.State == seawall.Pending {
		out.Due = moment(d.Due)
	}
	if a := c.Answer; a != nil {
		out.Response = &Reply{Status: a.Status, Headers: a.Headers, At: moment(a.At), Fallback: a.Fallback}
		if out.Response.Headers == nil {
			out.Response.Headers = http.Header{}
		}
		if out.Response.Body = compact(a.Body); out.Response.Body == nil {
			out.Response.BodyBase64 = a.Body
		}
	}
	return out
}

// compact is a body that is JSON, in one line; nil if it is not.
func compact(b []byte) json.RawMessage {
	var out bytes.Buffer
	if len(b) == 0 || !utf8.Valid(b) || json.Compact(&out, b) != nil {
		return nil
	}
	return out.Bytes()
}

// moment is a time as every store keeps it.
func moment(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}
