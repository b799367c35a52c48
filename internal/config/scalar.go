package config

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

// scalar tells that the value is a single one, or notes that it is not.
func (v value) scalar() bool {
	if v.node == nil || v.node.kind == broken {
		return false
	}
	switch v.node.kind {
	case scalar:
		return true
	case empty:
		v.failKey("", "has no value")
	case mapping:
		hint := ""
		if v.node.flow {
			hint = "braces at the start of a value need quotes around the whole value: '{…}'"
		}
		v.fail(hint, "a mapping, where a single value is wanted")
	case sequence:
		hint := ""
		if v.node.flow {
			hint = "brackets at the start of a value need quotes around the whole value: '[…]'"
		}
		v.fail(hint, "a list, where a single value is wanted")
	}
	return false
}

// text is the scalar with its references followed; "" if it is absent or wrong.
func (v value) text() string {
	if !v.scalar() {
		return ""
	}
	r := v.resolve(nil)
	if !r.ok {
		return ""
	}
	if r.text == "" {
		v.fail("", "is empty")
	}
	return r.text
}

// oneOf is a text from a list.
func (v value) oneOf(usual string, words ...string) string {
	s := v.text()
	if s == "" || slices.Contains(words, s) {
		return or(s, usual)
	}
	hint := "one of: " + strings.Join(words, ", ")
	if near := seawall.Nearest(s, words); near != "" {
		hint = "did you mean " + near + "?"
	}
	v.fail(hint, "%s is not one of the values that there are", v.quote(s))
	return usual
}

func or(s, usual string) string {
	if s == "" {
		return usual
	}
	return s
}

// quote words a value for a message: as it is written, where that is a reference
// to something that may be secret.
func (v value) quote(s string) string {
	if v.node != nil && v.env == "" && (strings.Contains(v.node.text, "${") || strings.HasPrefix(v.node.text, "file:")) {
		s = v.node.text
	}
	return strconv.Quote(clip(s))
}

// clip keeps error messages short, and most of a secret in the wrong place out
// of them.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

const durationHint = "a number and a unit: 500ms, 10s, 5m, 75h, 30d"

// duration is between least and most, and usual if absent.
func (v value) duration(usual, least, most time.Duration) time.Duration {
	s := v.text()
	if s == "" {
		return usual
	}
	d, err := parseDuration(s)
	switch {
	case err != nil:
		v.fail(durationHint, "%s is not a duration", v.quote(s))
	case d < least:
		v.fail("", "%s is too short: at least %s", v.quote(s), spell(least))
	case d > most:
		v.fail("", "%s is too long: at most %s", v.quote(s), spell(most))
	default:
		return d
	}
	return usual
}

// spell writes a duration as the file would.
func spell(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return d.String()
}

// size is in bytes.
func (v value) size(usual, least, most int64) int64 {
	s := v.text()
	if s == "" {
		return usual
	}
	n, err := parseSize(s)
	switch {
	case err != nil:
		v.fail("a number and a unit: 512KiB, 5MiB, 1GiB", "%s is not a size", v.quote(s))
	case n < least:
		v.fail("", "%s is too little: at least %d bytes", v.quote(s), least)
	case n > most:
		v.fail("", "%s is too much: at most %d bytes", v.quote(s), most)
	default:
		return n
	}
	return usual
}

func (v value) number(usual, least, most int) int {
	s := v.text()
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		v.fail("", "%s is not a whole number from %d to %d", v.quote(s), least, most)
		return usual
	}
	return n
}

func (v value) yes() bool {
	return v.oneOf("false", "true", "false") == "true"
}

func (v value) prefixes() (out []netip.Prefix) {
	for _, item := range v.list() {
		s := item.text()
		if s == "" {
			continue
		}
		p, err := parsePrefix(s)
		if err != nil {
			item.fail("for example 10.20.0.0/16, or one address", "%s is not a range of addresses", item.quote(s))
			continue
		}
		out = append(out, p)
	}
	return out
}

// code is an expression; nil if it is absent or wrong. What a reference stands
// for must lie within a text of the expression: it is escaped as such. scope are
// the variables beside $event.
func (v value) code(scope ...string) *expr.Code {
	if !v.scalar() {
		return nil
	}
	r := v.resolve(func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			return ""
		}
		return string(b[1 : len(b)-1])
	})
	if !r.ok {
		return nil
	}
	c, err := expr.Compile(r.text, scope...)
	if err != nil {
		v.syntax(err, r)
		return nil
	}
	if r.refs > 0 {
		c = c.Shown(v.node.text)
	}
	return c
}

// template is text with expressions in braces. Braces in what a reference stands
// for are only braces.
func (v value) template(scope ...string) *expr.Template {
	if !v.scalar() {
		return nil
	}
	// $${ stands for ${, and ${NAME} is followed before braces are looked at.
	r := v.resolve(braces.Replace)
	if !r.ok {
		return nil
	}
	if r.text == "" {
		v.fail("", "is empty")
		return nil
	}
	t, err := expr.CompileTemplate(r.text, scope...)
	if err != nil {
		v.syntax(err, r)
		return nil
	}
	if r.refs > 0 {
		t = t.Shown(v.node.text)
	}
	return t
}

// syntax notes what is wrong with an expression, where in the file it is.
func (v value) syntax(err error, r resolved) {
	var at *expr.SyntaxError
	if !errors.As(err, &at) || r.refs > 0 {
		v.fail("", "%v", err)
		return
	}
	line, col := v.node.at(at.Offset)
	v.failAt(line, col, at.Hint, "%s", at.Msg)
}
