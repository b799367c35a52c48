package expr

import (
	"net/http"
	"testing"
	"time"
)

// run is what an expression makes of a payload, as JSON, or its error.
func run(t *testing.T, source, payload string) string {
	t.Helper()
	code, err := Compile(source)
	if err != nil {
		return "refused: " + err.Error()
	}
	out, err := code.JSON(t.Context(), NewInput([]byte(payload), "application/json", Event{
		ID: "evt_1", Source: "shop", Type: "orders/create",
		ReceivedAt: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC),
		Headers:    http.Header{"X-Shop": {"a", "b"}},
	}))
	if err != nil {
		return "error: " + err.Error()
	}
	return string(out)
}

func TestResults(t *testing.T) {
	for _, c := range []struct{ source, payload, want string }{
		{".", `{"b":1,"a":[true,null,"x"]}`, `{"a":[true,null,"x"],"b":1}`},
		{".a.b.c", `{"a":{"b":{"c":7}}}`, `7`},
		{".a.b.c", `{"a":null}`, `null`},
		{".a.b", `{"a":"text"}`, `error: .b of a string, which is no object`},
		{".a[]?", `{}`, `null`},
		{".a?.b", `{"a":{"b":2}}`, `2`},
		{"[.a[]?.id]", `{"a":[{"id":1},{"id":2}]}`, `[1,2]`},
		{"[.a[]|.id]", `{"a":{"x":{"id":1},"y":{"id":2}}}`, `[1,2]`},

		// Digits survive.
		{".id", `{"id":12345678901234567890}`, `12345678901234567890`},
		{"{id, price: .p}", `{"id":12345678901234567890,"p":1.10}`, `{"id":12345678901234567890,"price":1.10}`},
		{".id + 1", `{"id":12345678901234567890}`, `12345678901234567891`},
		{".id == 12345678901234567890", `{"id":12345678901234567890}`, `true`},
		{".id == 12345678901234567891", `{"id":12345678901234567890}`, `false`},
		{`"\(.id)"`, `{"id":12345678901234567890}`, `"12345678901234567890"`},
		{".p | tostring", `{"p":0.30}`, `"0.30"`},
		{".p * 100", `{"p":"x"}`, `error: jq: * is for numbers only, not for a string`},
		{".p * 100", `{"p":0.5}`, `50`},
		{"-.p", `{"p":12345678901234567890}`, `-12345678901234567890`},

		// Operators, whose operands are metered.
		{".a + .b", `{"a":"x","b":"y"}`, `"xy"`},
		{".a + .b", `{"a":[1],"b":[2]}`, `[1,2]`},
		{".a + .b", `{"a":{"x":1},"b":{"y":2}}`, `{"x":1,"y":2}`},
		{".a - .b", `{"a":[1,2,3],"b":[2]}`, `[1,3]`},
		{".a - .b", `{"a":5,"b":2}`, `3`},
		{"10 - .a - 1", `{"a":5}`, `4`},
		{".a / .b", `{"a":"x,y","b":","}`, `["x","y"]`},
		{".a / .b", `{"a":9,"b":3}`, `3`},
		{".a % 2 == 1", `{"a":9}`, `true`},
		{".a == .b", `{"a":{"x":[1]},"b":{"x":[1.0]}}`, `true`},
		{".a < .b and (.b >= .a | not | not)", `{"a":1,"b":2}`, `true`},
		{".a // \"d\"", `{}`, `"d"`},
		{"[(1,2) + (10,20)]", `null`, `[11,12,21,22]`},
		{"[(1,2) - (10,20)]", `null`, `[-9,-8,-19,-18]`},
		{`"\(1,2)-\(3)"`, `null`, `"1-3"`},

		// Assignments.
		{".a.b = 1", `{}`, `{"a":{"b":1}}`},
		{".a += 1 | .b -= 1 | .c *= 3 | .d /= 2 | .e %= 3 | .f //= 9", `{"a":1,"b":1,"c":2,"d":8,"e":5}`, `{"a":2,"b":0,"c":6,"d":4,"e":2,"f":9}`},
		{".a[] += 10", `{"a":[1,2]}`, `{"a":[11,12]}`},
		{".a[] |= select(. > 1)", `{"a":[1,2,3]}`, `{"a":[2,3]}`},
		{".a |= (.b |= 2)", `{"a":{"b":1}}`, `{"a":{"b":2}}`},
		{".[.k] = 1", `{"k":"x"}`, `{"k":"x","x":1}`},
		{".a[.n] = 1", `{"a":[0],"n":2}`, `{"a":[0,null,1],"n":2}`},
		{"del(.a, .b[0])", `{"a":1,"b":[1,2]}`, `{"b":[2]}`},
		{"del(.[] | select(. == 1))", `{"a":1,"b":2}`, `{"b":2}`},
		{"map_values(. + 1)", `{"a":1}`, `{"a":2}`},
		{"map_values(empty)", `{"a":1}`, `{}`},
		{"with_entries(.key |= \"x_\" + .)", `{"a":1}`, `{"x_a":1}`},
		{"[paths]", `{"a":[1]}`, `[["a"],["a",0]]`},
		{"[..|numbers]", `{"a":[1,{"b":2}]}`, `[1,2]`},
		{"walk(if type == \"string\" then ascii_upcase else . end)", `{"a":["x"]}`, `{"a":["X"]}`},
		{"getpath([\"a\",\"b\"])", `{"a":{"b":1}}`, `1`},
		{"setpath([\"a\",0]; 1)", `{}`, `{"a":[1]}`},
		{"pick(.a.b)", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1}}`},
		{"to_entries", `{"a":1}`, `[{"key":"a","value":1}]`},

		// Functions that are ours, by jq's rules.
		{"[.[] | test(\"^a.c$\"; \"i\")]", `["ABC","abd"]`, `[true,false]`},
		{"test(\"a\")", `1`, `error: jq: a regular expression on a number, not on a text`},
		{"capture(\"(?<y>\\\\d+)-(?<m>\\\\d+)\")", `"in 2026-11"`, `{"m":"11","y":"2026"}`},
		{"[match(\"é(.)\"; \"g\") | [.offset, .length, .string, .captures[0].offset]]", `"aéb éc"`, `[[1,2,"éb",2],[4,2,"éc",5]]`},
		{"[scan(\"[a-z]+\")]", `"ab 12 cd"`, `["ab","cd"]`},
		{"[scan(\"([a-z])([0-9])\")]", `"a1 b2"`, `[["a","1"],["b","2"]]`},
		{"split(\", *\"; null)", `"a, b,c"`, `["a","b","c"]`},
		{"[splits(\"-\")]", `"a-b"`, `["a","b"]`},
		{"split(\",\")", `"a,b"`, `["a","b"]`},
		{"sub(\"b\"; \"x\")", `"abcb"`, `"axcb"`},
		{"gsub(\"(?<d>[0-9])\"; \"<\\(.d)>\")", `"a1b2"`, `"a<1>b<2>"`},
		{"gsub(\"\"; \"-\")", `"ab"`, `"-a-b-"`},
		{"gsub(\"B\"; \"x\"; \"i\")", `"abcb"`, `"axcx"`},
		{"gsub(\"b\"; 1)", `"abc"`, `error: jq: the replacement is a number, not text`},
		{"join(\",\")", `["a",1,null,true]`, `"a,1,,true"`},
		{"contains({a: [\"x\"]})", `{"a":["xyz"],"b":1}`, `true`},
		{"inside([1,2])", `[1]`, `true`},
		{"[index(\"b\"), rindex(\"b\"), index(\"z\")]", `"abcb"`, `[1,3,null]`},
		{"indices(1)", `[1,2,1]`, `[0,2]`},
		{"indices(\"aa\")", `"aaa"`, `[0,1]`},
		{"add(.[].n)", `[{"n":1},{"n":2}]`, `3`},
		{"add", `["a","b"]`, `"ab"`},
		{"group_by(.k) | map(length)", `[{"k":1},{"k":2},{"k":1}]`, `[2,1]`},
		{"sort_by(-.n) | map(.n)", `[{"n":1},{"n":3}]`, `[3,1]`},
		{"unique", `[2,1,2]`, `[1,2]`},
		{"IN(\"a\",\"b\")", `"b"`, `true`},
		{"fromjson.a", `"{\"a\":1}"`, `1`},
		{"tojson", `{"a":1.50}`, `"{\"a\":1.50}"`},
		{"tonumber", `"12"`, `12`},
		{"@base64 \"x\\(.)\"", `"hi"`, `"xaGk="`},
		{"@uri", `"a b/ü"`, `"a%20b%2F%C3%BC"`},
		{"md5", `"abc"`, `"900150983cd24fb0d6963f7d28e17f72"`},
		{"sha1", `"abc"`, `"a9993e364706816aba3e25717850c26c9cd0d89d"`},
		{"sha256", `"abc"`, `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
		{"base64url", `"??>"`, `"Pz8-"`},
		{"sha256", `1`, `error: jq: sha256 of a number, not of a text`},
		{"todate", `0`, `"1970-01-01T00:00:00Z"`},
		{"fromdate", `"1970-01-02T00:00:00Z"`, `86400`},
		{"strftime(\"%Y\")", `0`, `"1970"`},
		{"error(\"no \" + .)", `"good"`, `error: no good`},
		{"try error(\"x\") catch .", `null`, `"x"`},
		{"first(.[] | select(. > 1))", `[1,2,3]`, `2`},
		{"[limit(2; .[])]", `[1,2,3]`, `[1,2]`},
		{"reduce .[] as $x (0; . + $x)", `[1,2,3]`, `6`},
		{"[foreach .[] as $x (0; . + $x)]", `[1,2,3]`, `[1,3,6]`},
		{". as {a: $x, b: [$y]} | [$x, $y]", `{"a":1,"b":[2]}`, `[1,2]`},
		{"any(.[]; . > 2)", `[1,3]`, `true`},
		{"empty", `1`, `null`},

		// $event.
		{"$event.source + \":\" + $event.type", `{}`, `"shop:orders/create"`},
		{"$event.headers[\"x-shop\"]", `{}`, `"a"`},
		{"{$event} | .event | [.id, .received_at, .occurred_at, .entity]", `{}`, `["evt_1","2026-11-24T01:02:03Z",null,null]`},
	} {
		if got := run(t, c.source, c.payload); got != c.want {
			t.Errorf("%s on %s:\n got %s\nwant %s", c.source, c.payload, got, c.want)
		}
	}
}
