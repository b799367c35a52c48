package expr

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

const (
	maxRegex  = 1_000  // bytes of a regular expression
	maxProg   = 20_000 // instructions that it compiles to
	maxKept   = 256    // compiled ones kept
	perInstr  = 5      // of the program, for each byte that it runs over
	perMatch  = 500    // and for each group in it
	fastInstr = 8      // more instructions than this rarely work on one byte
)

type matcher struct {
	*regexp.Regexp
	size int64 // instructions
}

// matchers keeps those compiled, most of which the configuration holds.
var matchers struct {
	sync.Mutex
	m map[string]matcher
}

// compileRegex compiles a regular expression with jq's flags. They are RE2's, so
// matching is linear in the text; in the size of the expression too, hence the
// bounds.
func compileRegex(pattern, flags string) (matcher, error) {
	if len(pattern) > maxRegex {
		return matcher{}, fmt.Errorf("%w: a regular expression of more than %d bytes", ErrLimit, maxRegex)
	}
	prefix := ""
	for _, c := range flags {
		switch c {
		case 'g', 'n': // n: empty matches are not ignored; kept for those who write it
		case 'i':
			prefix += "(?i)"
		case 's':
			prefix += "(?s)"
		case 'x':
			pattern = strings.Join(strings.Fields(pattern), "")
		default:
			return matcher{}, fmt.Errorf("no flag %q for regular expressions; there are g, i, n, s, x", c)
		}
	}
	pattern = prefix + pattern
	matchers.Lock()
	m, ok := matchers.m[pattern]
	matchers.Unlock()
	if ok {
		return m, nil
	}
	m, err := buildRegex(pattern)
	if err != nil {
		return m, err
	}
	matchers.Lock()
	defer matchers.Unlock()
	if matchers.m == nil || len(matchers.m) >= maxKept {
		matchers.m = map[string]matcher{}
	}
	matchers.m[pattern] = m
	return m, nil
}

func buildRegex(pattern string) (matcher, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return matcher{}, &regexError{err}
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return matcher{}, &regexError{err}
	}
	if len(prog.Inst) > maxProg {
		return matcher{}, fmt.Errorf("%w: the regular expression repeats too much", ErrLimit)
	}
	re, err := regexp.Compile(pattern)
	return matcher{re, int64(len(prog.Inst))}, err
}

// regexError does not quote the expression, which may come from a payload.
type regexError struct{ err error }

func (e *regexError) Unwrap() error { return e.err }

func (e *regexError) Error() string {
	var s *syntax.Error
	if errors.As(e.err, &s) {
		return "regular expression: " + s.Code.String()
	}
	return "regular expression: not one"
}

// find returns the matches of a pattern in the text of in, as positions in
// bytes: at most one without the flag g, unless all.
func find(f *fuel, in any, args []any, all bool) (s string, m matcher, at [][]int, err error) {
	s, ok := in.(string)
	if !ok {
		return "", m, nil, fmt.Errorf("a regular expression on %s, not on a text", withArticle(gojq.TypeOf(in)))
	}
	pattern, flags, err := patternOf(args)
	if err != nil {
		return "", m, nil, err
	}
	f.spend(20_000) // were it to be compiled
	if m, err = compileRegex(pattern, flags); err != nil {
		return "", m, nil, err
	}
	cost := m.size*perInstr + int64(len(s))*max(m.size/fastInstr, 1)*perInstr
	if !f.spend(cost) {
		return "", m, nil, f.err
	}
	n, each := 1, int64(1+m.NumSubexp())*perMatch
	if all || strings.Contains(flags, "g") {
		n = int(f.left/each) + 1 // one more than can be paid for
	}
	at = m.FindAllStringSubmatchIndex(s, n)
	f.spend(int64(len(at)) * each)
	return s, m, at, f.err
}

// patternOf reads (pattern, flags) or ([pattern, flags], null).
func patternOf(args []any) (pattern, flags string, err error) {
	re, fl := args[0], args[1]
	if pair, ok := re.([]any); ok && fl == nil && len(pair) > 0 {
		re = pair[0]
		if len(pair) > 1 {
			fl = pair[1]
		}
	}
	pattern, ok := re.(string)
	flags, ok2 := fl.(string)
	if !ok || !ok2 && fl != nil {
		return "", "", fmt.Errorf("a regular expression must be text, with flags that are text")
	}
	return pattern, flags, nil
}

func regexTest(f *fuel, in any, args []any) any {
	_, _, at, err := find(f, in, args, false)
	if err != nil {
		return err
	}
	return len(at) > 0
}

// regexMatch gives jq's match objects, with positions in characters.
func regexMatch(f *fuel, in any, args []any) any {
	s, m, at, err := find(f, in, args, false)
	if err != nil {
		return err
	}
	names := m.SubexpNames()
	found := make([]any, len(at))
	bytes, chars := 0, 0
	for i, x := range at {
		chars += utf8.RuneCountInString(s[bytes:x[0]])
		bytes = x[0]
		groups := []any{}
		for g := 1; g < len(names); g++ {
			group := part(s, x[2*g], x[2*g+1])
			if x[2*g] >= 0 {
				f.spend(int64(x[2*g] - x[0]))
				group["offset"] = chars + utf8.RuneCountInString(s[x[0]:x[2*g]])
			}
			group["name"] = nil
			if names[g] != "" {
				group["name"] = names[g]
			}
			groups = append(groups, group)
		}
		whole := part(s, x[0], x[1])
		whole["offset"], whole["captures"] = chars, groups
		found[i] = whole
	}
	return found
}

func part(s string, from, to int) map[string]any {
	if from < 0 {
		return map[string]any{"offset": -1, "length": 0, "string": nil}
	}
	return map[string]any{"length": utf8.RuneCountInString(s[from:to]), "string": s[from:to]}
}

func regexCapture(f *fuel, in any, args []any) any {
	s, m, at, err := find(f, in, args, false)
	if err != nil {
		return err
	}
	found := make([]any, len(at))
	for i, x := range at {
		found[i] = named(s, m, x)
	}
	return found
}

func named(s string, m matcher, x []int) map[string]any {
	groups := map[string]any{}
	for g, name := range m.SubexpNames() {
		if name != "" {
			groups[name] = group(s, x, g)
		}
	}
	return groups
}

func group(s string, x []int, g int) any {
	if x[2*g] < 0 {
		return nil
	}
	return s[x[2*g]:x[2*g+1]]
}

func regexScan(f *fuel, in any, args []any) any {
	s, m, at, err := find(f, in, args, true)
	if err != nil {
		return err
	}
	found := make([]any, len(at))
	for i, x := range at {
		if m.NumSubexp() == 0 {
			found[i] = s[x[0]:x[1]]
			continue
		}
		groups := []any{}
		for g := 1; g <= m.NumSubexp(); g++ {
			groups = append(groups, group(s, x, g))
		}
		found[i] = groups
	}
	return found
}

func regexSplit(f *fuel, in any, args []any) any {
	s, _, at, err := find(f, in, args, true)
	if err != nil {
		return err
	}
	parts, from := []any{}, 0
	for _, x := range at {
		parts = append(parts, s[from:x[0]])
		from = x[1]
	}
	return append(parts, s[from:])
}

// regexCut cuts a text for sub and gsub: what did not match stays text, what did
// becomes the object of its named groups.
func regexCut(f *fuel, in any, args []any) any {
	s, m, at, err := find(f, in, args[1:], args[0] == "gsub")
	if err != nil {
		return err
	}
	parts, from := []any{}, 0
	for _, x := range at {
		parts = append(parts, s[from:x[0]], named(s, m, x))
		from = x[1]
	}
	return append(parts, s[from:])
}

// regexArg returns the regular expression of a call, if it takes one.
func regexArg(f *gojq.Func) *gojq.Query {
	switch f.Name {
	case "test", "match", "capture", "scan", "splits", "sub", "gsub":
		return f.Args[0]
	case "split":
		if len(f.Args) == 2 {
			return f.Args[0]
		}
	}
	return nil
}

// regex checks a regular expression that is written out, so that a mistake shows
// when the configuration is loaded.
func (r *rewriter) regex(pattern *gojq.Query, f *gojq.Func) {
	t := literal(pattern)
	if t == nil || t.Type != gojq.TermTypeString {
		return
	}
	_, err := compileRegex(t.Str.Str, "")
	var wrong *syntax.Error
	if errors.As(err, &wrong) { // this one is the configuration's, and can be quoted
		err = wrong
	}
	if err != nil {
		r.refuse(f.Name, "regular expressions are RE2's: no look-around, no back-references", "%s: %s", f.Name, err)
	}
}
