package expr

import (
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
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
	vars    map[string]any
}

// Event is what $event holds. Empty texts and zero times are null in it.
type Event struct {
	ID         string
	Source     string
	SourceID   string
	Type       string
	Entity     string
	Version    string
	OccurredAt time.Time
	ReceivedAt time.Time
	Headers    http.Header // by name in lower case, the first value of each
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
	return &Input{payload: payload, parsed: true, event: in.event, vars: in.vars}
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

// variable is the value of $event.
func (in *Input) variable() map[string]any {
	if in.vars == nil {
		e := in.event
		headers := make(map[string]any, len(e.Headers))
		for name, values := range e.Headers {
			if len(values) > 0 {
				headers[strings.ToLower(name)] = values[0]
			}
		}
		in.vars = map[string]any{
			"id": known(e.ID), "source": known(e.Source), "source_id": known(e.SourceID),
			"type": known(e.Type), "entity": known(e.Entity), "version": known(e.Version),
			"occurred_at": moment(e.OccurredAt), "received_at": moment(e.ReceivedAt),
			"headers": headers,
		}
	}
	return in.vars
}

func known(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
