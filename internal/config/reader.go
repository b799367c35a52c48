package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// reader turns nodes into values, and notes every problem on the way, so that a
// person sees all of them at once. What it returns in place of a value that is
// wrong need not be right, only usable.
type reader struct {
	*document
	opt      Options
	warnings []string
	secrets  []string                   // what references under destinations stand for
	asked    map[string]map[string]bool // keys read, by name of the object in the schema
	settable map[string]bool            // SEAWALL_ variables that there are
	places   map[string]value           // of sources and destinations, by path
}

// object reads the keys of one mapping of the schema.
type object struct {
	r    *reader
	def  string // name in the schema; "" is the file itself
	path string
	node *node // nil if it is absent
	line int   // of its key
	col  int
	env  string // prefix of the variables that set its scalars; "" if they cannot be
}

// value is what stands under a key, or nothing.
type value struct {
	r    *reader
	path string
	node *node // nil if absent
	line int   // of its key, or of what should have it
	col  int
	env  string // name of the variable that set it
}

// open begins to read a mapping. All keys that it does not know are problems.
func (v value) open(def string) *object {
	o := &object{r: v.r, def: def, path: v.path, line: v.line, col: v.col}
	if v.node == nil || v.node.kind == empty || v.node.kind == broken {
		return o
	}
	if v.node.kind != mapping {
		v.fail("", "%s, where a mapping of keys is wanted", v.node.kind)
		return o
	}
	o.node = v.node
	known := shapes()[def]
	for _, p := range v.node.pairs {
		if _, ok := known.Properties[p.key]; !ok && !known.open() {
			o.unknown(p, known)
		}
	}
	return o
}

func (o *object) unknown(p pair, known shape) {
	path := join(o.path, p.key)
	if slices.Contains(known.Later, p.key) {
		o.r.fail(p.line, p.column, path, "", "not in this version")
		return
	}
	hint := ""
	if near := seawall.Nearest(p.key, known.keys()); near != "" {
		hint = "did you mean " + near + "?"
	} else if len(known.Properties) <= 12 {
		keys := known.keys()
		slices.Sort(keys)
		hint = "there are: " + strings.Join(keys, ", ")
	}
	o.r.fail(p.line, p.column, path, hint, "no such key")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// get returns what stands under a key, which the schema must know.
func (o *object) get(key string) value {
	if o.r.asked[o.def] == nil {
		o.r.asked[o.def] = map[string]bool{}
	}
	o.r.asked[o.def][key] = true
	v := value{r: o.r, path: join(o.path, key), line: o.line, col: o.col}
	if o.node != nil {
		if p := o.node.pair(key); p != nil {
			v.node, v.line, v.col = p.value, p.line, p.column
		}
	}
	return v
}

// has tells whether the key is written, be it with nothing behind it.
func (o *object) has(key string) bool { return o.node != nil && o.node.pair(key) != nil }

// set returns what stands under a key, or what its variable says instead.
func (o *object) set(key string) value {
	v := o.get(key)
	name := o.env + strings.ToUpper(key)
	o.r.settable[name] = true
	if text, ok := o.r.opt.Getenv(name); ok && text != "" {
		v.env = name
		v.node = &node{doc: o.r.document, kind: scalar, text: text, style: folded}
	}
	return v
}

// fail notes a problem with the value, at the value if there is one.
func (v value) fail(hint, format string, args ...any) {
	if v.node != nil && v.node.kind == broken {
		return
	}
	line, col := v.line, v.col
	if v.node != nil {
		line, col = v.node.line, v.node.column
	}
	v.failAt(line, col, hint, format, args...)
}

// failKey notes a problem at the key rather than the value.
func (v value) failKey(hint, format string, args ...any) {
	v.failAt(v.line, v.col, hint, format, args...)
}

func (v value) failAt(line, col int, hint, format string, args ...any) {
	p := &Problem{File: v.r.file, Line: line, Column: col, Key: v.path, Msg: fmt.Sprintf(format, args...), Hint: hint}
	if v.env != "" {
		p.File, p.Line, p.Column, p.Key = "environment", 0, 0, v.env
	}
	v.r.problems = append(v.r.problems, p)
}

// given tells that there is a value.
func (v value) given() bool { return v.node != nil && v.node.kind != empty }

func (v value) warn(format string, args ...any) {
	p := Problem{File: v.r.file, Line: v.line, Column: v.col, Key: v.path, Msg: fmt.Sprintf(format, args...)}
	if v.env != "" {
		p.File, p.Line, p.Column, p.Key = "environment", 0, 0, v.env
	}
	v.r.warnings = append(v.r.warnings, p.Error())
}

// list returns the items of a list.
func (v value) list() []value {
	if !v.given() || v.node.kind == broken {
		return nil
	}
	if v.node.kind != sequence {
		v.fail("write it in brackets, with commas between: [a, b]", "%s, where a list is wanted", v.node.kind)
		return nil
	}
	items := make([]value, len(v.node.items))
	for i, n := range v.node.items {
		items[i] = value{r: v.r, path: fmt.Sprintf("%s[%d]", v.path, i), node: n, line: n.line, col: n.column}
	}
	return items
}

// named returns the entries of a mapping whose keys are names, in their order.
func (v value) named(each func(name string, v value)) {
	if !v.given() || v.node.kind == broken {
		return
	}
	if v.node.kind != mapping {
		v.fail("", "%s, where a mapping of names is wanted", v.node.kind)
		return
	}
	for _, p := range v.node.pairs {
		entry := value{r: v.r, path: join(v.path, p.key), node: p.value, line: p.line, col: p.column}
		v.r.places[entry.path] = entry
		each(p.key, entry)
	}
}
