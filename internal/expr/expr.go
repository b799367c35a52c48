// Package expr compiles and runs the expressions of the configuration: a
// bounded subset of jq. Expressions are written by operators, not by strangers,
// but they run on strangers' payloads: they reach no environment, file, network
// or clock, and are bounded in time, memory, input and output.
//
// An expression is refused at compile time if it could run without bound or
// reach outside (table.go lists all functions there are); what is left is
// rewritten so that whatever costs more than its length tells is paid for from
// the fuel of the run (fuel.go). docs/decisions/expressions.md says why.
package expr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

const (
	maxSource = 16 << 10 // bytes of an expression
	maxOutput = 1 << 20  // bytes of a result, as JSON
	maxDepth  = 64       // of a payload
)

// Code is a compiled expression. It is immutable and safe for concurrent use.
type Code struct {
	source  string
	path    []string // of a plain path such as .data.id; then jq is nil
	jq      *gojq.Code
	uses    uses
	assigns bool
	looks   bool // at the payload
	links   []string
}

// Compile compiles an expression in a scope: the names of variables, such as
// [CallVar], that it may use beside $event. The error is a *SyntaxError.
func Compile(source string, scope ...string) (code *Code, err error) {
	defer func() {
		if p := recover(); p != nil {
			code, err = nil, &SyntaxError{Msg: fmt.Sprintf("the expression broke the compiler: %v", p)}
		}
	}()
	if len(source) > maxSource {
		return nil, &SyntaxError{Msg: fmt.Sprintf("longer than %d bytes", maxSource)}
	}
	if at := strings.Index(source, "$__"); at >= 0 {
		return nil, &SyntaxError{Offset: at, Msg: "names that begin with $__ are not available"}
	}
	query, err := gojq.Parse(source)
	if err != nil {
		return nil, parseError(source, err)
	}
	if query.Term == nil && query.Right == nil {
		return nil, &SyntaxError{Msg: "empty expression", Hint: `"." is the whole payload`}
	}
	c := &Code{source: source, assigns: assigns(query), looks: looks(query)}
	if c.path = plainPath(query); c.path != nil {
		return c, nil
	}
	rw := &rewriter{source: source, scope: scope}
	query = rw.query(query)
	if rw.err != nil {
		return nil, rw.err
	}
	c.uses, c.links = rw.uses, rw.links
	if c.jq, err = gojq.Compile(query, options...); err != nil {
		return nil, compileError(source, scope, err)
	}
	return c, nil
}

// Source returns the expression as written.
func (c *Code) Source() string { return c.source }

// Path returns the names of an expression that is only a path, such as .data.id;
// nil if it is anything else.
func (c *Code) Path() []string { return slices.Clone(c.path) }

// Shown returns the same expression with another Source: as it is written in a
// file, where this one has a secret in its place.
func (c *Code) Shown(source string) *Code {
	shown := *c
	shown.source = source
	return &shown
}

// Uses tells whether the expression uses a variable, such as [LinkVar].
func (c *Code) Uses(variable string) bool { return c != nil && c.uses&variables[variable] != 0 }

// Links are the names that the expression asks [LinkVar] for, as far as they are
// written out.
func (c *Code) Links() []string {
	if c == nil {
		return nil
	}
	return slices.Clone(c.links)
}

// Eventful tells whether the expression looks at the payload or at $event: whether
// it is about one event rather than about its entity.
func (c *Code) Eventful() bool { return c != nil && (c.looks || c.Uses("$event")) }

// Assigns tells that the whole expression is an assignment, whose value is the
// changed input: in a condition that is nearly always a mistyped ==.
func (c *Code) Assigns() bool { return c.assigns }

// Run returns the expression's first output, nil if that is null or there is
// none. Numbers are int, float64, *big.Int or json.Number. The result may share
// memory with the input: neither may be changed.
//
// The error tells that the payload cannot be read, that the expression failed on
// it, or that it ran out of its bounds ([ErrLimit]).
func (c *Code) Run(ctx context.Context, in *Input) (any, error) {
	v, err := c.run(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := checkOutput(v); err != nil {
		return nil, err
	}
	return v, nil
}

func (c *Code) run(ctx context.Context, in *Input) (v any, err error) {
	payload, err := in.Payload()
	if err != nil {
		return nil, err
	}
	if c.path != nil {
		return follow(payload, c.path)
	}
	f := newFuel(ctx)
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("the expression broke the interpreter: %v", p)
		}
	}()
	vars, err := in.variables(c.uses)
	if err != nil {
		return nil, err
	}
	v, ok := c.jq.RunWithContext(f, payload, append(vars, f)...).Next()
	if !ok {
		return nil, f.failed() // no output is null
	}
	if failure, ok := v.(error); ok {
		if err := f.failed(); err != nil {
			return nil, err
		}
		return nil, runError(failure)
	}
	return v, nil
}

// Bool is Run's result by jq's rule: everything is true but false and null.
func (c *Code) Bool(ctx context.Context, in *Input) (bool, error) {
	v, err := c.run(ctx, in)
	if err != nil {
		return false, err
	}
	return v != nil && v != false, nil
}

// String is Run's result as text: strings as they are, numbers in the digits
// that they came in, true and false. ok is false if it is null. Arrays and
// objects are an error.
func (c *Code) String(ctx context.Context, in *Input) (s string, ok bool, err error) {
	v, err := c.run(ctx, in)
	if err != nil {
		return "", false, err
	}
	return text(v)
}

// JSON is Run's result as JSON, keys in alphabetical order.
func (c *Code) JSON(ctx context.Context, in *Input) ([]byte, error) {
	v, err := c.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	b, err := gojq.Marshal(v)
	if err == nil && len(b) > maxOutput {
		err = errOutput
	}
	return b, err
}

func text(v any) (s string, ok bool, err error) {
	switch v := v.(type) {
	case nil:
		return "", false, nil
	case string:
		if len(v) > maxOutput {
			return "", false, errOutput
		}
		return v, true, nil
	case []any, map[string]any:
		return "", false, fmt.Errorf("gives %s, where text or a number is wanted", withArticle(gojq.TypeOf(v)))
	default:
		b, err := gojq.Marshal(v)
		return string(b), err == nil, err
	}
}

func withArticle(kind string) string {
	if kind == "null" {
		return kind
	}
	if kind == "array" || kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

// checkOutput refuses what would be larger than maxOutput as JSON, escapes
// aside, before anything walks through it: it may hold one part many times.
func checkOutput(v any) error {
	left := int64(maxOutput)
	if !measure(v, &left, 0) {
		return errOutput
	}
	return nil
}

func measure(v any, left *int64, depth int) bool {
	if *left -= 2; *left < 0 || depth > deepest {
		return false
	}
	switch v := v.(type) {
	case string:
		*left -= int64(len(v))
	case []any:
		for _, e := range v {
			if !measure(e, left, depth+1) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if *left -= int64(len(k)); !measure(e, left, depth+1) {
				return false
			}
		}
	}
	return *left >= 0
}

var errOutput = fmt.Errorf("%w: the result is larger than %d bytes", ErrLimit, maxOutput)

// ErrLimit is part of every error that says that an expression went out of its
// bounds, rather than that it is wrong about the payload.
var ErrLimit = errors.New("out of bounds")

// plainPath recognises .a.b.c, which most expressions are, and which needs no
// interpreter.
func plainPath(q *gojq.Query) []string {
	t := q.Term
	if t == nil || q.Meta != nil || len(q.Imports)+len(q.FuncDefs) > 0 ||
		t.Type != gojq.TermTypeIndex || t.Index.Name == "" {
		return nil
	}
	path := []string{t.Index.Name}
	for _, s := range t.SuffixList {
		if s.Index == nil || s.Index.Name == "" {
			return nil
		}
		path = append(path, s.Index.Name)
	}
	return path
}

func follow(v any, path []string) (any, error) {
	for _, key := range path {
		switch object := v.(type) {
		case nil:
			return nil, nil
		case map[string]any:
			v = object[key]
		default:
			return nil, fmt.Errorf(".%s of %s, which is no object", key, withArticle(gojq.TypeOf(v)))
		}
	}
	return v, nil
}

func assigns(q *gojq.Query) bool {
	return q.Term == nil && q.Op >= gojq.OpAssign
}
