package config

import (
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	scalar kind = iota
	mapping
	sequence
	empty  // null
	broken // its problem is already noted
)

func (k kind) String() string {
	return [...]string{"a single value", "a mapping", "a list", "nothing", "nothing"}[k]
}

// style is how a scalar is written.
type style uint8

const (
	plain style = iota
	singleQuoted
	double
	literal // |
	folded  // >
)

// node is one value of the file.
type node struct {
	doc          *document
	kind         kind
	line, column int
	flow         bool
	text         string // of a scalar
	style        style
	pairs        []pair
	items        []*node
}

type pair struct {
	key          string
	line, column int
	value        *node
}

func (n *node) pair(key string) *pair {
	for i := range n.pairs {
		if n.pairs[i].key == key {
			return &n.pairs[i]
		}
	}
	return nil
}

// at finds the place in the file of the byte at offset in the scalar's text.
// Where lines are folded it is the start of the scalar.
func (n *node) at(offset int) (line, column int) {
	offset = min(max(offset, 0), len(n.text))
	before := n.text[:offset]
	if strings.TrimSpace(n.text) == "" {
		return n.line, n.column
	}
	switch n.style {
	case literal:
		row := strings.Count(before, "\n")
		first := n.doc.line(n.line + 1)
		for i := n.line + 2; strings.TrimSpace(first) == "" && i <= len(n.doc.lines); i++ {
			first = n.doc.line(i)
		}
		indent := len(first) - len(strings.TrimLeft(first, " "))
		return n.line + 1 + row, indent + 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	case folded:
		return n.line, n.column
	case plain:
		if strings.Contains(n.source(), n.text) {
			return n.line, n.column + utf8.RuneCountInString(before)
		}
		return n.line, n.column
	}
	width := n.width(utf8.RuneCountInString(before))
	if width < 0 {
		return n.line, n.column
	}
	return n.line, n.column + 1 + width
}

// from is the scalar from the byte at offset on, where that stands.
func (n *node) from(offset int) *node {
	rest := *n
	rest.text = n.text[offset:]
	switch line, column := n.at(offset); n.style {
	case plain:
		rest.line, rest.column = line, column
	case singleQuoted, double:
		rest.line, rest.column = line, column-1 // where a quote would be
	}
	return &rest
}

// source is the rest of the line that the scalar begins in.
func (n *node) source() string {
	line := []rune(n.doc.line(n.line))
	return string(line[min(n.column-1, len(line)):])
}

// width is how many characters of the file the first count characters of a
// quoted scalar take; -1 if they go past the line.
func (n *node) width(count int) int {
	raw := []rune(n.source())
	i := 1 // the quote
	for ; count > 0; count-- {
		switch {
		case i >= len(raw):
			return -1
		case n.style == singleQuoted && raw[i] == '\'', n.style == double && raw[i] == '\\' && i+1 < len(raw):
			i += escapeWidth(n.style, raw[i+1:])
		default:
			i++
		}
	}
	return i - 1
}

func escapeWidth(s style, after []rune) int {
	if s == double && len(after) > 0 {
		switch after[0] {
		case 'x':
			return 4
		case 'u':
			return 6
		case 'U':
			return 10
		}
	}
	return 2
}
