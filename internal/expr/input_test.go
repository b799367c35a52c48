package expr

import (
	"context"
	"errors"
	"testing"
)

func TestPayloads(t *testing.T) {
	for _, c := range []struct{ body, contentType, want string }{
		{`{"a":1}`, "application/json", `{"a":1}`},
		{`{"a":1}`, "", `{"a":1}`},
		{`{"a":1}`, "text/plain; charset=utf-8", `{"a":1}`},
		{`{"a":1,"a":2}`, "", `{"a":2}`},
		{"\"\xff\"", "", `"�"`},
		{`"text"`, "", `"text"`},
		{"plain words", "text/plain", `"plain words"`},
		{"plain words", "application/json", "error: payload: not JSON: byte 0: invalid character 'p' at start of value"},
		{"{broken", "", "error: payload: not JSON: byte 1: invalid character 'b' at start of value"},
		{"plain words", "application/cloudevents+json", "error: payload: not JSON: byte 0: invalid character 'p' at start of value"},
		{"", "application/json", `null`},
		{"\x00\xff", "application/octet-stream", `null`},
		{"a=1&b=x+y&b=%C3%BC&c=", "application/x-www-form-urlencoded", `{"a":"1","b":["x y","ü"],"c":""}`},
		{`{"a":"b&c=d"}`, "application/x-www-form-urlencoded", `{"a":"b&c=d"}`}, // as curl -d sends it
		{" [1]", "application/x-www-form-urlencoded", `[1]`},
		{"[a]=1", "application/x-www-form-urlencoded", `{"[a]":"1"}`},
		{"%7B%22a%22:1%7D", "application/x-www-form-urlencoded", `{"{\"a\":1}":""}`},
		{"a=%zz", "application/x-www-form-urlencoded; charset=utf-8", "error: payload: not a form: a % that escapes nothing, or a semicolon"},
	} {
		code, err := Compile(".|.")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if out, err := code.JSON(t.Context(), NewInput([]byte(c.body), c.contentType, Event{})); err != nil {
			got = "error: " + err.Error()
		} else {
			got = string(out)
		}
		if got != c.want {
			t.Errorf("%q as %s:\n got %s\nwant %s", c.body, c.contentType, got, c.want)
		}
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		source, payload, want string
		ok                    bool
	}{
		{".id", `{"id":12345678901234567890}`, "12345678901234567890", true},
		{".id", `{"id":1.10}`, "1.10", true},
		{".id", `{"id":1E5}`, "1E5", true},
		{".id", `{"id":"x"}`, "x", true},
		{".id", `{"id":""}`, "", true},
		{".id", `{"id":false}`, "false", true},
		{".id", `{"id":null}`, "", false},
		{".id", `{}`, "", false},
		{"empty", `{}`, "", false},
		{".id / 3", `{"id":1}`, "0.3333333333333333", true},
		{"100 * 1.0", `{}`, "100", true},
	} {
		code, err := Compile(c.source)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := code.String(t.Context(), NewInput([]byte(c.payload), "", Event{}))
		if got != c.want || ok != c.ok || err != nil {
			t.Errorf("%s on %s: %q %v %v", c.source, c.payload, got, ok, err)
		}
	}
}

func TestBool(t *testing.T) {
	for source, want := range map[string]bool{
		".a": false, ".b": false, ".zero": true, ".empty": true, "true": true, "empty": false, ".zero == 0": true,
	} {
		code, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := code.Bool(t.Context(), NewInput([]byte(`{"a":null,"b":false,"zero":0,"empty":""}`), "", Event{}))
		if got != want || err != nil {
			t.Errorf("%s: %v %v", source, got, err)
		}
	}
}

// A transform's result becomes the payload of the destination's expressions; the
// event stays.
func TestWith(t *testing.T) {
	in := NewInput([]byte(`{"a":1}`), "", Event{Source: "shop"}).With(map[string]any{"b": 2})
	code, err := Compile("[.b, $event.source]")
	if err != nil {
		t.Fatal(err)
	}
	out, err := code.JSON(t.Context(), in)
	if string(out) != `[2,"shop"]` || err != nil {
		t.Errorf("%s %v", out, err)
	}
}

func TestCallerStops(t *testing.T) {
	code, err := Compile("[.[] as $a | .[] as $b | .[] as $c | 1]")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = code.Run(ctx, NewInput([]byte(`[1,2,3,4,5,6,7,8,9]`), "", Event{}))
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrLimit) {
		t.Errorf("%v", err)
	}
}

// The clock counts too, but not the time for which the machine was busy.
func TestClock(t *testing.T) {
	f := newFuel(t.Context())
	f.spent = longest - 1
	f.look()
	if f.left < 0 {
		t.Error("stopped by the first look at the clock")
	}
	f.last = f.last.Add(-10 * interval)
	f.look()
	if f.Done() == nil || !errors.Is(f.Err(), ErrLimit) {
		t.Error("the clock does not stop it")
	}
	if f.spent > longest+interval {
		t.Errorf("one interval counted as %v", f.spent)
	}
}

func TestAssigns(t *testing.T) {
	for source, want := range map[string]bool{".a = 1": true, ".a == 1": false, ".a |= 1": true, ".a": false, "(.a = 1) == .": false} {
		code, err := Compile(source)
		if err != nil || code.Assigns() != want {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	bench(b, `.type == "order.paid" and .data.amount > 100`)
}
func BenchmarkPath(b *testing.B) { bench(b, ".data.object.id") }
func BenchmarkTransform(b *testing.B) {
	bench(b, `{id: .data.object.id, name: "\(.data.name) <\(.data.email)>", items: [.data.items[] | {sku, n: (.n * 2)}], total: (.data.items | map(.n) | add)}`)
}

func bench(b *testing.B, source string) {
	code, err := Compile(source)
	if err != nil {
		b.Fatal(err)
	}
	in := NewInput([]byte(`{"type":"order.paid","data":{"amount":120,"object":{"id":"pi_1"},"name":"A","email":"a@example.com","items":[{"sku":"x","n":1},{"sku":"y","n":2}]}}`), "", Event{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := code.Run(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// Messages end up in logs: they name kinds, never values.
func TestErrorsQuoteNoPayload(t *testing.T) {
	const payload = `{"s":"hidden) and string (","o":{"a: b":"hidden and null"},"l":["hidden: number (1)"],"n":4711}`
	for source, want := range map[string]string{
		".s + 1":                    "jq: cannot add a string and a number",
		".o + .s":                   "jq: cannot add an object and a string",
		".s - .o":                   "jq: cannot subtract a string and an object",
		".o / .s":                   "jq: cannot divide an object and a string",
		".n / 0":                    "jq: cannot divide by 0",
		".n % .s":                   "jq: cannot modulo a number and a string",
		"-.s":                       "jq: cannot negate a string",
		".s.x":                      ".x of a string, which is no object",
		".s | .x?, .x":              "jq: expected an object but got a string",
		".o[0]":                     "jq: expected an array but got an object",
		".n[]":                      "jq: cannot iterate over a number",
		"{(.l): 1}":                 "jq: expected a string for object key but got an array",
		".l[.s]":                    "jq: expected an object but got an array",
		".n | length | keys":        "jq: keys cannot be applied to a number",
		".s | tonumber":             "jq: tonumber cannot be applied to this value",
		".n | ltrimstr(.)":          "jq: ltrimstr cannot be applied to a number",
		".l | has(\"a\")":           "jq: has cannot be applied to an array",
		".n | startswith(\"x\")":    "jq: startswith cannot be applied to a number",
		"[.o] | @csv":               "jq: @csv cannot format an array including an object",
		".s | fromjson":             "jq: fromjson: not JSON: byte 0: invalid character 'h' at start of value",
		".s | fromdate":             "jq: strptime cannot be applied to this value",
		".s | test(.)":              "jq: regular expression: unexpected )",
		".s | join(\",\")":          "jq: join of a string by a string, not of an array by a text",
		".o | error":                "error with an object",
		"error(\"said so\")":        "said so",
		".l | contains(\"x\")":      "jq: an array cannot contain a string",
		"try error(.s) catch error": "hidden) and string (", // asked for
	} {
		code, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		_, err = code.Run(t.Context(), NewInput([]byte(payload), "", Event{}))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}
