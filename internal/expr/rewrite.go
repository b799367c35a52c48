package expr

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// rewriter goes through an expression's tree, refuses what could run without
// bound or reach outside, and puts a meter before what costs more than the
// interpreter's steps: "a | sort" becomes "a | __sorts($__fuel) | sort". The
// meters (meter.go) give back their input, and so are no hindrance to paths.
type rewriter struct {
	source string
	scope  []string     // variables beside $event
	err    *SyntaxError // the first
	uses   uses
	links  []string // names that $link is asked for, as far as they are written out
}

// refuse notes what is wrong with the first occurrence of word.
func (r *rewriter) refuse(word, hint, format string, args ...any) {
	if r.err == nil {
		r.err = &SyntaxError{Offset: locate(r.source, word), Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
}

func (r *rewriter) query(q *gojq.Query) *gojq.Query {
	if q == nil || r.err != nil {
		return q
	}
	if len(q.FuncDefs) > 0 {
		r.refuse("def", "functions may call themselves without bound; write the expression out", "def is not available")
		return q
	}
	if q.Meta != nil || len(q.Imports) > 0 {
		r.refuse(strings.Fields(q.String())[0], "expressions reach no file", "modules are not available")
		return q
	}
	if q.Term != nil {
		return r.term(q.Term)
	}
	for _, p := range q.Patterns {
		r.pattern(p)
	}
	return r.operator(q)
}

func (r *rewriter) pattern(p *gojq.Pattern) {
	for _, e := range p.Array {
		r.pattern(e)
	}
	for _, kv := range p.Object {
		r.str(kv.KeyString)
		kv.KeyQuery = r.query(kv.KeyQuery)
		if kv.Val != nil {
			r.pattern(kv.Val)
		}
	}
}

// term rewrites a term and its suffixes, from left to right.
func (r *rewriter) term(t *gojq.Term) *gojq.Query {
	suffixes := t.SuffixList
	t.SuffixList = nil
	if t.Type == gojq.TermTypeFunc && t.Func.Name == "$event" && !beside(suffixes, "body") {
		r.uses |= usesBody
	}
	if t.Type == gojq.TermTypeFunc && t.Func.Name == LinkVar && len(suffixes) > 0 && suffixes[0].Index != nil && suffixes[0].Index.Name != "" {
		r.links = append(r.links, suffixes[0].Index.Name)
	}
	q := r.bare(t)
	for _, s := range suffixes {
		if s.Index != nil {
			r.index(s.Index)
		}
		if s.Iter {
			q = pipe(q, meter("__surface"))
		}
		if q.Term == nil {
			q = paren(q)
		}
		q.Term.SuffixList = append(q.Term.SuffixList, s)
	}
	return q
}

// bare rewrites a term that has no suffixes.
func (r *rewriter) bare(t *gojq.Term) *gojq.Query {
	switch t.Type {
	case gojq.TermTypeIndex:
		r.index(t.Index)
	case gojq.TermTypeFunc:
		return r.call(t.Func)
	case gojq.TermTypeObject:
		for _, kv := range t.Object.KeyVals {
			r.name(kv.Key)
			r.str(kv.KeyString)
			kv.KeyQuery, kv.Val = r.query(kv.KeyQuery), r.query(kv.Val)
		}
	case gojq.TermTypeArray:
		t.Array.Query = r.query(t.Array.Query)
	case gojq.TermTypeUnary:
		t.Unary.Term = asTerm(r.term(t.Unary.Term))
	case gojq.TermTypeNumber:
		if len(t.Number) > maxDigits {
			r.refuse(t.Number, "", "a number of more than %d digits", maxDigits)
		}
	case gojq.TermTypeFormat:
		if !formats[t.Format] {
			r.refuse(t.Format, closest(t.Format, formats), "no format %s", t.Format)
		} else if t.Str == nil {
			return pipe(pipe(identity(), meter("__copies")), &gojq.Query{Term: t})
		}
		r.str(t.Str)
	case gojq.TermTypeString:
		r.str(t.Str)
	case gojq.TermTypeIf:
		f := t.If
		f.Cond, f.Then, f.Else = r.query(f.Cond), r.query(f.Then), r.query(f.Else)
		for _, e := range f.Elif {
			e.Cond, e.Then = r.query(e.Cond), r.query(e.Then)
		}
	case gojq.TermTypeTry:
		t.Try.Body, t.Try.Catch = r.query(t.Try.Body), r.query(t.Try.Catch)
	case gojq.TermTypeReduce:
		e := t.Reduce
		e.Query, e.Start, e.Update = r.query(e.Query), r.query(e.Start), r.query(e.Update)
		for _, p := range e.Patterns {
			r.pattern(p)
		}
	case gojq.TermTypeForeach:
		e := t.Foreach
		e.Query, e.Start, e.Update, e.Extract = r.query(e.Query), r.query(e.Start), r.query(e.Update), r.query(e.Extract)
		for _, p := range e.Patterns {
			r.pattern(p)
		}
	case gojq.TermTypeLabel:
		t.Label.Body = r.query(t.Label.Body)
	case gojq.TermTypeQuery:
		return paren(r.query(t.Query))
	}
	return &gojq.Query{Term: t}
}

// index rewrites .[…]: an index from the payload may not make an assignment
// fill an array of any length.
func (r *rewriter) index(x *gojq.Index) {
	r.str(x.Str)
	if x.Start != nil && !x.IsSlice {
		if n := literal(x.Start); n == nil {
			x.Start = pipe(r.query(x.Start), meter("__index"))
		} else if i, err := strconv.ParseFloat(n.Number, 64); err == nil && i > maxIndex {
			r.refuse(n.Number, "", "an array of more than %d items", maxIndex)
		}
		return
	}
	x.Start, x.End = r.query(x.Start), r.query(x.End)
}

// str rewrites the interpolations of a text. All pieces are joined two by two,
// so each is paid for as often as there are pieces.
func (r *rewriter) str(s *gojq.String) {
	if s == nil {
		return
	}
	weight := strconv.Itoa(len(s.Queries))
	for i, q := range s.Queries {
		if q.Term != nil && q.Term.Type == gojq.TermTypeString && q.Term.Str.Queries == nil && len(q.Term.SuffixList) == 0 {
			continue // the text between
		}
		s.Queries[i] = &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery,
			Query: pipe(r.query(q), call("__pieces", number(weight), fuelVar()))}}
	}
}

// name checks the name of a variable.
func (r *rewriter) name(name string) {
	switch {
	case !strings.HasPrefix(name, "$"):
	case variables[name] != 0 && (name == "$event" || slices.Contains(r.scope, name)):
		r.uses |= variables[name]
	case variables[name] != 0:
		hint := thereAre(r.scope)
		if name == LinkVar {
			hint = "links are known when something is sent; " + hint
		}
		r.refuse(name, hint, "%s is not known here", name)
	case name == "$ENV":
		r.refuse(name, refusals["env"], "$ENV is not available")
	case name == "$destination", name == "$route":
		r.refuse(name, "", "%s is not in this version", name)
	}
}

// beside tells that suffixes begin with a plain name other than the one given.
func beside(suffixes []*gojq.Suffix, name string) bool {
	return len(suffixes) > 0 && suffixes[0].Index != nil && suffixes[0].Index.Name != "" && suffixes[0].Index.Name != name
}

// sorted lists names for a "did you mean".
func sorted(set map[string]bool) []string {
	var names []string
	for n := range set {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
