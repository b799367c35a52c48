package provider

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// rewrite is something that proxies, frameworks and editors do to a body.
type rewrite struct {
	text string
	do   func([]byte) []byte // nil if it cannot be done
}

// Bodies larger than this are not tried in every combination.
const manyBodies = 256 << 10

// body tries what the body may have been when it was signed.
func (x *explanation) body() {
	seen := map[string]bool{string(x.r.Body): true}
	try := func(text string, body []byte) bool {
		if body == nil || seen[string(body)] {
			return false
		}
		if len(body) < manyBodies {
			seen[string(body)] = true
		}
		changed := *x.r
		changed.Body = body
		if !x.fits(&changed, x.s.keys) {
			return false
		}
		x.add("body_changed", "the body was changed on the way: the signature fits the body "+text,
			"pass the raw bytes on: no body parser, charset filter, compression or editor in between", true)
		return true
	}
	layouts := rewrites.layout
	if len(x.r.Body) > manyBodies {
		layouts = layouts[:1]
	}
	for _, layout := range layouts {
		for _, escape := range rewrites.escape {
			for _, end := range rewrites.end {
				body, text := x.r.Body, []string{}
				for _, w := range []rewrite{layout, escape, end} {
					if w.do == nil {
						continue
					}
					if body = w.do(body); body == nil {
						break
					}
					text = append(text, w.text)
				}
				if try(strings.Join(text, ", "), body) {
					return
				}
			}
		}
	}
	for _, w := range rewrites.whole {
		if try(w.text, w.do(x.r.Body)) {
			return
		}
	}
}

var rewrites = struct{ layout, escape, end, whole []rewrite }{
	layout: []rewrite{
		{"", nil},
		{"as compact JSON", compact},
		{"as JSON indented by 2", indent("  ")},
		{"as JSON indented by 4", indent("    ")},
		{"as JSON indented by tabs", indent("\t")},
		{"as JSON with a space after each comma and colon", spaced},
		{"as compact JSON with sorted names", sorted},
	},
	escape: []rewrite{
		{"", nil},
		{`with \uXXXX unescaped`, unescape},
		{`with what is not ASCII escaped as \uXXXX`, escape},
		{`with < > & escaped as \u003c and so on`, func(b []byte) []byte {
			var out bytes.Buffer
			json.HTMLEscape(&out, b)
			return out.Bytes()
		}},
		{`with / escaped as \/`, func(b []byte) []byte { return bytes.ReplaceAll(unslash(b), []byte("/"), []byte(`\/`)) }},
		{`with / escaped as \/ and what is not ASCII as \uXXXX`, func(b []byte) []byte {
			return escape(bytes.ReplaceAll(unslash(b), []byte("/"), []byte(`\/`)))
		}},
		{`with \/ unescaped`, unslash},
		{`with \/ and \uXXXX unescaped`, func(b []byte) []byte { return unescape(unslash(b)) }},
	},
	end: []rewrite{
		{"", nil},
		{"without the line break at its end", func(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }},
		{"with a line break at its end", func(b []byte) []byte { return append(bytes.Clone(b), '\n') }},
		{"with CR LF at its end", func(b []byte) []byte { return append(bytes.Clone(b), '\r', '\n') }},
	},
	whole: []rewrite{
		{"with LF for CR LF", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }},
		{"with CR LF for LF", func(b []byte) []byte {
			return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		}},
		{"without the spaces around it", bytes.TrimSpace},
		{"without its byte order mark", func(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\ufeff")) }},
		{"with a byte order mark", func(b []byte) []byte { return append([]byte("\ufeff"), b...) }},
		{"in ISO 8859-1 rather than UTF-8", latin1},
		{"in UTF-8 rather than ISO 8859-1", fromLatin1},
		{"decompressed", gunzip},
		{"of no bytes at all", func([]byte) []byte { return []byte{} }},
	},
}

func compact(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return nil
	}
	return out.Bytes()
}

func indent(by string) func([]byte) []byte {
	return func(b []byte) []byte {
		var out bytes.Buffer
		if json.Indent(&out, bytes.TrimSpace(b), "", by) != nil {
			return nil
		}
		return out.Bytes()
	}
}

// spaced is compact JSON with a space after each comma and colon, as Python
// writes it.
func spaced(b []byte) []byte {
	b = compact(b)
	out, inText := make([]byte, 0, len(b)+len(b)/8), false
	for i, c := range b {
		out = append(out, c)
		switch {
		case c == '"' && !escaped(b, i):
			inText = !inText
		case !inText && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	if len(b) == 0 {
		return nil
	}
	return out
}

// escaped tells whether an odd number of backslashes stands before i.
func escaped(b []byte, i int) bool {
	n := 0
	for i--; i >= 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

func sorted(b []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func unslash(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`\/`), []byte("/")) }

// escape writes what is not ASCII as \uXXXX, which leaves JSON the same.
func escape(b []byte) []byte {
	if !utf8.Valid(b) {
		return nil
	}
	var out bytes.Buffer
	for _, r := range string(b) {
		if r < utf8.RuneSelf {
			out.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, u)
		}
	}
	return out.Bytes()
}

// unescape writes \uXXXX as the character, except for those that JSON must
// escape.
func unescape(b []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(b); i++ {
		r, n := unicodeEscape(b[i:])
		if n == 0 || escaped(b, i) || r < ' ' || r == '"' || r == '\\' {
			out.WriteByte(b[i])
			continue
		}
		if low, m := unicodeEscape(b[i+n:]); utf16.IsSurrogate(r) && m > 0 {
			r, n = utf16.DecodeRune(r, low), n+m
		}
		out.WriteRune(r)
		i += n - 1
	}
	return out.Bytes()
}

// unicodeEscape reads a leading \uXXXX; n is 0 if there is none.
func unicodeEscape(b []byte) (r rune, n int) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, 0
	}
	for _, c := range b[2:6] {
		d := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if c >= '0' && c <= '9' {
			d = int(c - '0')
		}
		if d < 0 {
			return 0, 0
		}
		r = r<<4 | rune(d)
	}
	return r, 6
}

func latin1(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		if r > 0xff {
			return nil
		}
		out = append(out, byte(r))
	}
	return out
}

func fromLatin1(b []byte) []byte {
	var out bytes.Buffer
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.Bytes()
}

func gunzip(b []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(10*len(b))))
	if err != nil {
		return nil
	}
	return out
}
