package provider

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// capture is a request on paper: {"method","url","headers","body","now"}, with
// the body in base64 or, as body_text, as it is.
type capture struct {
	Method   string                     `json:"method"`
	URL      string                     `json:"url"`
	Headers  map[string]json.RawMessage `json:"headers"` // a text, or a list of texts
	Body     *string                    `json:"body"`
	BodyText *string                    `json:"body_text"`
	Now      json.RawMessage            `json:"now"` // Unix seconds or RFC 3339; when to verify
}

// ParseCapture reads a captured request, such as a rejected arrival kept by the
// gateway or a line of a vector file. Method is POST if not given; Now is zero
// if not given, and the caller sets it.
func ParseCapture(b []byte) (*Request, error) {
	var c capture
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	return c.request()
}

func (c *capture) request() (*Request, error) {
	r := &Request{Method: firstOf(c.Method, http.MethodPost), URL: c.URL, Header: http.Header{}}
	for name, raw := range c.Headers {
		values, err := texts(raw)
		if err != nil {
			return nil, fmt.Errorf("capture: header %s: %w", name, err)
		}
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
	switch {
	case c.Body != nil && c.BodyText != nil:
		return nil, errors.New("capture: body and body_text are both given")
	case c.BodyText != nil:
		r.Body = []byte(*c.BodyText)
	case c.Body != nil:
		body, err := base64.StdEncoding.DecodeString(*c.Body)
		if err != nil {
			return nil, errors.New("capture: body is not base64; for the text itself, use body_text")
		}
		r.Body = body
	}
	var err error
	r.Now, err = captureTime(c.Now)
	return r, err
}

func texts(raw json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return many, nil
	}
	return nil, errors.New("it is neither a text nor a list of texts")
}

func captureTime(raw json.RawMessage) (time.Time, error) {
	s := strings.Trim(string(raw), `"`)
	if s == "" || s == "null" {
		return time.Time{}, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1e12 {
		return time.UnixMilli(int64(f * 1000)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, errors.New("capture: now is neither Unix seconds nor RFC 3339")
}
