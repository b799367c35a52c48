package expr

import "github.com/itchyny/gojq"

// operator rewrites "left op right".
func (r *rewriter) operator(q *gojq.Query) *gojq.Query {
	switch q.Op {
	case gojq.OpUpdateAdd:
		return r.update(q, gojq.OpAdd)
	case gojq.OpUpdateSub:
		return r.update(q, gojq.OpSub)
	case gojq.OpUpdateMul:
		return r.update(q, gojq.OpMul)
	case gojq.OpUpdateDiv:
		return r.update(q, gojq.OpDiv)
	case gojq.OpUpdateMod:
		return r.update(q, gojq.OpMod)
	case gojq.OpUpdateAlt:
		return r.update(q, gojq.OpAlt)
	case gojq.OpModify:
		// What gives no result is deleted, by a walk through the whole value.
		deletes := !single(q.Right)
		q.Left, q.Right = r.query(q.Left), r.query(q.Right)
		if deletes {
			q.Right = pipe(q.Right, meter("__across"))
			return pipe(pipe(identity(), meter("__across")), q)
		}
		return q
	}

	left, right := literal(q.Left), literal(q.Right)
	if q.Op == gojq.OpMul {
		for _, side := range []*gojq.Query{q.Left, q.Right} {
			if !mayBeNumber(side) {
				r.refuse("*", "to merge objects write a + b", "* is for numbers only")
				return q
			}
		}
	}
	q.Left, q.Right = r.query(q.Left), r.query(q.Right)
	switch q.Op {
	case gojq.OpAdd:
		q.Left, q.Right = metered(q.Left, left, "__surface"), metered(q.Right, right, "__surface")
	case gojq.OpMul:
		q.Left, q.Right = metered(q.Left, left, "__factor"), metered(q.Right, right, "__factor")
	case gojq.OpDiv:
		q.Left = metered(q.Left, left, "__spread")
	case gojq.OpSub:
		if left == nil && right == nil {
			pair := identity()
			pair.Term.SuffixList = []*gojq.Suffix{{Index: &gojq.Index{Start: number("0")}}}
			other := identity()
			other.Term.SuffixList = []*gojq.Suffix{{Index: &gojq.Index{Start: number("1")}}}
			return pipe(call("__product", q.Left, q.Right, fuelVar()),
				&gojq.Query{Left: pair, Op: gojq.OpSub, Right: other})
		}
	case gojq.OpEq, gojq.OpNe, gojq.OpLt, gojq.OpLe, gojq.OpGt, gojq.OpGe:
		if left == nil && right == nil { // against a literal it costs nothing
			q.Left, q.Right = pipe(q.Left, meter("__across")), pipe(q.Right, meter("__across"))
		}
	}
	return q
}

func metered(q *gojq.Query, literal *gojq.Term, name string) *gojq.Query {
	if literal != nil {
		return q
	}
	return pipe(q, meter(name))
}

// update rewrites "a += b" as "b as $x | a |= . + $x", which is what it means.
func (r *rewriter) update(q *gojq.Query, op gojq.Operator) *gojq.Query {
	value := q.Right
	if op == gojq.OpMul && !mayBeNumber(value) {
		r.refuse("*=", "to merge objects write += b", "* is for numbers only")
		return q
	}
	change := &gojq.Query{Left: identity(), Op: op, Right: call("$__u")}
	return bind(r.query(value), "$__u", r.operator(&gojq.Query{Left: q.Left, Op: gojq.OpModify, Right: change}))
}

// mayBeNumber is false for what is plainly written as something else.
func mayBeNumber(q *gojq.Query) bool {
	if q.Term == nil || len(q.Term.SuffixList) > 0 {
		return true
	}
	switch q.Term.Type {
	case gojq.TermTypeString, gojq.TermTypeFormat, gojq.TermTypeObject, gojq.TermTypeArray,
		gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse:
		return false
	case gojq.TermTypeQuery:
		return mayBeNumber(q.Term.Query)
	}
	return true
}
