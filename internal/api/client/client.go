// Package client speaks the gateway's HTTP API.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/seawall"
)

// maxAnswer bounds what is read of one answer, in bytes: a page of a thousand
// events without bodies, or one story with the bodies of every attempt.
const maxAnswer = 256 << 20

// Client speaks to one gateway. It is safe for concurrent use.
//
// Its errors are [seawall.Error], of the kind that the gateway's problem names,
// with its hint; [seawall.ErrUnavailable] where no gateway answers.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client of the gateway whose admin listener is at baseURL, for
// example http://127.0.0.1:8081. token may be "" for a gateway on this machine
// that has no tokens; h may be nil for the default client.
func New(baseURL, token string, h *http.Client) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, seawall.Errorf(seawall.ErrInvalid, "%q is not the URL of a gateway", baseURL).
			WithHint("for example http://127.0.0.1:8081")
	}
	if h == nil {
		h = http.DefaultClient
	}
	return &Client{base: u, token: token, http: h}, nil
}

// call makes one request: in is the body, or nil for none; out takes the
// answer, or is nil, or is a *[]byte for an answer that is not JSON.
func (c *Client) call(ctx context.Context, method string, path []string, query url.Values, in, out any) error {
	escaped := make([]string, len(path))
	for i, p := range path {
		escaped[i] = segment(p)
	}
	u := c.base.JoinPath("api", "v1").JoinPath(escaped...)
	u.RawQuery = query.Encode()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return seawall.Errorf(seawall.ErrUnavailable, "no gateway answers at %s: %w", c.base.Host, err).
			WithHint("is it running (seawall serve), and is this its admin listener?")
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return seawall.Errorf(seawall.ErrUnavailable, "read the gateway's answer: %w", err)
	}
	if len(b) > maxAnswer {
		return fmt.Errorf("the gateway's answer is longer than %d bytes", maxAnswer)
	}
	if res.StatusCode >= 300 {
		return refusal(res, b)
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = b
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s answered what is not the API's: %w", c.base.Host, err)
	}
	return nil
}

// segment is a name as one segment of a path, whatever it is called.
func segment(name string) string {
	if strings.Trim(name, ".") == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// refusal turns an answer that is none into an error.
func refusal(res *http.Response, body []byte) error {
	kind := problem.Kind(res.StatusCode)
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p api.Problem
	if media != "application/problem+json" || json.Unmarshal(body, &p) != nil {
		return seawall.Errorf(kind, "%s answered %s", res.Request.URL.Host, res.Status).
			WithHint("is this the admin listener of a gateway?")
	}
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		text += "; " + strings.TrimPrefix(e.Location+": ", ": ") + e.Message
	}
	if p.ID != "" {
		text += " (" + p.ID + " in the gateway's log)"
	}
	err := seawall.Errorf(kind, "%s", text)
	if p.Hint != "" {
		err = err.WithHint("%s", p.Hint)
	}
	if len(p.Errors) > 0 {
		return &Refused{Problem: p, err: err}
	}
	return err
}

// Refused is a request in which some items are wrong, which Problem names.
type Refused struct {
	Problem api.Problem
	err     error
}

func (r *Refused) Error() string { return r.err.Error() }
func (r *Refused) Unwrap() error { return r.err }

// values writes the fields of a query struct by their query tags.
func values(q any) url.Values {
	out := url.Values{}
	addValues(out, reflect.ValueOf(q))
	return out
}

func addValues(out url.Values, v reflect.Value) {
	for f, fv := range v.Fields() {
		name := f.Tag.Get("query")
		switch {
		case f.Anonymous:
			addValues(out, fv)
		case name != "" && !fv.IsZero():
			out.Set(name, fmt.Sprint(fv.Interface()))
		}
	}
}
