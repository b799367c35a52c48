package config

import (
	"maps"
	"testing"
)

func TestChanges(t *testing.T) {
	const before = `
limits: { body: 1MiB }
sources: { a: { provider: none }, b: { provider: none } }
entities: { order: { a: { key: .id } }, user: { b: { key: .id } } }
destinations: { x: { url: "https://x.example" }, y: { url: "https://y.example" } }
routes: [{ from: a, to: x, entity: order, order: latest }, { from: b, to: y }]
`
	const laidOutOtherwise = `
limits:
  body: 1MiB
sources:
  a: { provider: 'none' } # a comment
  b: { provider: none }
entities:
  order:
    a: { key: ".id" }
  user: { b: { key: .id } }
destinations:
  x: { url: https://x.example }
  y:
    url: https://y.example
routes:
  - { from: a, to: x, entity: order, order: 'latest' }
  - { from: b, to: y }
`
	const after = `
limits: { body: 2MiB }
sources: { a: { provider: none }, b: { provider: none, body: 1MiB } }
entities: { order: { a: { key: .no } }, invoice: { b: { key: .id } } }
destinations: { x: { url: "https://x.example" }, z: { url: "https://y.example", renamed_from: y } }
routes: [{ from: a, to: x, when: .x }, { from: b, to: z }]
`
	read := func(text string) *Config {
		c, err := Parse([]byte(text), "x", testOptions())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if got := Changes(read(before), read(laidOutOtherwise)); len(got) > 0 {
		t.Errorf("%v", got)
	}
	want := map[string]string{"settings": "~", "sources": "~b", "entities": "~order +invoice -user", "destinations": "+z -y", "routes": "~a-x +b-z -b-y"}
	if got := Changes(read(before), read(after)); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
