package call

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	for in, want := range map[string]string{
		"order-1001":    "order-1001",
		` "order-1001"`: "order-1001",
		`"a\"b\\c"`:     `a"b\c`,
		`a"b`:           `a"b`,
		"a b/c":         "a b/c",
	} {
		if got, err := ParseKey([]string{in}); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", `""`, `"a`, `"a"b`, `"a";p=1`, `"\a"`, "a\x00", "ä", strings.Repeat("k", 256)} {
		if got, err := ParseKey([]string{in}); err == nil {
			t.Errorf("%q: taken as %q", in, got)
		}
	}
	if got, err := ParseKey(nil); got != "" || err != nil {
		t.Errorf("none: %q, %v", got, err)
	}
	if _, err := ParseKey([]string{"a", "a"}); err == nil {
		t.Error("two are taken")
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]struct{ body, kind string }{
		`{"method":"POST","path":"/","body":{"a": [1, 2.50]}}`:                                                {`{"a": [1, 2.50]}`, "application/json"},
		`{"method":"POST","path":"/","body":"text"}`:                                                          {`"text"`, "application/json"},
		`{"method":"POST","path":"/","body":"a\nb","headers":{"content-type":"text/plain"}}`:                  {"a\nb", "text/plain"},
		`{"method":"POST","path":"/","form":{"b":["1",2],"a":"x y","c":true}}`:                                {"a=x+y&b=1&b=2&c=true", "application/x-www-form-urlencoded"},
		`{"method":"POST","path":"/","form":{"metadata[order_id]":"1001"}}`:                                   {"metadata%5Border_id%5D=1001", "application/x-www-form-urlencoded"},
		`{"method":"POST","path":"/","body_base64":"AAEC"}`:                                                   {"\x00\x01\x02", ""},
		`{"method":"GET","path":"/"}`:                                                                         {"", ""},
		`{"method":"POST","path":"/","body":{"a":1},"headers":{"Content-Type":["application/vnd.api+json"]}}`: {`{"a":1}`, "application/vnd.api+json"},
	} {
		r, err := Parse([]byte(in))
		if err != nil || string(r.Body) != want.body || r.Headers.Get("Content-Type") != want.kind {
			t.Errorf("%s: %+v, %v", in, r, err)
		}
	}
	for _, in := range []string{
		"", "null x", "[]", `{"method":1}`, `{"methods":"POST"}`, `{} {}`,
		`{"body":1,"form":{}}`, `{"body":1,"body_base64":""}`, `{"form":{"a":{"b":1}}}`, `{"form":{"a":null}}`,
		`{"headers":{"A":{}}}`, `{"body_base64":"%"}`,
	} {
		if r, err := Parse([]byte(in)); err == nil {
			t.Errorf("%s: taken as %+v", in, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"method":"POST","path":"/a?b=c","headers":{"A":["b"]},"form":{"a":[1,true,"x"]}}`))
	f.Add([]byte(`{"method":"POST","path":"/","body":{"a":1}}`))
	f.Add([]byte(`{"body_base64":"AA=="}`))
	s := payments()
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Parse(in)
		if err != nil || r.check(s) != nil {
			return
		}
		if strings.ContainsAny(r.Path, "\r\n #") || r.Path[0] != '/' || !isToken(r.Method) {
			t.Errorf("%q %q would be sent", r.Method, r.Path)
		}
		for name, values := range r.Headers {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n\x00") || Withheld(s, name) {
					t.Errorf("header %q: %q would be sent", name, v)
				}
			}
		}
		again, err := Parse(in)
		if err != nil || again.hash() != r.hash() || !bytes.Equal(again.Body, r.Body) {
			t.Error("the same call is not the same")
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"a", `"a"`, `"a\"b"`, "\x00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		key, err := ParseKey([]string{in})
		if err != nil {
			return
		}
		if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q gives %q", in, key)
		}
		if system, by, k := splitID(SourceID("s", "a/b%c", key)); system != "s" || by != "a/b%c" || k != key {
			t.Errorf("%q comes back as %q, %q, %q", key, system, by, k)
		}
	})
}
