package expr

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whatever is written either does not compile, with a place that exists, or runs
// within its bounds.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		".", ".a.b", "{a: .b[]?, c: \"\\(.d)\"}", ".[] |= select(. > 1)", "reduce .[] as [$a, {b: $c}] (0; . + $a)",
		"label $out | foreach .[] as $x (0; . + $x; if . > 3 then ., break $out else empty end)",
		"gsub(\"(?<x>a+)\"; .x + \"b\")", "[limit(3; .[])] | add // {} | tojson", "try error(\"x\") catch .",
		". as [$a] ?// $a | $a", "-.a * 3 % 2", "@base64 \"x\\(.)\"", "del(..|.a?)", "walk(.)", "$event.headers[\"a\"]",
		".a += 1 | .b //= 2", ".[1:3] = [9]", "first(.[] | paths)", "sort_by(.a, .b) | group_by(.c)", "if . then 1 elif 2 then 3 end",
	} {
		f.Add(s, `{"a":[1,{"b":"x"}],"d":12345678901234567890}`)
	}
	f.Fuzz(func(t *testing.T, source, payload string) {
		code, err := Compile(source)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(source) || syntax.Msg == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		in := NewInput([]byte(payload), "", Event{ID: "evt_1"})
		if _, err := in.Payload(); err != nil {
			return
		}
		start := time.Now()
		out, err := code.JSON(t.Context(), in)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if err == nil && (len(out) == 0 || len(out) > maxOutput) {
			t.Errorf("%d bytes", len(out))
		}
	})
}

// An expanded URL keeps its scheme, its host and its number of path segments,
// and an expanded header is one line.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"https://x/{.a}/b?c={.b}", "{{}}", "{\"}\"}", "{.a | {b: .}}", "x {.a} # {.b}", "{\"\\(\"}\")\"}"} {
		f.Add(s, "..", "a/b\r\n?#%")
	}
	f.Fuzz(func(t *testing.T, source, a, b string) {
		tmpl, err := CompileTemplate(source)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(source) {
				t.Fatalf("%#v", err)
			}
		}
		in := (&Input{}).With(map[string]any{"a": a, "b": b})
		if err == nil {
			_, _ = tmpl.Expand(t.Context(), in, URL)
		}
		checkURL(t, in)
		checkHeader(t, in)
	})
}

func checkURL(t *testing.T, in *Input) {
	tmpl, err := CompileTemplate("https://host/x/{.a}/y?q={.b}&r=1")
	if err != nil {
		t.Fatal(err)
	}
	out, err := tmpl.Expand(t.Context(), in, URL)
	if err != nil {
		return
	}
	u, err := url.Parse(out)
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	clean := u.JoinPath() // resolves dots
	if u.Host != "host" || strings.Count(u.EscapedPath(), "/") != 3 || clean.EscapedPath() != u.EscapedPath() ||
		u.Fragment != "" || u.Query().Get("r") != "1" {
		t.Errorf("%q leads elsewhere", out)
	}
}

func checkHeader(t *testing.T, in *Input) {
	tmpl, err := CompileTemplate("{.a}, {.b}")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tmpl.Expand(t.Context(), in, HeaderValue); err == nil && strings.ContainsAny(out, "\r\n\x00") {
		t.Errorf("%q is no header", out)
	}
}
