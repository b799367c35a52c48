package verify

import (
	"fmt"
	"net/http"
	"strings"
)

// Template says what a generic HMAC signs: text with {body}, {timestamp}, {id},
// {url}, {method}, {path} and {header:NAME} in it.
type Template struct{ parts []part }

type part struct {
	field string // "" for text
	text  string // the text, or the header's name
}

// Content is what a template is filled with.
type Content struct {
	Body      []byte
	Timestamp string // as sent
	ID        string
	URL       string
	Path      string
	Method    string
	Header    http.Header
}

// Fields lists what may stand between braces.
var Fields = []string{"{body}", "{timestamp}", "{id}", "{url}", "{method}", "{path}", "{header:NAME}"}

// ParseTemplate reads a template. The error says what is wrong with it.
func ParseTemplate(s string) (*Template, error) {
	t := &Template{}
	for s != "" {
		text, rest, open := strings.Cut(s, "{")
		if text != "" {
			t.parts = append(t.parts, part{text: text})
		}
		if !open {
			break
		}
		field, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("{%s is not closed", rest)
		}
		p := part{field: field}
		switch field {
		case "body", "timestamp", "id", "url", "method", "path":
		default:
			name, ok := strings.CutPrefix(field, "header:")
			if !ok || name == "" {
				return nil, fmt.Errorf("{%s} is not one of %s", field, strings.Join(Fields, " "))
			}
			p = part{field: "header", text: name}
		}
		t.parts = append(t.parts, p)
		s = after
	}
	return t, nil
}

// Uses tells whether the template signs the field, for example "body".
func (t *Template) Uses(field string) bool {
	for _, p := range t.parts {
		if p.field == field {
			return true
		}
	}
	return false
}

// Fill returns the signed bytes, in parts. The error is [HeaderMissing] or
// [HeaderRepeated], for a signed header.
func (t *Template) Fill(c *Content) ([][]byte, error) {
	out := make([][]byte, len(t.parts))
	for i, p := range t.parts {
		switch p.field {
		case "":
			out[i] = []byte(p.text)
		case "body":
			out[i] = c.Body
		case "timestamp":
			out[i] = []byte(c.Timestamp)
		case "id":
			out[i] = []byte(c.ID)
		case "url":
			out[i] = []byte(c.URL)
		case "method":
			out[i] = []byte(c.Method)
		case "path":
			out[i] = []byte(c.Path)
		case "header":
			v, err := Header(c.Header, p.text)
			if err != nil {
				return nil, err
			}
			out[i] = []byte(v)
		}
	}
	return out, nil
}
