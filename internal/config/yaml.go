package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFile  = 1 << 20 // bytes
	maxNodes = 100_000
	maxDepth = 20 // the deepest key there is lies at 5
)

// document is a file as a tree of nodes. Of YAML it takes what JSON has, in
// block and flow style: what anchors, tags and merges would add is not worth a
// file that says something else than it seems to.
type document struct {
	file     string
	lines    []string
	problems Errors
	nodes    int
}

func (d *document) fail(line, column int, key, hint, format string, args ...any) {
	d.problems = append(d.problems, &Problem{
		File: d.file, Line: line, Column: column, Key: key, Msg: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// parse reads the file. The root is nil if it is empty, or not readable at all.
func (d *document) parse(text []byte) (root *node) {
	if len(text) > maxFile {
		d.fail(0, 0, "", "", "larger than %d bytes", maxFile)
		return nil
	}
	d.lines = splitLines(string(text))
	if line, ok := deepLine(d.lines); ok {
		d.fail(line, 1, "", "", "nested deeper than %d", maxDepth)
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			d.fail(0, 0, "", "", "not YAML that can be read: %v", p)
			root = nil
		}
	}()
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range tree.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil
	case 1:
		return d.node(bodies[0], maxDepth)
	}
	line, column := position(bodies[1])
	d.fail(line, column, "", "", "a second document: a configuration is one")
	return nil
}

// splitLines cuts where YAML does (1.2.2, section 5.4).
func splitLines(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

// deepLine finds the line at which brackets or dashes nest far too deeply, before
// the parser recurses into them. It counts those in texts too, so it is generous.
func deepLine(lines []string) (line int, ok bool) {
	open := 0
	for i, l := range lines {
		for _, c := range []byte(l) {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(0, open-1)
			}
		}
		if open > 50*maxDepth || strings.Count(l, "- ")+strings.Count(l, "? ") > 50*maxDepth {
			return i + 1, true
		}
	}
	return 0, false
}

func (d *document) syntax(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		d.fail(0, 0, "", "", "not YAML: %s", first)
		return
	}
	at := syntax.Token.Position
	hint := ""
	switch line := d.line(at.Line); {
	case strings.Contains(syntax.Message, "must be specified") && bracketAt(line, at.Column):
		hint = "braces and brackets in a value need quotes around the whole value: '…{…}'"
	case bracesAtStart(line):
		hint = "braces at the start of a value need quotes around the whole value: '{…}'"
	case strings.Contains(syntax.Message, "mapping value"):
		hint = "a value that holds “: ” needs quotes around it"
	case strings.Contains(syntax.Message, "reserved"):
		hint = "put quotes around the value"
	case strings.Contains(syntax.Message, "'\t'"):
		hint = "indent with spaces, not with tabs"
	}
	d.fail(at.Line, max(at.Column, 1), "", hint, "not YAML: %s", syntax.Message)
}

func (d *document) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}

// bracketAt tells that a bracket opens at the column, right after a value that
// then has no end that YAML can see.
func bracketAt(line string, column int) bool {
	r := []rune(line)
	if column < 2 || column > len(r) {
		return false
	}
	return (r[column-1] == '{' || r[column-1] == '[') && !strings.ContainsRune(" \t{[,", r[column-2])
}

// bracesAtStart tells that a value of the line begins like a template or an
// expression in braces.
func bracesAtStart(line string) bool {
	for _, start := range []string{": {.", ": {$", ": {{", ": [{", "- {."} {
		if strings.Contains(line, start) {
			return true
		}
	}
	return false
}

func position(n ast.Node) (line, column int) {
	at := n.GetToken().Position
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		at = m.Values[0].Key.GetToken().Position
	}
	return at.Line, max(at.Column, 1)
}

func (d *document) node(n ast.Node, depth int) *node {
	line, column := position(n)
	out := &node{doc: d, line: line, column: column}
	if d.nodes++; d.nodes > maxNodes || depth == 0 {
		if d.nodes == maxNodes+1 || depth == 0 {
			d.fail(line, column, "", "", "too many values, or nested too deeply")
		}
		out.kind = broken
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind, out.flow = mapping, n.IsFlowStyle
		for _, v := range n.Values {
			d.pair(out, v, depth)
		}
		out.unquotedFile()
	case *ast.MappingValueNode:
		out.kind = mapping
		out.line, out.column = n.Key.GetToken().Position.Line, n.Key.GetToken().Position.Column
		d.pair(out, n, depth)
		out.unquotedFile()
	case *ast.SequenceNode:
		out.kind, out.flow = sequence, n.IsFlowStyle
		for _, v := range n.Values {
			out.items = append(out.items, d.node(v, depth-1))
		}
	case *ast.LiteralNode:
		out.text = n.Value.Value
		out.style = folded
		if n.GetToken().Type == token.LiteralType {
			out.style = literal
		}
	case *ast.StringNode:
		out.text = n.Value
		switch n.GetToken().Type {
		case token.DoubleQuoteType:
			out.style = double
		case token.SingleQuoteType:
			out.style = singleQuoted
		}
	case *ast.NullNode:
		out.kind = empty
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.text = n.GetToken().Value
	default:
		out.kind = broken
		d.fail(line, column, "", "write the value out", "not used in this file: %s of YAML", unused(n))
	}
	return out
}

// unquotedFile makes [file:x] the list of a text that it is: the parser takes it
// for the list of a mapping. No mapping has a key of that name.
func (n *node) unquotedFile() {
	if len(n.pairs) != 1 || n.pairs[0].key != "file" || n.pairs[0].value.kind != scalar {
		return
	}
	if text := "file:" + n.pairs[0].value.text; strings.HasPrefix(n.source(), text) {
		n.kind, n.text, n.pairs = scalar, text, nil
	}
}

func unused(n ast.Node) string {
	switch n.(type) {
	case *ast.AnchorNode:
		return "anchors"
	case *ast.AliasNode:
		return "aliases"
	case *ast.TagNode:
		return "tags"
	}
	return n.Type().YAMLName()
}

func (d *document) pair(m *node, v *ast.MappingValueNode, depth int) {
	at := v.Key.GetToken().Position
	key, ok := v.Key.(*ast.StringNode)
	name := v.Key.GetToken().Value
	if ok {
		name = key.Value
	} else if _, merge := v.Key.(*ast.MergeKeyNode); merge {
		d.fail(at.Line, at.Column, "", "write the value out", "not used in this file: merges of YAML")
		return
	}
	p := pair{key: name, line: at.Line, column: max(at.Column, 1), value: d.node(v.Value, depth-1)}
	if old := m.pair(name); old != nil {
		d.fail(p.line, p.column, name, "", "written twice: also in line %d", old.line)
		return
	}
	m.pairs = append(m.pairs, p)
}
