package expr

import (
	"strconv"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/seawall-dev/seawall/seawall"
)

// call rewrites a variable or the call of a function.
func (r *rewriter) call(f *gojq.Func) *gojq.Query {
	q := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: f}}
	if strings.HasPrefix(f.Name, "$") {
		r.name(f.Name)
		return q
	}
	p, ok := functions[f.Name+"/"+strconv.Itoa(len(f.Args))]
	if !ok {
		r.unknown(f)
		return q
	}
	if p == special {
		return r.special(q, f)
	}
	for i := range f.Args {
		f.Args[i] = r.query(f.Args[i])
	}
	input, args := "", ""
	switch p {
	case free:
		return q
	case shallow:
		input, args = "__surface", "__surface"
	case across:
		input, args = "__across", "__across"
	case copies:
		input, args = "__copies", "__copies"
	case sorts:
		input = "__sorts"
	case each:
		input, args = "__surface", "__sorts"
	}
	if args != "" {
		for i := range f.Args {
			f.Args[i] = pipe(f.Args[i], meter(args))
		}
	}
	return pipe(pipe(identity(), meter(input)), q)
}

// special rewrites the calls that need more than a meter.
func (r *rewriter) special(q *gojq.Query, f *gojq.Func) *gojq.Query {
	one := len(f.Args) > 0 && single(f.Args[0])
	if pattern := regexArg(f); pattern != nil {
		r.regex(pattern, f)
	}
	for i := range f.Args {
		f.Args[i] = r.query(f.Args[i])
	}
	arg := func(i int) *gojq.Query {
		if i < len(f.Args) {
			return f.Args[i]
		}
		return null()
	}
	input := func(name string) *gojq.Query { return pipe(pipe(identity(), meter(name)), q) }
	switch f.Name {
	case "map_values":
		if one {
			return q
		}
		f.Args[0] = pipe(f.Args[0], meter("__across"))
		return input("__across")
	case "del":
		return input("__across")
	case "with_entries":
		return input("__surface")
	case "add":
		return pipe(pipe(&gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeArray, Array: &gojq.Array{Query: f.Args[0]}}},
			meter("__across")), call("add"))
	case "getpath", "setpath":
		f.Args[0] = pipe(f.Args[0], meter("__path"))
		return q
	case "nth":
		f.Args[0] = pipe(f.Args[0], meter("__index"))
		return q
	case "tonumber":
		return input("__number")
	case "explode":
		return input("__spread")
	case "strftime":
		f.Args[0] = pipe(f.Args[0], meter("__format"))
		return q
	case "split":
		if len(f.Args) == 1 {
			return input("__spread")
		}
		return call("__split", arg(0), arg(1), fuelVar())
	case "splits":
		return items(call("__split", arg(0), arg(1), fuelVar()))
	case "test":
		return call("__test", arg(0), arg(1), fuelVar())
	case "match", "capture", "scan":
		return items(call("__"+f.Name, arg(0), arg(1), fuelVar()))
	case "sub", "gsub":
		return substitute(f.Name, arg(0), f.Args[1], arg(2))
	case "contains":
		return call("__contains", arg(0), fuelVar())
	case "inside":
		return bind(identity(), "$__v", pipe(arg(0), call("__contains", call("$__v"), fuelVar())))
	case "indices":
		return call("__indices", arg(0), fuelVar())
	case "index":
		return call("__position", arg(0), number("0"), fuelVar())
	case "rindex":
		return call("__position", arg(0), number("-1"), fuelVar())
	case "join":
		return call("__join", arg(0), fuelVar())
	case "fromjson", "base64url":
		return meter("__" + f.Name)
	default: // a digest
		return call("__digest", words(f.Name), fuelVar())
	}
}

// substitute is sub and gsub: the pieces of the text, those that matched put
// through the replacement.
func substitute(name string, pattern, replacement, flags *gojq.Query) *gojq.Query {
	piece := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIf, If: &gojq.If{
		Cond: &gojq.Query{Left: call("type"), Op: gojq.OpEq, Right: words("object")},
		Then: replacement,
	}}}
	pieces := call("__cut", words(name), pattern, flags, fuelVar())
	return pipe(pipe(&gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeArray,
		Array: &gojq.Array{Query: pipe(items(pieces), piece)}}}, meter("__texts")), call("add"))
}

func (r *rewriter) unknown(f *gojq.Func) {
	if why, ok := refusals[f.Name]; ok {
		r.refuse(f.Name, why, "%s is not available", f.Name)
		return
	}
	names := map[string]bool{}
	var arity []string
	for key := range functions {
		name, n, _ := strings.Cut(key, "/")
		names[name] = true
		if name == f.Name {
			arity = append(arity, n)
		}
	}
	if len(arity) > 0 {
		r.refuse(f.Name, "", "%s does not take %d arguments", f.Name, len(f.Args))
		return
	}
	r.refuse(f.Name, closest(f.Name, names), "no function %s", f.Name)
}

// closest words the hint at the name that was probably meant.
func closest(name string, names map[string]bool) string {
	if near := seawall.Nearest(name, sorted(names)); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
