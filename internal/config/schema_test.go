package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seawall-dev/seawall/seawall"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	js, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(js))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What the reader takes, editors do not complain of.
func TestSchemaTakesExamples(t *testing.T) {
	s := compiled(t)
	found, err := filepath.Glob("../../examples/*/seawall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(found, "testdata/full.yaml") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// What the reader refuses for its form, editors mark.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for _, text := range []string{
		"listn: x", "systems: []", "systems: {a: {}}", "systems: {a: {url: 'https://x', auth: {}}}", "systems: {a: {url: 'https://x', auth: {bearer: literal}}}", "systems: {a: {url: 'https://x', limit: {rate: fast}}}",
		"systems: {a: {url: 'https://x', breaker: on}}", "systems: {a: {url: 'https://x', breaker: {failures: many}}}", "systems: {a: {url: 'https://x', calls: [{}]}}", "systems: {a: {sql: x}}", "seal: {}",
		"destinations: {a: {system: b}}", "destinations: {a: {url: 'https://x', on_unknown: [wait]}}", "destinations: {a: {url: 'https://x', fallback: {on: [dead]}}}", "sources: {a: {}}", "sources: {'a b': {provider: none}}", "sources: {a: {provider: stripe, secret: literal}}",
		"destinations: {a: {}}", "destinations: {a: {url: 'https://x', timeout: soon}}", "destinations: {a: {url: 'https://x', forward: yes}}",
		"destinations: {a: {url: 'https://x', retry: {max: many}}}", "routes: [{from: a}]", "routes: {}", "limits: {body: large}", "log: {level: loud}",
		"sources: {a: {provider: hmac, encoding: hexx}}", "entities: {a: {}}", "entities: {a: {b: {compare: [more]}}}", "entities: {a: {b: {key: .id}, clock: mine}}", "entities: {a: {b: {key: .id}, fetch: {path: /x}}}",
		"routes: [{from: a, to: b, entity: c, order: last}]", "routes: [{from: a, to: b, entity: c, after: x}]", "destinations: {a: {system: b, upsert: {create: POST /x}}}", "egress: {allow: x}",
	} {
		if s.Validate(asJSON(t, []byte(text))) == nil {
			t.Errorf("%s: taken", text)
		}
		if _, err := Parse([]byte(text), "x", testOptions()); err == nil {
			t.Errorf("%s: read", text)
		}
	}
}

// Every key of the schema is read, and every key that is read is in the schema.
func TestSchemaAndReaderAgree(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	opt := testOptions()
	opt.Getenv = fullVars.get
	r := newReader("full.yaml", opt)
	r.config(value{r: r, node: r.parse(text)})
	if len(r.problems) > 0 {
		t.Fatal(r.problems)
	}
	for name, shape := range shapes() {
		if len(shape.Properties) == 0 {
			continue // a scalar
		}
		want, got := slices.Sorted(maps.Keys(shape.Properties)), slices.Sorted(maps.Keys(r.asked[name]))
		if !slices.Equal(got, want) {
			t.Errorf("%q: the reader knows %v, the schema %v", name, got, want)
		}
		for _, later := range shape.Later {
			if _, both := shape.Properties[later]; both {
				t.Errorf("%q: %s is in this version and is not", name, later)
			}
		}
	}
	for name := range r.asked {
		if len(shapes()[name].Properties) == 0 {
			t.Errorf("%q is read, but is not in the schema", name)
		}
	}
	// And the reference lists every variable that sets something.
	reference, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(string(reference), "- `SEAWALL_"), len(r.settable); got != want {
		t.Errorf("the reference lists %d variables, there are %d", got, want)
	}
	for name := range r.settable {
		if !strings.Contains(string(reference), "- `"+name+"`") {
			t.Errorf("the reference does not list %s", name)
		}
	}
}

// Every event of the gateway's own is told of.
func TestOutcomesAreDocumented(t *testing.T) {
	reference, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range seawall.OutcomeTypes() {
		if !strings.Contains(string(reference), "`"+kind+"`") {
			t.Errorf("%s is not", kind)
		}
	}
}

func TestSchemaIsStrict(t *testing.T) {
	var root struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	for name, def := range root.Defs {
		if def["properties"] != nil && def["additionalProperties"] != false && def["x-other"] == nil {
			t.Errorf("%s takes any key", name)
		}
	}
}
