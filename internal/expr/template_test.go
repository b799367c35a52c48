package expr

import (
	"errors"
	"testing"
)

func TestTemplates(t *testing.T) {
	const payload = `{"id":12345678901234567890,"s":"a b/c?d&e","dots":"..","dot":".","empty":"","n":null,"o":{"x":1},"crlf":"a\r\nX: y","p":1.50,"t":true,"u":"ü"}`
	for _, c := range []struct {
		template string
		escape   Escape
		want     string
	}{
		{"plain", Raw, "plain"},
		{"", Raw, ""},
		{"a{{b}}c", Raw, "a{b}c"},
		{"{{{.id}}}", Raw, "{12345678901234567890}"},
		{"{.p} {.t} {.u}", Raw, "1.50 true ü"},
		{"{ {a: .p} | .a }", Raw, "1.50"},
		{`{"}" + .u + "{"}`, Raw, "}ü{"},
		{`{"\(.u + "}")"}`, Raw, "ü}"},
		{"{.u # }\n}", Raw, "ü"},
		{"{.n}|{.missing}", Raw, "|"},
		{"{.o}", Raw, "{.o}: gives an object, where text or a number is wanted"},
		{"{$event.source}", Raw, "shop"},

		{"https://x/{.s}/y?q={.s}&r={.n}#{.s}", URL, "https://x/a%20b%2Fc%3Fd&e/y?q=a+b%2Fc%3Fd%26e&r=#a+b%2Fc%3Fd%26e"},
		{"https://x?q={.s}", URL, "https://x?q=a+b%2Fc%3Fd%26e"},
		{"https://x/{.id}", URL, "https://x/12345678901234567890"},
		{"https://x/{.u}", URL, "https://x/%C3%BC"},
		{"https://x/{.n}", URL, "{.n}: missing or null"},
		{"https://x/{.empty}", URL, "{.empty}: empty, which a path cannot be"},
		{"https://x/{.dots}", URL, "{.dots}: “.” and “..” would lead to another path"},
		{"https://x/{.dot}/", URL, "{.dot}: “.” and “..” would lead to another path"},
		{"https://x/.{.dot}/", URL, "{.dot}: “.” and “..” would lead to another path"},
		{"https://x/v{.dots}", URL, "{.dots}: “.” and “..” would lead to another path"},
		{"https://x/v{.s}", URL, "https://x/va%20b%2Fc%3Fd&e"},
		{"https://{.s}/", URL, "{.s}: a host cannot come from an event"},
		{"{.s}", URL, "{.s}: a host cannot come from an event"},
		{"https://x{.s}/", URL, "{.s}: a host cannot come from an event"},

		{"v {.s}", HeaderValue, "v a b/c?d&e"},
		{"v {.crlf}", HeaderValue, "{.crlf}: a line break or other control character, which a header cannot hold"},
		{"v{.n}", HeaderValue, "v"},
	} {
		tmpl, err := CompileTemplate(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		got, err := tmpl.Expand(t.Context(), NewInput([]byte(payload), "", Event{Source: "shop"}), c.escape)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.template, got, c.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct {
		template string
		want     SyntaxError
	}{
		{"a}", SyntaxError{1, "a } without a {", "for a brace in the text write }}"}},
		{"a{.b", SyntaxError{1, "a { without its }", "for a brace in the text write {{"}},
		{`a{"}`, SyntaxError{1, "a { without its }", "for a brace in the text write {{"}},
		{"ab{}", SyntaxError{3, "empty expression", `"." is the whole payload`}},
		{"ab{.x | lenght}", SyntaxError{8, "no function lenght", "did you mean length?"}},
		{"/x/{.a}/{'b'}", SyntaxError{9, `not jq: unexpected token "'"`, `jq quotes text with ", not with '`}},
		{"{range(3)}", SyntaxError{1, "range is not available", "it may run without bound; go over what the payload holds: .items[]"}},
	} {
		_, err := CompileTemplate(c.template)
		var got *SyntaxError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: %#v, want %#v", c.template, err, c.want)
		}
	}
}

// A template that holds a secret shows itself as it is written, in errors too.
func TestShown(t *testing.T) {
	tmpl, err := CompileTemplate(`Bearer hunter2 {.o + "hunter2"}`)
	if err != nil {
		t.Fatal(err)
	}
	tmpl = tmpl.Shown(`Bearer ${PW} {.o + "${PW}"}`)
	if got := tmpl.Source(); got != `Bearer ${PW} {.o + "${PW}"}` {
		t.Error(got)
	}
	_, err = tmpl.Expand(t.Context(), NewInput([]byte(`{"o":{}}`), "", Event{}), Raw)
	if err == nil || err.Error() != `{…}: jq: cannot add an object and a string` {
		t.Errorf("%v", err)
	}
}
