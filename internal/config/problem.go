package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// Problem is one thing that is wrong with a configuration, and where.
type Problem struct {
	File   string // as it was named; "environment" for what a SEAWALL_ variable says
	Line   int    // from 1; 0 if it is not about a place
	Column int    // from 1, in characters
	Key    string // for example routes[0].to
	Msg    string
	Hint   string // what to do; may be ""
}

// Error is the problem in one line, without the hint.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Is makes every problem one of kind [seawall.ErrInvalid].
func (p *Problem) Is(target error) bool { return target == seawall.ErrInvalid }

// Errors is everything that is wrong with a configuration, in the order of the
// file.
type Errors []*Problem

// Error lists the problems, one a line, each followed by its hint.
func (es Errors) Error() string {
	var lines []string
	for _, p := range es {
		lines = append(lines, p.Error())
		if p.Hint != "" {
			lines = append(lines, "hint: "+p.Hint)
		}
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As see each problem.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, p := range es {
		out[i] = p
	}
	return out
}

// sorted puts the problems in the order of the file, each once: a value that is
// read twice is wrong twice.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key))
	})
	return slices.CompactFunc(es, func(a, b *Problem) bool { return *a == *b })
}
