package config

import "testing"

func TestG10_NodesWithTheirOwnListenersRunOneRevision(t *testing.T) {
	const one = `
store: postgres://seawall@db/seawall
listen: ":8080"
sources: { a: { provider: none } }
destinations: { x: { url: "https://x.example" } }
routes: [{ from: a, to: x }]
`
	const other = `
# the second machine
listen: ":9090"
admin: { listen: "127.0.0.1:9091" }
log: { level: debug }
store: "postgres://${NOT_SET_HERE}@db/seawall"
sources:
  a: { provider: none }
destinations: { x: { url: "https://x.example" } }
routes: [{ from: a, to: x }]
`
	if !SameRevision([]byte(one), []byte(other)) {
		t.Error("they differ only in what belongs to a node")
	}
	for name, changed := range map[string]string{
		"a value":     "sources: { a: { provider: none } }\ndestinations: { x: { url: \"https://y.example\" } }\nroutes: [{ from: a, to: x }]",
		"a setting":   one + "public_url: https://hooks.example.com\n",
		"no YAML":     "{",
		"no mapping":  "first",
		"nothing":     "",
		"a list item": "sources: { a: { provider: none } }\ndestinations: { x: { url: \"https://x.example\" } }\nroutes: [{ from: a, to: x }, { from: a, to: x }]",
	} {
		if SameRevision([]byte(one), []byte(changed)) {
			t.Errorf("%s: not the same", name)
		}
	}
	if SameRevision([]byte("first"), []byte("second")) {
		t.Error("texts that cannot be read are what they are")
	}

	o := testOptions()
	o.Revision = true
	c, err := Parse([]byte(other), "x", o)
	if err != nil {
		t.Fatalf("what belongs to another node is in the way: %v", err)
	}
	if c.Node.Listen != ":8080" {
		t.Errorf("listens on %s: that is another node's", c.Node.Listen)
	}
}
