// Command reference writes docs/configuration.md from the schema of the
// configuration. It is run by go generate in the directory above.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"encoding/json/jsontext"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
)

//go:embed intro.md
var intro string

func main() {
	text, err := reference(config.Schema())
	if err == nil {
		err = os.WriteFile("../../docs/configuration.md", text, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// object is an object of the schema, or a scalar's definition.
type object struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Type        string   `json:"x-type"`
	Properties  ordered  `json:"properties"`
	Required    []string `json:"required"`

	Other string         `json:"x-other"` // what keys beside these are
	Each  jsontext.Value `json:"additionalProperties"`
}

// others is what stands under keys that are names, if there may be such.
func (o object) others() (out []named) {
	if o.Other == "" {
		return nil
	}
	n := named{name: o.Other}
	if err := json.Unmarshal(o.Each, &n.property); err != nil {
		return nil
	}
	return append(out, n)
}

type property struct {
	Description string         `json:"description"`
	Ref         string         `json:"$ref"`
	Type        string         `json:"x-type"`
	JSONType    any            `json:"type"`
	Enum        []string       `json:"enum"`
	Default     jsontext.Value `json:"default"`
	Examples    []any          `json:"examples"`
	Each        *property      `json:"additionalProperties"`
	Items       *property      `json:"items"`
}

// ordered are properties in the order of the file.
type ordered []named

type named struct {
	name string
	property
}

func (o *ordered) UnmarshalJSON(b []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		n := named{name: name.String()}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if err := json.Unmarshal(value, &n.property); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		*o = append(*o, n)
	}
	return nil
}

type schema struct {
	object
	Defs map[string]object `json:"$defs"`
}

func reference(text []byte) ([]byte, error) {
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString(strings.Replace(intro, "{{variables}}", strings.Join(s.variables(), "\n"), 1))
	out.WriteString("\n## All keys\n\nAt the top of the file:\n\n")
	s.table(&out, s.object)
	written := map[string]bool{}
	s.sections(&out, s.object, written)
	return out.Bytes(), nil
}

// sections writes a section for every object that o's properties lead to.
func (s *schema) sections(out *bytes.Buffer, o object, written map[string]bool) {
	for _, p := range append(o.others(), o.Properties...) {
		name := s.target(p.property)
		def := s.Defs[name]
		if written[name] || len(def.Properties) == 0 {
			continue
		}
		written[name] = true
		fmt.Fprintf(out, "\n### %s\n\n", def.Title)
		if def.Description != "" {
			out.WriteString(def.Description + "\n\n")
		}
		s.table(out, def)
		s.sections(out, def, written)
	}
}

// target is the name of the object that a property holds, alone or several.
func (s *schema) target(p property) string {
	switch {
	case p.Ref == "#/$defs/anySecret":
		return "secret"
	case strings.Contains(p.Type, "](#"): // a value, or an object
		_, rest, _ := strings.Cut(p.Type, "](#")
		name, _, _ := strings.Cut(rest, ")")
		return name
	case p.Ref != "":
		return strings.TrimPrefix(p.Ref, "#/$defs/")
	case p.Each != nil:
		return s.target(*p.Each)
	case p.Items != nil:
		return s.target(*p.Items)
	}
	return ""
}

func (s *schema) table(out *bytes.Buffer, o object) {
	out.WriteString("| key | holds | default | |\n|---|---|---|---|\n")
	for _, p := range o.others() {
		fmt.Fprintf(out, "| %s | %s | | %s |\n", p.name, s.holds(p), escape(p.Description))
	}
	for _, p := range o.Properties {
		about := p.Description
		if len(p.Examples) > 0 {
			about += " For example " + code(p.Examples[0]) + "."
		}
		usual := ""
		for _, r := range o.Required {
			if r == p.name {
				usual = "needed"
			}
		}
		if p.Default != nil {
			usual = value(p.Default)
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", p.name, s.holds(p), usual, escape(about))
	}
}

func (s *schema) holds(p named) string {
	if p.Type != "" {
		return p.Type
	}
	if len(p.Enum) > 0 {
		words := make([]string, len(p.Enum))
		for i, w := range p.Enum {
			words[i] = code(w)
		}
		return escape(strings.Join(words, ", "))
	}
	name := s.target(p.property)
	def := s.Defs[name]
	link := fmt.Sprintf("[%s](#%s)", def.Title, def.Title)
	switch {
	case def.Type != "":
		return def.Type
	case p.Ref == "#/$defs/anySecret":
		return "secret, or [secret](#secret) with an end"
	case p.Each != nil:
		return "mapping of names to " + link
	case p.Items != nil:
		return "list of " + link
	case len(def.Properties) > 0:
		return link
	}
	return fmt.Sprint(p.JSONType)
}

func value(raw jsontext.Value) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if strings.ContainsAny(text, "` ") {
			return text // words, not a value
		}
		return code(text)
	}
	return code(string(raw))
}

func code(v any) string {
	if list, ok := v.([]any); ok {
		words := make([]string, len(list))
		for i, w := range list {
			words[i] = fmt.Sprintf("%q", w)
		}
		v = "[" + strings.Join(words, ", ") + "]"
	}
	return fmt.Sprintf("`%v`", v)
}

// escape keeps bars from ending a cell of a table.
func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// variables lists the names that set scalars outside the named maps.
func (s *schema) variables() (out []string) {
	for _, p := range s.Properties {
		def := s.Defs[s.target(p.property)]
		switch {
		case p.Each != nil, p.Items != nil, strings.HasPrefix(def.Type, "list"):
		case len(def.Properties) == 0:
			out = append(out, fmt.Sprintf("- `SEAWALL_%s`", strings.ToUpper(p.name)))
		default:
			for _, q := range def.Properties {
				if kind := s.Defs[s.target(q.property)].Type; kind != "secret" && !strings.HasPrefix(kind, "list") && !strings.HasPrefix(q.Type, "list") {
					out = append(out, fmt.Sprintf("- `SEAWALL_%s_%s`", strings.ToUpper(p.name), strings.ToUpper(q.name)))
				}
			}
		}
	}
	return out
}
