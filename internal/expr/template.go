package expr

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Template is text with expressions in braces: "/users/{.id}". It is immutable
// and safe for concurrent use.
type Template struct {
	source string
	pieces []piece
}

// piece is literal text, or an expression.
type piece struct {
	text string
	code *Code
}

// CompileTemplate compiles text in which {…} holds an expression, and {{ and }}
// stand for braces; scope is [Compile]'s. The error is a *SyntaxError.
func CompileTemplate(source string, scope ...string) (*Template, error) {
	t := &Template{source: source}
	var literal strings.Builder
	for i := 0; i < len(source); {
		switch c := source[i]; {
		case strings.HasPrefix(source[i:], "{{"), strings.HasPrefix(source[i:], "}}"):
			literal.WriteByte(c)
			i += 2
		case c == '}':
			return nil, &SyntaxError{Offset: i, Msg: "a } without a {", Hint: "for a brace in the text write }}"}
		case c == '{':
			end := closing(source, i+1)
			if end < 0 {
				return nil, &SyntaxError{Offset: i, Msg: "a { without its }", Hint: "for a brace in the text write {{"}
			}
			code, err := Compile(source[i+1:end], scope...)
			if err != nil {
				return nil, shifted(err, i+1)
			}
			t.pieces = append(t.pieces, piece{text: literal.String()}, piece{code: code})
			literal.Reset()
			i = end + 1
		default:
			literal.WriteByte(c)
			i++
		}
	}
	t.pieces = append(t.pieces, piece{text: literal.String()})
	return t, nil
}

func shifted(err error, by int) error {
	if s, ok := err.(*SyntaxError); ok {
		s.Offset += by
	}
	return err
}

// closing finds the brace that ends an expression which begins at i: not one of
// an object, nor one in a text or a comment. It is -1 if there is none.
func closing(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"':
			if i = quoted(s, i+1); i < 0 {
				return -1
			}
			continue
		case '#':
			for i < len(s) && s[i] != '\n' {
				i++
			}
			continue
		}
		i++
	}
	return -1
}

// quoted skips a jq text that begins at i, interpolations included.
func quoted(s string, i int) int {
	for i < len(s) {
		switch {
		case s[i] == '"':
			return i + 1
		case strings.HasPrefix(s[i:], `\(`):
			if i = interpolated(s, i+2); i < 0 {
				return -1
			}
		case s[i] == '\\':
			i += 2
		default:
			i++
		}
	}
	return -1
}

func interpolated(s string, i int) int {
	for depth := 0; i < len(s); {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i + 1
			}
			depth--
		case '"':
			if i = quoted(s, i+1); i < 0 {
				return -1
			}
			continue
		}
		i++
	}
	return -1
}

// Source returns the template as written.
func (t *Template) Source() string { return t.source }

// Shown returns the same template with another Source: as it is written in a
// file, where this one has a secret in its place. Errors then do not quote the
// expressions either.
func (t *Template) Shown(source string) *Template {
	shown := &Template{source: source, pieces: slices.Clone(t.pieces)}
	for i, p := range shown.pieces {
		if p.code != nil {
			shown.pieces[i].code = p.code.Shown("…")
		}
	}
	return shown
}

// Constant tells whether the template has no expression.
func (t *Template) Constant() bool { return len(t.pieces) == 1 }

// Prefix returns the text before the first expression.
func (t *Template) Prefix() string { return t.pieces[0].text }

// Uses tells whether one of the expressions uses a variable.
func (t *Template) Uses(variable string) bool {
	return t != nil && slices.ContainsFunc(t.pieces, func(p piece) bool { return p.code.Uses(variable) })
}

// Links are those of its expressions.
func (t *Template) Links() (names []string) {
	if t != nil {
		for _, p := range t.pieces {
			names = append(names, p.code.Links()...)
		}
	}
	return names
}

// Eventful tells whether one of the expressions is.
func (t *Template) Eventful() bool {
	return t != nil && slices.ContainsFunc(t.pieces, func(p piece) bool { return p.code.Eventful() })
}

// Expand runs the expressions and puts their values, escaped, in their places.
// The error says which expression failed or gave nothing usable.
func (t *Template) Expand(ctx context.Context, in *Input, escape Escape) (string, error) {
	if t.Constant() {
		return t.pieces[0].text, nil
	}
	var out strings.Builder
	for _, p := range t.pieces {
		if p.code == nil {
			out.WriteString(p.text)
			continue
		}
		value, known, err := p.code.String(ctx, in)
		if err == nil {
			value, err = escape(out.String(), value, known)
		}
		if err != nil {
			return "", fmt.Errorf("{%s}: %w", p.code.source, err)
		}
		if out.WriteString(value); out.Len() > maxOutput {
			return "", errOutput
		}
	}
	return out.String(), nil
}
