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

func compileError(source string, err error) error {
	e := &SyntaxError{Msg: err.Error()}
	if name, ok := strings.CutPrefix(e.Msg, "variable not defined: "); ok {
		e.Offset = locate(source, name)
		e.Msg = "no variable " + name
		e.Hint = "there are $event, and what the expression names itself with “as $name”"
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

// runError words a failure of the interpreter.
func runError(err error) error {
	var v gojq.ValueError
	if errors.As(err, &v) {
		if s, ok := v.Value().(string); ok {
			return errors.New(s) // error("…")
		}
	}
	return fmt.Errorf("jq: %w", err)
}
