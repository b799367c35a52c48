package expr

import (
	"strings"

	"github.com/itchyny/gojq"
)

// Pieces of trees.

func identity() *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}
}

func number(digits string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeNumber, Number: digits}}
}

func words(s string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeString, Str: &gojq.String{Str: s}}}
}

func null() *gojq.Query { return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeNull}} }

func call(name string, args ...*gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: args}}}
}

func fuelVar() *gojq.Query { return call("$__fuel") }

func meter(name string) *gojq.Query { return call(name, fuelVar()) }

func pipe(l, r *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: l, Op: gojq.OpPipe, Right: r}
}

func paren(q *gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: q}}
}

func items(q *gojq.Query) *gojq.Query {
	q = paren(q)
	q.Term.SuffixList = []*gojq.Suffix{{Iter: true}}
	return q
}

// bind is "l as $name | r".
func bind(l *gojq.Query, name string, r *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: l, Patterns: []*gojq.Pattern{{Name: name}}, Op: gojq.OpPipe, Right: r}
}

func asTerm(q *gojq.Query) *gojq.Term {
	if q.Term == nil {
		q = paren(q)
	}
	return q.Term
}

// literal returns the term of a number, text, null, true or false that is
// written out, negative ones included; else nil.
func literal(q *gojq.Query) *gojq.Term {
	t := q.Term
	if t == nil || len(t.SuffixList) > 0 {
		return nil
	}
	switch t.Type {
	case gojq.TermTypeNumber, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse:
		return t
	case gojq.TermTypeString:
		if t.Str.Queries == nil {
			return t
		}
	case gojq.TermTypeUnary:
		return literal(&gojq.Query{Term: t.Unary.Term})
	}
	return nil
}

// several are the functions that may give no result or more than one.
var several = map[string]bool{
	"empty": true, "select": true, "path": true, "paths": true, "first": true, "last": true, "nth": true, "limit": true, "skip": true,
	"values": true, "nulls": true, "strings": true, "numbers": true, "booleans": true, "arrays": true, "objects": true,
	"iterables": true, "scalars": true, "finites": true, "normals": true,
	"match": true, "capture": true, "scan": true, "splits": true, "walk": true, "map_values": true,
}

// single tells that the expression certainly gives one result, or an error.
func single(q *gojq.Query) bool {
	if q == nil {
		return true
	}
	if q.Term == nil {
		return q.Op != gojq.OpComma && q.Op != gojq.OpModify && single(q.Left) && single(q.Right)
	}
	t := q.Term
	for _, s := range t.SuffixList {
		if s.Index == nil || !single(s.Index.Start) || !single(s.Index.End) || !singleText(s.Index.Str) {
			return false
		}
	}
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber, gojq.TermTypeArray:
		return true
	case gojq.TermTypeIndex:
		return single(t.Index.Start) && single(t.Index.End) && singleText(t.Index.Str)
	case gojq.TermTypeString, gojq.TermTypeFormat:
		return singleText(t.Str)
	case gojq.TermTypeUnary:
		return single(&gojq.Query{Term: t.Unary.Term})
	case gojq.TermTypeQuery:
		return single(t.Query)
	case gojq.TermTypeFunc:
		for _, a := range t.Func.Args {
			if !single(a) {
				return false
			}
		}
		return !several[t.Func.Name]
	case gojq.TermTypeIf:
		for _, e := range t.If.Elif {
			if !single(e.Cond) || !single(e.Then) {
				return false
			}
		}
		return single(t.If.Cond) && single(t.If.Then) && single(t.If.Else)
	case gojq.TermTypeObject:
		for _, kv := range t.Object.KeyVals {
			if !single(kv.KeyQuery) || !single(kv.Val) || !singleText(kv.KeyString) {
				return false
			}
		}
		return true
	}
	return false
}

func singleText(s *gojq.String) bool {
	if s == nil {
		return true
	}
	for _, q := range s.Queries {
		if !single(q) {
			return false
		}
	}
	return true
}

// looks tells whether an expression may look at its input: a function does, unless
// it is a variable.
func looks(q *gojq.Query) bool {
	switch {
	case q == nil:
		return false
	case q.Term != nil:
		return termLooks(q.Term)
	case q.Op == gojq.OpPipe && len(q.Patterns) == 0:
		return looks(q.Left) // whose output is the input of what follows
	default:
		return looks(q.Left) || looks(q.Right)
	}
}

func termLooks(t *gojq.Term) bool {
	for _, s := range t.SuffixList {
		if s.Index != nil && (looks(s.Index.Start) || looks(s.Index.End) || textLooks(s.Index.Str)) {
			return true
		}
	}
	switch t.Type {
	case gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
		return false
	case gojq.TermTypeFunc:
		return !strings.HasPrefix(t.Func.Name, "$")
	case gojq.TermTypeString:
		return textLooks(t.Str)
	case gojq.TermTypeFormat:
		return t.Str == nil || textLooks(t.Str)
	case gojq.TermTypeArray:
		return looks(t.Array.Query)
	case gojq.TermTypeUnary:
		return termLooks(t.Unary.Term)
	case gojq.TermTypeQuery:
		return looks(t.Query)
	}
	return true
}

func textLooks(s *gojq.String) bool {
	if s == nil {
		return false
	}
	for _, q := range s.Queries {
		if looks(q) {
			return true
		}
	}
	return false
}
