package expr

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A check's expressions see the answer, and what was asked for.
func TestChecksSeeTheirCall(t *testing.T) {
	in := NewInput([]byte(`{"order":7}`), "application/json", Event{Type: "POST /v1/pay"}).Calling(Call{
		ID: "call_1", Key: "k-1", Method: "POST", Path: "/v1/pay", Headers: http.Header{"X-A": {"b", "c"}},
	})
	answer := in.Answered(404, http.Header{"Content-Type": {"application/json"}, "Etag": {"e"}}, []byte(`{"data":[{"order":7}]}`))
	for _, c := range []struct {
		in           *Input
		source, want string
	}{
		{in, ".order", "7"},
		{in, "[$call.body.order, $call.key, $call.id, $call.method, $call.path, $call.headers]", `[7,"k-1","call_1","POST","/v1/pay",{"x-a":"b"}]`},
		{in, "$response", "null"},
		{answer, "[.data[] | select(.order == $call.body.order)] | length", "1"},
		{answer, "[$response.status, $response.headers.etag]", `[404,"e"]`},
		{answer, "[$event.type, $event.body.order, ($event | .body.order)]", `["POST /v1/pay",7,7]`},
		{answer.With("x"), "[., $event.body.order, $call.key, $response.status]", `["x",7,"k-1",404]`},
		{NewInput([]byte(`1`), "", Event{}), "$call", "null"},
	} {
		code, err := Compile(c.source, CallVar, ResponseVar)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := code.JSON(t.Context(), c.in); string(out) != c.want || err != nil {
			t.Errorf("%s: %s %v, want %s", c.source, out, err, c.want)
		}
	}
}

func TestEntityIsKeyNameAndVersion(t *testing.T) {
	code, err := Compile("$entity", EntityVar)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		entity, version, want string
	}{
		{"order/1001", "7", `{"key":"1001","name":"order","version":"7"}`},
		{"order/a/b", "", `{"key":"a/b","name":"order","version":null}`},
		{"pi_1", "", `{"key":"pi_1","name":null,"version":null}`},
		{"", "7", "null"},
	} {
		in := NewInput([]byte(`{}`), "", Event{Entity: c.entity, Version: c.version})
		if out, err := code.JSON(t.Context(), in); string(out) != c.want || err != nil {
			t.Errorf("%s: %s %v, want %s", c.entity, out, err, c.want)
		}
	}
}

// What was looked at before is not what is seen after.
func TestIdentifiedLater(t *testing.T) {
	code, err := Compile("[$entity.key, $event.entity, .a]", EntityVar)
	if err != nil {
		t.Fatal(err)
	}
	in := NewInput([]byte(`{"a":1}`), "", Event{Entity: "pi_1"})
	if out, err := code.JSON(t.Context(), in); string(out) != `["pi_1","pi_1",1]` || err != nil {
		t.Fatalf("%s %v", out, err)
	}
	in.Identify("order/2", "3")
	if out, err := code.JSON(t.Context(), in); string(out) != `["2","order/2",1]` || err != nil {
		t.Errorf("%s %v", out, err)
	}
}

// Links are a record's id by system, null where none is known, also before
// anybody said which there are.
func TestLinksAreRecordsBySystem(t *testing.T) {
	code, err := Compile("[$link.crm, $link.shop, $link[\"mail\"]]", LinkVar)
	if err != nil {
		t.Fatal(err)
	}
	in := NewInput([]byte(`{}`), "", Event{Entity: "user/7"})
	for _, c := range []struct {
		records map[string]string
		want    string
	}{
		{nil, `[null,null,null]`},
		{map[string]string{"crm": "55", "shop": "", "other": "x"}, `["55",null,null]`},
		{map[string]string{"mail": "m/1"}, `[null,null,"m/1"]`},
	} {
		if c.records != nil {
			in.Linked(c.records)
		}
		for _, in := range []*Input{in, in.With("x"), in.Answered(200, nil, nil)} {
			if out, err := code.JSON(t.Context(), in); string(out) != c.want || err != nil {
				t.Errorf("%v: %s %v, want %s", c.records, out, err, c.want)
			}
		}
	}
}

func TestLinksAreNamed(t *testing.T) {
	at, err := CompileTemplate(`{$link.crm}/{ [.a, $link.shop.x, $link["y"], ($link | .z)] | length }{.link.w}{"\($link.mail)"}`, LinkVar)
	if err != nil {
		t.Fatal(err)
	}
	if got := at.Links(); !slices.Equal(got, []string{"crm", "shop", "mail"}) || (*Template)(nil).Links() != nil {
		t.Errorf("%q", got)
	}
}

func TestUses(t *testing.T) {
	for source, want := range map[string]bool{
		"{$link.crm}": true, "a/{.x}/{ {a: [$link]} | .a }": true, "{.link}": false, "$link": false, "{$entity.key}": false, "{\"$link\"}": false,
	} {
		at, err := CompileTemplate(source, EntityVar, LinkVar)
		if err != nil {
			t.Fatal(err)
		}
		if at.Uses(LinkVar) != want {
			t.Errorf("%s: want %t", source, want)
		}
	}
	var none *Code
	if none.Uses(LinkVar) || (*Template)(nil).Uses(LinkVar) {
		t.Error("nothing uses something")
	}
}

// What is asked for an entity cannot depend on which of its events asks.
func TestEventful(t *testing.T) {
	for source, want := range map[string]bool{
		"$entity.key": false, "$entity.key | ascii_downcase": false, "$link.crm // \"x\"": false, "[\"a\", 1, null, -2]": false,
		"\"u-\\($entity.key)\"": false, "$link[$entity.name]": false, "($entity | .key)": false, "$entity.key as $k | $k": false, "@uri \"\\($entity.key)\"": false,
		".id": true, ".": true, "$event.id": true, "$event": true, "$entity.key as $k | .id": true, "\"\\(.id)\"": true, "$link[.x]": true,
		"length": true, ".id | tostring": true, "..": true, "{a: .b}": true, "[.a]": true, "$entity.key + .x": true, "@uri": true, "if .a then 1 else 2 end": true,
	} {
		code, err := Compile(source, EntityVar, LinkVar)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if code.Eventful() != want {
			t.Errorf("%s: want %t", source, want)
		}
	}
}

// The event's body is parsed only where an expression looks at it: one that is
// broken spoils nothing else.
func TestBrokenBodySpoilsOnlyWhoLooks(t *testing.T) {
	in := NewInput([]byte(`{"order":`), "application/json", Event{Type: "t"}).Answered(200, nil, []byte(`{}`))
	for source, want := range map[string]bool{
		"$event.type": true, "$event.headers.body": true, "$response.status": true,
		"$event.body": false, `$event["body"]`: false, "$event": false, "$event | .type": false,
	} {
		code, err := Compile(source, ResponseVar)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := code.Run(t.Context(), in); (err == nil) != want {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestVariablesOutOfScope(t *testing.T) {
	for _, c := range []struct {
		source string
		scope  []string
		want   string
	}{
		{"$call.body", nil, "$call is not known here; there are $event, and"},
		{"$call.body", []string{ResponseVar}, "$call is not known here; there are $event, $response, and"},
		{"$response", []string{CallVar}, "$response is not known here; there are $event, $call, and"},
		{"$nope", []string{CallVar}, "no variable $nope; there are $event, $call, and"},
		{"$entity", []string{CallVar}, "$entity is not known here; there are $event, $call, and"},
		{"$link.crm", []string{EntityVar}, "$link is not known here; links are known when something is sent; there are $event, $entity, and"},
	} {
		_, err := CompileTemplate("{"+c.source+"}", c.scope...)
		syntax, ok := err.(*SyntaxError)
		if !ok {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if got := syntax.Msg + "; " + syntax.Hint; !strings.HasPrefix(got, c.want) || syntax.Offset != 1 {
			t.Errorf("%s at %d: %s", c.source, syntax.Offset, got)
		}
	}
}
