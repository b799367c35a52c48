package expr

import (
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"
)

// Input is what an expression runs on: a payload, parsed at most once and only
// when first used, and the event that it belongs to. It is not safe for
// concurrent use.
type Input struct {
	body        []byte
	contentType string
	event       Event

	payload any
	err     error
	parsed  bool

	origin *Input // whose payload is the event's body; nil: this one
	scope  scope
}

// NewInput makes an input of a request's body.
//
// JSON is taken as it is, whatever the content type says. The fields of a form
// (application/x-www-form-urlencoded) become an object, a field that occurs
// several times an array; many clients call JSON a form unless told otherwise,
// but in a form the braces would be escaped. Other text is a string; no body, and what is neither
// text nor JSON, is null. JSON that is announced as such but is none, or that
// nests deeper than 64, makes every expression on it fail.
func NewInput(body []byte, contentType string, event Event) *Input {
	return &Input{body: body, contentType: contentType, event: event}
}

// With returns an input with another payload, such as a transform's result, and
// the same event.
func (in *Input) With(payload any) *Input {
	out := in.derived()
	out.payload, out.parsed = payload, true
	return out
}

// Payload returns the parsed payload, which must not be changed.
func (in *Input) Payload() (any, error) {
	if !in.parsed {
		in.parsed = true
		in.payload, in.err = parse(in.body, in.contentType)
	}
	return in.payload, in.err
}

func parse(body []byte, contentType string) (any, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	if media == "application/x-www-form-urlencoded" {
		if looksLikeJSON(body) {
			if v, err := decode(body); err == nil {
				return v, nil
			}
		}
		return parseForm(body)
	}
	if len(body) == 0 {
		return nil, nil
	}
	v, err := decode(body)
	switch {
	case err == nil:
		return v, nil
	case media == "application/json", strings.HasSuffix(media, "+json"), looksLikeJSON(body):
		return nil, fmt.Errorf("payload: %w", err)
	case utf8.Valid(body):
		return string(body), nil
	default:
		return nil, nil
	}
}

// looksLikeJSON keeps a broken or hostile document from passing as a text.
func looksLikeJSON(body []byte) bool {
	start := strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n")
	return strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[")
}
