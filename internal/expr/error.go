package expr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/itchyny/gojq"
)

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Offset int    // in bytes, from the start of the expression or template
	Msg    string // what is wrong
	Hint   string // what to write instead; may be ""
}

func (e *SyntaxError) Error() string { return e.Msg }

func parseError(source string, err error) error {
	var p *gojq.ParseError
	if !errors.As(err, &p) {
		return &SyntaxError{Msg: err.Error()}
	}
	e := &SyntaxError{Offset: max(0, min(p.Offset-len(p.Token), len(source))), Msg: "not jq: " + p.Error()}
	switch {
	case p.Token == "":
		e.Msg = "not jq: it ends too early"
	case strings.Contains(source, "'"):
		e.Hint = `jq quotes text with ", not with '`
	case strings.Contains(source, "&&"), strings.Contains(source, "||"):
		e.Hint = "jq writes and, or, not"
	}
	return e
}

func compileError(source string, scope []string, err error) error {
	e := &SyntaxError{Msg: err.Error()}
	if name, ok := strings.CutPrefix(e.Msg, "variable not defined: "); ok {
		e.Offset = locate(source, name)
		e.Msg = "no variable " + name
		e.Hint = thereAre(scope)
	}
	return e
}

// locate finds where in the source a word stands: the tree does not say.
func locate(source, word string) int {
	pattern := regexp.QuoteMeta(word) + `\b`
	if !strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "@") {
		pattern = `\b` + pattern
	}
	if at := regexp.MustCompile(pattern).FindStringIndex(source); at != nil {
		return at[0]
	}
	return max(0, strings.Index(source, word))
}

// fault is an error of one of our own functions, which quotes no payload.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

// runError words a failure of the interpreter. Its own messages quote parts of
// the values at fault; ours end up in logs, and so name only their kinds. What
// an expression says by error("…") is its author's business.
func runError(err error) error {
	if f, ok := err.(fault); ok {
		return fmt.Errorf("jq: %w", f.error)
	}
	var v gojq.ValueError
	if errors.As(err, &v) {
		if s, ok := v.Value().(string); ok {
			return errors.New(clip(s))
		}
		return errors.New("error with " + withArticle(gojq.TypeOf(v.Value())))
	}
	return errors.New("jq: " + withoutValues(err.Error()))
}

func clip(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

var application = regexp.MustCompile(`^([a-z0-9_]+)(\(.*\))? cannot be applied to`)

// withoutValues rewords "cannot add: object ({"a": …) and string ("b")" as
// "cannot add an object and a string".
func withoutValues(msg string) string {
	if m := application.FindStringSubmatch(msg); m != nil {
		at := strings.LastIndex(msg, " cannot be applied to: ")
		if kind := kindAt(msg[max(at, 0):], " cannot be applied to: "); at >= 0 && kind != "" {
			return m[1] + " cannot be applied to " + kind
		}
		return m[1] + " cannot be applied to this value"
	}
	if strings.HasPrefix(msg, "cannot divide number") || strings.HasPrefix(msg, "cannot modulo number") {
		return "cannot divide by 0"
	}
	head, rest, ok := strings.Cut(msg, ": ")
	first := kindAt(rest, "")
	if !ok || first == "" {
		return head
	}
	switch head {
	case "cannot add", "cannot subtract", "cannot multiply", "cannot divide", "cannot modulo":
		for at := strings.LastIndex(rest, " and "); at >= 0; at = strings.LastIndex(rest[:at], " and ") {
			if second := kindAt(rest[at:], " and "); second != "" {
				return head + " " + first + " and " + second
			}
		}
	}
	return head + " " + first
}

// kindAt is the kind of value that s names after the prefix, or "".
func kindAt(s, prefix string) string {
	s, _ = strings.CutPrefix(s, prefix)
	for _, kind := range []string{"null", "boolean", "number", "string", "array", "object"} {
		if s == kind || strings.HasPrefix(s, kind+" (") {
			return withArticle(kind)
		}
	}
	return ""
}
