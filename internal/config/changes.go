package config

import (
	"strconv"
	"strings"
)

// Changes says what differs between two configurations, for the record of who
// changed it: by kind ("destinations"), names with + where one is new, - where
// it is gone and ~ where it is written otherwise. What references stand for is
// not compared: it is not part of a configuration.
func Changes(old, now *Config) map[string]string {
	out := map[string]string{}
	add := func(kind string, from, to []written) {
		if d := difference(from, to); d != "" {
			out[kind] = d
		}
	}
	add("systems", writtenOf(old.Declared(), func(s *System) written { return written{s.Name, s.text} }),
		writtenOf(now.Declared(), func(s *System) written { return written{s.Name, s.text} }))
	add("sources", writtenOf(old.Sources, func(s *Source) written { return written{s.Name, s.text} }),
		writtenOf(now.Sources, func(s *Source) written { return written{s.Name, s.text} }))
	add("entities", writtenOf(old.Entities, func(e *Entity) written { return written{e.Name, e.text} }),
		writtenOf(now.Entities, func(e *Entity) written { return written{e.Name, e.text} }))
	add("destinations", writtenOf(old.Destinations, func(d *Destination) written { return written{d.Name, d.text} }),
		writtenOf(now.Destinations, func(d *Destination) written { return written{d.Name, d.text} }))
	add("routes", writtenOf(old.Routes, func(r *Route) written { return written{r.Name, r.text} }),
		writtenOf(now.Routes, func(r *Route) written { return written{r.Name, r.text} }))
	if old.settings != now.settings {
		out["settings"] = "~"
	}
	return out
}

// written is one entry of the file: its name and how it is written.
type written struct{ name, text string }

func writtenOf[T any](entries []T, f func(T) written) []written {
	out := make([]written, len(entries))
	for i, e := range entries {
		out[i] = f(e)
	}
	return out
}

func difference(from, to []written) string {
	before := map[string]string{}
	for _, w := range from {
		before[w.name] = w.text
	}
	var words []string
	for _, w := range to {
		text, ok := before[w.name]
		delete(before, w.name)
		switch {
		case !ok:
			words = append(words, "+"+w.name)
		case text != w.text:
			words = append(words, "~"+w.name)
		}
	}
	for _, w := range from {
		if _, gone := before[w.name]; gone {
			words = append(words, "-"+w.name)
		}
	}
	return strings.Join(words, " ")
}

// String writes a node so that equal ones are equal, however they are laid out.
func (n *node) String() string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	switch n.kind {
	case mapping:
		b.WriteString("{")
		for _, p := range n.pairs {
			b.WriteString(strconv.Quote(p.key) + ": " + p.value.String() + ", ")
		}
		b.WriteString("}")
	case sequence:
		b.WriteString("[")
		for _, item := range n.items {
			b.WriteString(item.String() + ", ")
		}
		b.WriteString("]")
	case scalar:
		b.WriteString(strconv.Quote(n.text))
	}
	return b.String()
}

// settings is everything but the named maps and the routes.
func settings(root *node) string {
	var b strings.Builder
	if root != nil {
		for _, p := range root.pairs {
			switch p.key {
			case "systems", "sources", "entities", "destinations", "routes":
			default:
				b.WriteString(p.key + ": " + p.value.String() + "\n")
			}
		}
	}
	return b.String()
}
