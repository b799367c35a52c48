// Package terminal writes for people: aligned tables, colours where they are
// wanted, times as distances, and strangers' text made safe to print. It
// imports the standard library only.
package terminal

import (
	"io"
	"os"
)

// Style colours text, or leaves it as it is: the zero value does that.
type Style struct{ Color bool }

// StyleOf colours for a terminal, unless the environment says NO_COLOR
// (no-color.org: set to anything but "") or TERM is "dumb".
func StyleOf(w io.Writer, env func(string) string) Style {
	return Style{Color: IsTerminal(w) && env("NO_COLOR") == "" && env("TERM") != "dumb"}
}

// IsTerminal tells whether what is written to w is shown to a person.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s Style) Bold(text string) string { return s.paint("1", text) }
func (s Style) Dim(text string) string  { return s.paint("2", text) }
func (s Style) Good(text string) string { return s.paint("32", text) }
func (s Style) Warn(text string) string { return s.paint("33", text) }
func (s Style) Bad(text string) string  { return s.paint("31", text) }

// State colours the name of a delivery's state, an attempt's outcome, an
// arrival's verdict or a destination's gate by what it means for a person.
func (s Style) State(name string) string {
	switch name {
	case "delivered", "ok", "new", "open":
		return s.Good(name)
	case "dead", "failed", "refused", "unknown", "rejected", "conflict", "disabled", "plan_error":
		return s.Bad(name)
	case "held", "pending", "sending", "paused", "unmatched":
		return s.Warn(name)
	}
	return name
}

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
