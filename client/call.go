package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Call is a request to make on a system.
type Call struct {
	Method string      // "": POST
	Path   string      // on the system, with a query where it has one
	Header http.Header // beside those that the gateway sets, such as credentials

	// The body is one of these, or none.
	JSON  any        // made JSON
	Form  url.Values // application/x-www-form-urlencoded
	Bytes []byte     // as they are; say what they are by Header's Content-Type

	// Key stands for what is to happen once. It must be the same when the same
	// thing is tried again, by this process or the next: take it from what the
	// call is about ("order-1001-charge"), not from a random number that is
	// forgotten with the process.
	Key string

	// Wait is how long to wait for the system's response, at most a minute; 0:
	// not at all, the call is made in any case.
	Wait time.Duration
}

// Result is a call as the gateway knows it.
type Result struct {
	ID       string // call_…
	System   string
	Method   string
	Path     string
	Key      string
	State    string // pending, sending, held, delivered, dead, canceled
	Reason   string // why it is in that state
	Attempts int    // tries so far
	Created  time.Time
	Finished time.Time // zero: it has not ended
	Response *Response // nil: there is none, or none yet

	Replayed bool // the call was there already, under the same key
}

// Response is what the system answered.
type Response struct {
	Status   int
	Headers  http.Header
	Body     []byte
	At       time.Time
	Fallback bool // given by the configuration, because the system gave none
}

// JSON reads the response's body into v.
func (r *Response) JSON(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("seawall: the system's response, status %d: %w", r.Status, err)
	}
	return nil
}

// Ended tells whether nothing more happens by itself.
func (r *Result) Ended() bool {
	return r.State == "delivered" || r.State == "dead" || r.State == "canceled"
}

// Unknown tells that nobody knows whether the call took effect: it is held for a
// person, and not repeated.
func (r *Result) Unknown() bool { return r.State == "held" }

// UnmarshalJSON reads the gateway's document of a call.
func (r *Response) UnmarshalJSON(b []byte) error {
	var doc struct {
		Status     int
		Headers    http.Header
		Body       json.RawMessage
		BodyBase64 []byte `json:"body_base64"`
		At         time.Time
		Fallback   bool
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return err
	}
	*r = Response{Status: doc.Status, Headers: doc.Headers, Body: doc.Body, At: doc.At, Fallback: doc.Fallback}
	if doc.Body == nil {
		r.Body = doc.BodyBase64
	}
	return nil
}

// Call hands a call over. When it returns without an error, the call is durable
// and is going to be made, once; with Wait, Response is there if the system gave
// it in time.
//
// While the gateway cannot be reached or is too busy it is tried again, under the
// same key, until ctx ends or half a minute has passed. An error therefore leaves
// open whether the call was taken, unless it is an [*Error]; calling again with
// the same Key settles it.
func (c *Client) Call(ctx context.Context, system string, call Call) (*Result, error) {
	if call.Key == "" {
		return nil, errors.New("seawall: a call needs a Key, the same for each try of the same thing")
	}
	document, err := call.document()
	if err != nil {
		return nil, err
	}
	r := request{
		method: http.MethodPost, path: "/api/v1/systems/" + url.PathEscape(system) + "/calls", body: document, wait: call.Wait,
		header: http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {quote(call.Key)}},
	}
	if call.Wait > 0 {
		r.header.Set("Prefer", "wait="+seconds(call.Wait))
	}
	var out Result
	resp, err := c.do(ctx, r, &out)
	var e *Error
	if errors.As(err, &e) && e.Call != "" {
		// It is there: in flight since an earlier try, or it has ended without a
		// response. What was asked for is to know how it stands.
		r, err := c.look(ctx, e.Call, call.Wait)
		if err != nil {
			return nil, err
		}
		r.Replayed = e.Is(ErrInFlight)
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	out.Replayed = resp.Header.Get("Idempotent-Replayed") == "true"
	return &out, nil
}

func (call *Call) document() ([]byte, error) {
	doc := map[string]any{"method": http.MethodPost, "path": call.Path}
	if call.Method != "" {
		doc["method"] = call.Method
	}
	if len(call.Header) > 0 {
		doc["headers"] = call.Header
	}
	bodies := 0
	if call.JSON != nil {
		doc["body"], bodies = call.JSON, bodies+1
	}
	if call.Form != nil {
		doc["form"], bodies = call.Form, bodies+1
	}
	if call.Bytes != nil {
		doc["body_base64"], bodies = call.Bytes, bodies+1
	}
	if bodies > 1 {
		return nil, errors.New("seawall: a call has one body: JSON, Form or Bytes")
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("seawall: the call's body: %w", err)
	}
	return b, nil
}

// Get returns a call as it stands; [ErrNotFound].
func (c *Client) Get(ctx context.Context, id string) (*Result, error) { return c.look(ctx, id, 0) }

// look returns a call as it stands, or once it has ended or is held, if that is
// sooner than wait.
func (c *Client) look(ctx context.Context, id string, wait time.Duration) (*Result, error) {
	r := request{method: http.MethodGet, path: callPath(id), wait: wait, header: http.Header{}}
	if wait > 0 {
		r.header.Set("Prefer", "wait="+seconds(wait))
	}
	var out Result
	if _, err := c.do(ctx, r, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Wait returns a call once it has ended or is held for a person. If ctx ends
// before that, it returns it as it stood last, with ctx's error.
func (c *Client) Wait(ctx context.Context, id string) (last *Result, err error) {
	for {
		r, err := c.look(ctx, id, lookFor)
		switch {
		case err != nil && last != nil && ctx.Err() != nil:
			return last, fmt.Errorf("seawall: call %s is %s: %w", id, last.State, ctx.Err())
		case err != nil || r.Ended() || r.Unknown():
			return r, err
		}
		last = r
	}
}

// lookFor is how long one look waits.
const lookFor = 10 * time.Second

// Cancel ends a call that has not been sent yet. What is under way, or has
// ended, is [ErrInFlight].
func (c *Client) Cancel(ctx context.Context, id string) (*Result, error) {
	var out Result
	_, err := c.do(ctx, request{method: http.MethodPost, path: callPath(id) + "/cancel"}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

func callPath(id string) string { return "/api/v1/calls/" + url.PathEscape(id) }

// quote writes a key as the header has it: a string of structured fields
// (RFC 9651, section 3.3.3).
func quote(key string) string {
	out := make([]byte, 0, len(key)+2)
	out = append(out, '"')
	for i := range len(key) {
		if key[i] == '"' || key[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, key[i])
	}
	return string(append(out, '"'))
}
