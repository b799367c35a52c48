package provider

import (
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/internal/expr"
)

func eachSettings(t *testing.T, each string) Settings {
	t.Helper()
	s := settingsFor("token")
	for code, source := range map[**expr.Code]string{&s.Each: each, &s.ID: ".id", &s.Type: ".type"} {
		c, err := expr.Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		*code = c
	}
	return s
}

// One request, several events: each keeps its own bytes as they came.
func TestEach(t *testing.T) {
	for _, c := range []struct {
		name, each, body string
		header           []string
		want             string // ID, type and body of each
		problem          string
	}{
		{name: "list", each: ".", body: ` [ {"id":1, "type":"a"},{"type":"b","id":"2"} ] `, want: `1 a {"id":1, "type":"a"}|2 b {"type":"b","id":"2"}`},
		{name: "within", each: ".data.events", body: `{"x":[1],"data":{"y":{"events":[]},"events":[{"id":1}]},"z":`, want: `1  {"id":1}`},
		{name: "empty", each: ".events", body: `{"events":[]}`},
		{name: "no id", each: ".", body: `[{"id":1},{"type":"b"}]`, want: `1  {"id":1}|keyless b {"type":"b"}`, problem: "event 2: id: the expression gives null"},
		{name: "the request's id", each: ".", body: `[{},{"id":7}]`, header: []string{"Webhook-Id", "m"}, want: `m/0  {}|7  {"id":7}`, problem: "event 1: id: the expression gives null"},

		// What is not as said is one event, whole, and told.
		{name: "missing", each: ".events", body: `{"id":1,"type":"a"}`, want: "1 a whole", problem: `each: there is no "events"`},
		{name: "no object", each: ".a.events", body: `{"id":1,"a":[]}`, want: "1  whole", problem: `each: no object has "events"`},
		{name: "no list", each: ".events", body: `{"id":1,"events":{}}`, want: "1  whole", problem: "each: it is not a JSON array"},
		{name: "cut off", each: ".", body: `[{"id":1},{"id"`, want: "keyless  whole", problem: "each: it ends in the middle; id: "},
		{name: "no JSON", each: ".", body: `hello`, want: "keyless  whole", problem: "each: it is not JSON; id: "},
		{name: "nothing", each: ".", body: ``, want: "keyless  whole", problem: "each: it ends in the middle; id: "},
		{name: "too many", each: ".", body: "[1" + strings.Repeat(",1", 1000) + "]", want: "keyless  whole", problem: "each: more than 1000 events; id: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			items, problem := open(t, eachSettings(t, c.each)).Identify(request(c.body, c.header...))
			var got []string
			for _, it := range items {
				body := "whole"
				if it.Body != nil {
					body = string(it.Body)
				}
				if it.Keyless {
					it.ID = "keyless"
				}
				got = append(got, fmt.Sprintf("%s %s %s", it.ID, it.Type, body))
			}
			if strings.Join(got, "|") != c.want || !strings.HasPrefix(problem, c.problem) || c.problem == "" && problem != "" {
				t.Errorf("got %q, %s", got, problem)
			}
		})
	}
	if items, problem := open(t, eachSettings(t, ".")).Identify(request("[1" + strings.Repeat(",1", 999) + "]")); len(items) != 1000 || strings.Count(problem, "event ") != 3 {
		t.Errorf("as many as may be: %d, %s", len(items), problem)
	}
}

func TestEachIsAPath(t *testing.T) {
	for _, source := range []string{".events[]", ".[0]", "[.events]", ".events | reverse", `.["a"]?`} {
		var at *SettingError
		if _, err := Open(eachSettings(t, source)); !errors.As(err, &at) || at.Key != "each" || at.Hint == "" {
			t.Errorf("%s: %v", source, err)
		}
	}
	if _, err := Open(eachSettings(t, " . ")); err != nil {
		t.Error(err)
	}
}

// Whatever a stranger sends: the events lie in the body, one after the other.
func FuzzEach(f *testing.F) {
	for _, body := range []string{`{"a":{"b":[1,{"c":"]"}]}}`, `[[],[]]`, `{"a":`, "[\"\xff\"", `{"\u0061":{"b":[0]}}`, ``} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range [][]string{nil, {"a", "b"}} {
			events, err := eachOf(body, path)
			if err != nil && events != nil || len(events) > maxEach {
				t.Fatalf("%d events, %v", len(events), err)
			}
			rest := string(body)
			for _, e := range events {
				_, after, found := strings.Cut(rest, string(e))
				if rest = after; !found || len(e) == 0 || !jsontext.Value(e).IsValid(lenient...) {
					t.Fatalf("%q of %q", e, body)
				}
			}
		}
	})
}
