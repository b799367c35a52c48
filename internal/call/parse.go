package call

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// posted is a call as it is posted: the body as JSON, as a form, or as bytes.
type posted struct {
	Method  string                     `json:"method"`
	Path    string                     `json:"path"`
	Headers map[string]json.RawMessage `json:"headers"`
	Body    json.RawMessage            `json:"body"`
	Form    map[string]json.RawMessage `json:"form"`
	Bytes   *[]byte                    `json:"body_base64"`
}

// Parse reads a posted call.
func Parse(document []byte) (*Request, error) {
	var p posted
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, unreadable(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, seawall.Errorf(seawall.ErrInvalid, "something follows the call").WithHint("one call at a time")
	}
	r := &Request{Method: p.Method, Path: p.Path, Headers: http.Header{}}
	for name, raw := range p.Headers {
		values, err := texts(raw)
		if err != nil {
			return nil, seawall.Errorf(seawall.ErrInvalid, "headers: %s must be a text or a list of texts", clip(name))
		}
		key := http.CanonicalHeaderKey(name)
		r.Headers[key] = append(r.Headers[key], values...)
	}
	return r, r.fill(&p)
}

// fill makes the body.
func (r *Request) fill(p *posted) error {
	given := 0
	for _, there := range []bool{p.Body != nil, p.Form != nil, p.Bytes != nil} {
		if there {
			given++
		}
	}
	if given > 1 {
		return seawall.Errorf(seawall.ErrInvalid, "body, form and body_base64: give one of them")
	}
	switch {
	case p.Bytes != nil:
		r.Body = *p.Bytes
	case p.Form != nil:
		form := url.Values{}
		for name, raw := range p.Form {
			values, err := texts(raw)
			if err != nil {
				return seawall.Errorf(seawall.ErrInvalid, "form: %s must be a text, a number, a truth value or a list of them", clip(name)).
					WithHint("write what belongs together as the system wants it, for example metadata[order_id]")
			}
			form[name] = values
		}
		r.Body = []byte(form.Encode())
		r.kindOf("application/x-www-form-urlencoded")
	case p.Body != nil:
		r.Body = p.Body
		r.kindOf("application/json")
		// A text that is said to be something else than JSON is meant as it is.
		var text string
		if !isJSON(r.Headers.Get("Content-Type")) && json.Unmarshal(p.Body, &text) == nil && p.Body[0] == '"' {
			r.Body = []byte(text)
		}
	}
	return nil
}

func (r *Request) kindOf(contentType string) {
	if r.Headers.Get("Content-Type") == "" {
		r.Headers.Set("Content-Type", contentType)
	}
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// texts reads a text, a number or a truth value, or a list of such.
func texts(raw json.RawMessage) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case json.Number:
			out = append(out, v.String())
		case bool:
			out = append(out, map[bool]string{true: "true", false: "false"}[v])
		default:
			return nil, seawall.ErrInvalid
		}
	}
	return out, nil
}

func unreadable(err error) error {
	return seawall.Errorf(seawall.ErrInvalid, "the call cannot be read: %s", clip(err.Error())).
		WithHint(`{"method": "POST", "path": "/v1/refunds", "headers": {…}, "body": {…}}, or in place of body: form or body_base64`)
}
