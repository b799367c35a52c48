package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text that a stranger wrote safe to print on one line: control
// characters, escape sequences, line ends, invisible and direction-changing
// characters and bytes that are not UTF-8 are shown as escapes, so that a
// payload can neither move the cursor nor pretend to be something else.
func Clean(text string) string { return clean(text, false) }

// CleanLines does the same for text of several lines: line feeds and tabs stay.
func CleanLines(text string) string { return clean(text, true) }

func clean(text string, lines bool) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !printable(r, lines) }) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case printable(r, lines):
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
		i += size
	}
	return out.String()
}

// printable: a replacement character may stand for a byte that is not UTF-8, so
// it is looked at more closely.
func printable(r rune, lines bool) bool {
	if lines && (r == '\n' || r == '\t') {
		return true
	}
	return r != utf8.RuneError && unicode.IsPrint(r)
}

// Clip cuts text to at most n characters, an ellipsis included.
func Clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)
	return string(runes[:n-1]) + "…"
}
