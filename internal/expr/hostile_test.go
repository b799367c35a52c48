package expr

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Row 18 of the fault matrix: refused when the configuration is loaded.
func TestHostileRefused(t *testing.T) {
	for source, want := range map[string]string{
		"def f: f; f":                    "def is not available",
		"1 | def f: 2; f":                "def is not available",
		"range(1e9)":                     "range is not available",
		"[repeat(1)]":                    "repeat is not available",
		"until(false; .)":                "until is not available",
		"while(true; .)":                 "while is not available",
		"recurse(.)":                     "recurse is not available",
		"[.[]|recurse(.;true)]":          "recurse is not available",
		"{a: [limit(3; repeat(1))]}":     "repeat is not available",
		"combinations":                   "combinations is not available",
		"transpose":                      "transpose is not available",
		"input":                          "input is not available",
		"[inputs]":                       "inputs is not available",
		"input_filename":                 "input_filename is not available",
		"debug":                          "debug is not available",
		"debug(\"x\")":                   "debug is not available",
		"stderr":                         "stderr is not available",
		"env.PATH":                       "env is not available",
		"$ENV.PATH":                      "$ENV is not available",
		"{$ENV}":                         "$ENV is not available",
		"$__loc__":                       "names that begin with $__ are not available",
		"$__fuel":                        "names that begin with $__ are not available",
		". as $__fuel | 1":               "names that begin with $__ are not available",
		"$__prog_args":                   "names that begin with $__ are not available",
		"now":                            "now is not available",
		"localtime":                      "localtime is not available",
		"0 | strflocaltime(\"%Y\")":      "strflocaltime is not available",
		"halt":                           "halt is not available",
		"\"\" | halt_error(1)":           "halt_error is not available",
		"import \"x\" as y; 1":           "modules are not available",
		"include \"x\"; 1":               "modules are not available",
		"\"x\" * 1000000000":             "* is for numbers only",
		"1000000000 * (\"x\")":           "* is for numbers only",
		"{} * {a: 1}":                    "* is for numbers only",
		".a *= \"x\"":                    "* is for numbers only",
		".[1000000000] = 1":              "an array of more than 10000 items",
		".a.b[99999] |= 1":               "an array of more than 10000 items",
		"_add(1; 2)":                     "no function _add",
		"__surface(1)":                   "no function __surface",
		"builtins":                       "no function builtins",
		"get_search_list":                "no function get_search_list",
		"getpth([1])":                    "no function getpth",
		"test(\"(?=x)\")":                "test: error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
		"test(\"((a{100}){100}){100}\")": "test: error parsing regexp: invalid repeat count: `{100}`",
		"test(\"" + strings.Repeat("x", 2000) + "\")": "test: out of bounds: a regular expression of more than 1000 bytes",
		"$entity.key":               "$entity is not known here",
		"$x":                        "no variable $x",
		"@base32":                   "no format @base32",
		"length(1)":                 "length does not take 1 arguments",
		strings.Repeat("9", 2000):   "a number of more than 1000 digits",
		strings.Repeat("(", 20_000): "longer than 16384 bytes",
		strings.Repeat("[", 10_000): "not jq: it ends too early",
		"":                          "empty expression",
		".a && .b":                  `not jq: unexpected token "&"`,
	} {
		_, err := Compile(source)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Msg != want {
			t.Errorf("%.60s: %v, want %q", source, err, want)
		}
	}
}

// Row 18: what cannot be seen from the expression alone is cut off when it runs,
// soon, and before it has taken much memory.
func TestHostileCut(t *testing.T) {
	many := "[" + strings.Repeat("1,", 9_999) + "1]"
	deep := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	long := `"` + strings.Repeat("a", 1<<20) + `"`
	doubling := strings.Repeat(" | . + .", 40)
	pairs := strings.Repeat(" | [., .]", 40)
	for _, c := range []struct{ name, source, payload string }{
		{"cube of a list", "[.[] as $a | .[] as $b | .[] as $c | 1] | length", many},
		{"doubling a text", `"x"` + doubling, `1`},
		{"doubling a list", `[1]` + doubling, `1`},
		{"doubling an object's text", `{a: "x"}` + strings.Repeat(" | .a += .a", 40), `1`},
		{"doubling in a reduce", `reduce .[] as $x ("x"; . + .)`, many},
		{"doubling by interpolation", `reduce .[] as $x ("x"; "\(.)\(.)")`, many},
		{"joining much at once", `"` + strings.Repeat(`\(.)`, 3000) + `"`, long},
		{"a text that is not one", `.a * .b`, `{"a":"x","b":1000000000}`},
		{"squaring", `reduce .[] as $x (3; . * .)`, many},
		{"squaring a written number", `12345678901234567890` + strings.Repeat(" | . * .", 60), `1`},
		{"a tree of the same twice, as text", `1` + pairs + " | tojson | length", `1`},
		{"the same, compared", `1` + pairs + " | . == [.]", `1`},
		{"the same, compared with itself", `(1` + pairs + ") as $x | $x == $x", `1`},
		{"the same, in order", `[1` + pairs + "] | sort | length", `1`},
		{"the same, unique by", `[1,2] | unique_by(1` + pairs + ")", `1`},
		{"the same, flat", `1` + pairs + " | flatten | length", `1`},
		{"the same, given back", `1` + pairs, `1`},
		{"the same, as a base64", `1` + pairs + " | @base64", `1`},
		{"the same, interpolated", `1` + pairs + ` | "\(.)"`, `1`},
		{"the same, in a format", `1` + pairs + ` | @json "\(.)"`, `1`},
		{"the same, contained", `1` + pairs + ` | . as $x | contains($x)`, `1`},
		{"the same, inside", `1` + pairs + ` | . as $x | inside($x)`, `1`},
		{"the same, in an index", `1` + pairs + ` | . as $x | [$x,$x] | index($x)`, `1`},
		{"the same, subtracted", `1` + pairs + ` | . as $x | [$x] - [[$x]]`, `1`},
		{"the same, deleted from", `1` + pairs + ` | del(.[0])`, `1`},
		{"the same, emptied", `1` + pairs + ` | .[0] |= empty`, `1`},
		{"the same, map_values", `1` + pairs + ` | map_values(select(false))`, `1`},
		{"the same, raised", `1` + pairs + ` | error`, `1`},
		{"the same, grouped", `[1` + pairs + `] | group_by(.) | length`, `1`},
		{"the same, IN", `1` + pairs + ` | IN([[1]], [.])`, `1`},
		{"the same, INDEX", `[1` + pairs + `] | INDEX(.)`, `1`},
		{"walk that doubles and deletes", `walk(if . == 1 then empty else [., .] end)`, strings.Repeat("[1,", 40) + "1" + strings.Repeat("]", 40)},
		{"walk that doubles", `walk([., .])`, deep},
		{"an index from the payload", `.l[.n] = 1`, `{"l":[],"n":500000000}`},
		{"an index from getpath", `getpath([.n]) = 1`, `{"n":500000000}`},
		{"an index by setpath", `setpath(["l", .n]; 1)`, `{"n":500000000}`},
		{"an index by nth", `.l | nth($event.x // 500000000) = 1`, `{"l":[]}`},
		{"an index by to_entries", `reduce .[] as $x ([]; .[$x * 9000] = 1)`, many},
		{"joining by a long text", `.l as $l | .s as $s | $l | join($s)`, `{"l":` + many + `,"s":` + long + `}`},
		{"a list of the same long text", `.s as $s | [.l[] | $s] | add | length`, `{"l":` + many + `,"s":` + long + `}`},
		{"the same as text", `.s as $s | [.l[] | $s] | tojson | length`, `{"l":` + many + `,"s":` + long + `}`},
		{"the same as output", `.s as $s | [.l[] | $s]`, `{"l":` + many + `,"s":` + long + `}`},
		{"all characters", `[.l[] as $x | .s | explode] | length`, `{"l":` + many + `,"s":` + long + `}`},
		{"all parts", `.s as $s | [.l[] | $s | split("")] | length`, `{"l":` + many + `,"s":` + long + `}`},
		{"all matches", `[.l[] as $x | .s | [match("a"; "g")] | length] | length`, `{"l":` + many + `,"s":` + long + `}`},
		{"all empty matches", `[scan("")] | length`, long},
		{"a costly regex", `test("^(a?){200}(a{200})*b$")`, long},
		{"a costly regex of the payload", `.re as $re | .s | test($re)`, `{"re":"(((a{30}){30})*b?)*$","s":` + long + `}`},
		{"replacing each by much", `gsub("a"; "` + strings.Repeat("y", 1000) + `")`, long},
		{"replacing again and again", `reduce .l[] as $x (.s; gsub("a"; "aa"))`, `{"l":` + many + `,"s":"a"}`},
		{"every pair compared", `. - [.[] + 0.5]`, many},
		{"every place compared", `[.[] | [1]] as $x | $x + $x + $x + $x | indices($x) | length`, many},
		{"a text in a text", `.s as $s | [.l[] | $s | indices("aa") | length] | length`, `{"l":` + many + `,"s":` + long + `}`},
		{"everything sorted again and again", `reduce .[] as $x (.; sort)`, many},
		{"everything hashed again and again", `reduce .l[] as $x (.s; . as $s | sha256 | $s)`, `{"l":` + many + `,"s":` + long + `}`},
		{"caught and tried again", `[.l[] as $x | try ([$x] | implode + "` + strings.Repeat("z", 9000) + `" | . + . | . + . | . + .) catch .] | length`, `{"l":` + many + `}`},
		{"widths of time", `[.[] | strftime("` + strings.Repeat("%1000Y", 1000) + `")] | length`, many},
		{"a list for each of a list", `[.[] as $x | .] | [.[][]] | length`, many},
		{"digits", `.s | tonumber`, `{"s":"` + strings.Repeat("9", 1<<20) + `"}`},
		{"json in json", `reduce .[] as $x (1; [., .] | tojson)`, many},
		{"deep by reduce", `.[0:20] as $l | reduce .[] as $x (1; reduce $l[] as $y (.; [.])) | tojson`, many},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, err := Compile(c.source)
			if err != nil {
				t.Fatal(err)
			}
			in := NewInput([]byte(c.payload), "application/json", Event{})
			if _, err := in.Payload(); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			out, err := code.JSON(t.Context(), in)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("it got through: %.60s", out)
			}
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 256 {
				t.Errorf("%d MiB allocated", allocated)
			}
			if took > limit {
				t.Errorf("cut after %v", took)
			}
			t.Logf("%v, %d MiB: %v", took, (after.TotalAlloc-before.TotalAlloc)>>20, err)
		})
	}
}

// limit is what a cut may take on a machine that is busy with other tests, or
// under the race detector; the fuel is for 50 ms on a quiet one.
const limit = 2 * time.Second

// Payloads are bounded before any expression sees them.
func TestHostilePayloads(t *testing.T) {
	for name, c := range map[string]struct{ payload, want string }{
		"deep":      {strings.Repeat("[", 65) + strings.Repeat("]", 65), "payload: out of bounds: nested deeper than 64"},
		"very deep": {strings.Repeat(`{"a":`, 100_000), "payload: out of bounds: nested deeper than 64"},
		"wide":      {"[" + strings.Repeat("0,", 1_000_000) + "0]", "payload: out of bounds: more than 1000000 values"},
		"digits":    {"[" + strings.Repeat("9", 2000) + "]", "payload: out of bounds: a number of more than 1000 digits"},
		"cut short": {`{"a":1`, "payload: not JSON: it ends too early"},
		"nan":       {`{"a":NaN}`, "payload: not JSON: byte 5: invalid character 'N' at start of value"},
		"two":       {`{"a":1} {"a":2}`, "payload: not JSON: more after the end, at byte 9"},
	} {
		code, err := Compile(".a")
		if err != nil {
			t.Fatal(err)
		}
		_, err = code.Run(t.Context(), NewInput([]byte(c.payload), "", Event{}))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
