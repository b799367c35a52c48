package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/seawall"
)

// vars is an environment for tests.
type vars map[string]string

func (v vars) get(name string) (string, bool) {
	s, ok := v[name]
	return s, ok
}

var testVars = vars{"SECRET": whsec, "SHORT": "abc", "EMPTY": "", "BRACES": "{.id}", "QUOTE": `a"b`, "PLAIN": "not base64, but long", "HOST": "orders.example.com"}

func testOptions() Options {
	return Options{
		Dir: "/conf",
		ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "/conf/secret", "/abs/secret":
				return []byte(whsec + "\n"), nil
			case "/conf/empty":
				return []byte("\n"), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Getenv: testVars.get,
	}
}

// Each case is a file, and after "---" everything that is said about it.
const problems = `
listn: ":8080"
---
x:1:1: listn: no such key
hint: did you mean listen?
===
systems: {}
routes: [{ from: a, order: sequence }]
---
x:1:1: systems: not in this version
x:2:10: routes[0].to: is missing
x:2:18: routes[0].from: no source "a"
hint: name it under sources
x:2:21: routes[0].order: not in this version
===
sources:
  a: { provider: none }
  a: { provider: none }
---
x:3:3: a: written twice: also in line 2
===
sources:
  stripe: { provider: stripe, secret: "${SECRET}" }
destinations:
  orders: { url: https://orders.example.com }
routes:
  - { from: strpe, to: ordes }
  - { from: seawall, to: orders }
---
x:6:13: routes[0].from: no source "strpe"
hint: did you mean "stripe"?
x:6:24: routes[0].to: no destination "ordes"
hint: did you mean "orders"?
x:7:13: routes[1].from: routes from seawall are not in this version
===
sources:
  a: { provider: stripe, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }
  b: { provider: stripe, secret: "${UNSET}" }
  c: { provider: stripe, secret: "${EMPTY}" }
  d: { provider: stripe, secret: "${SHORT}" }
  e: { provider: stripe, secret: file:secret }
  f: { provider: stripe, secret: file:gone }
  g: { provider: stripe, secret: file:empty }
  h: { provider: stripe, secret: "whsec_${SECRET" }
  i: { provider: stripe, secret: "${SECRET}", secrets: ["${SECRET}"] }
  j: { provider: stripe, secrets: [] }
  k: { provider: stripe, secrets: ["${SECRET}", {value: "${SECRET}", expires: soon}] }
  l: { provider: stripe }
  m: { provider: strip, secret: "${SECRET}" }
  n: { provider: stripe, secret: "${SECRET}", algorithm: sha1 }
  o: { provider: stripe, secret: }
  p: { provider: strpe, secret: "${UNSET}" }
  q: { provider: "${UNSET}" }
---
x:2:34: sources.a.secret: a secret must not stand in the file itself
hint: write "${NAME}" and set the environment variable, or file:PATH
x:3:35: sources.b.secret: the environment variable UNSET is not set
hint: export UNSET=… before the start, or refer to a file with file:PATH
x:4:35: sources.c.secret: the environment variable EMPTY is empty
hint: export EMPTY=… before the start, or refer to a file with file:PATH
x:5:34: sources.d.secret: what it refers to is too short for a secret: at least 8 bytes
x:7:34: sources.f.secret: file gone: file does not exist
hint: paths are relative to the configuration file
x:8:34: sources.g.secret: file empty is empty
x:9:41: sources.h.secret: ${SECRET names no environment variable
hint: write ${NAME}, or $${ for a literal ${
x:10:47: sources.i.secrets: beside secret
hint: several go into secrets, the newest first
x:11:26: sources.j.secrets: is empty
hint: write "${NAME}" and set the environment variable, or file:PATH
x:12:79: sources.k.secrets[1].expires: "soon" is not a time
hint: for example 2026-12-01, or 2026-12-01T18:00:00Z
x:13:3: sources.l.secret: is missing
hint: the endpoint's signing secret (whsec_…): Stripe dashboard, Developers, Webhooks; or what "stripe listen" prints
x:14:8: sources.m.provider: "strip" is not a provider that this version knows
hint: did you mean stripe?
x:15:47: sources.n.algorithm: does not belong to a source of the provider stripe
hint: it takes: secret, tolerance
x:16:26: sources.o.secret: has no value
x:17:8: sources.p.provider: "strpe" is not a provider that this version knows
hint: did you mean stripe?
x:17:34: sources.p.secret: the environment variable UNSET is not set
hint: export UNSET=… before the start, or refer to a file with file:PATH
x:18:19: sources.q.provider: the environment variable UNSET is not set
hint: export UNSET=… before the start, or refer to a file with file:PATH
===
sources:
  s: { provider: none, id: .id | lenght }
  t:
    provider: none
    type: |
      .a
      | range(10)
    time: '.it''s | nope'
    id: ".a\u002eb | nope"
---
x:2:34: sources.s.id: no function lenght
hint: did you mean length?
x:7:9: sources.t.type: range is not available
hint: it may run without bound; go over what the payload holds: .items[]
x:8:15: sources.t.time: not jq: unexpected token "'"
hint: jq quotes text with ", not with '
x:9:22: sources.t.id: no function nope
hint: did you mean not?
===
destinations:
  a: { url: {.id} }
  b: { url: "https://x.example/{.id" }
  c: { url: "https://{.host}/" }
  d: { url: "ftp://x.example" }
  e: { url: "https://u:p@x.example" }
  f: { url: https://x.example, body: [.a] }
  g: { body: . }
  h: { url: https://x.example, headers: { "a b": x, Host: y, webhook-id: z, Authorization: Bearer abc, idempotency-key: k } }
  i: { url: https://x.example, forward: originl, method: post }
  j: { url: https://x.example, forward: original, body: .a }
  k: { url: https://x.example, system: crm, upsert: {} }
  l: { url: https://x.example, sign: { secret: "${PLAIN}" } }
  m: { url: https://x.example, idempotency: { header: X-Key, valid: 24h } }
  n: { url: https://x.example, renamed_from: a }
  o: { url: https://x.example, drop: true }
  "p q": { url: https://x.example }
---
x:2:13: destinations.a.url: a mapping, where a single value is wanted
hint: braces at the start of a value need quotes around the whole value: '{…}'
x:3:32: destinations.b.url: a { without its }
hint: for a brace in the text write {{
x:4:13: destinations.c.url: the host of a destination cannot come from an event
hint: the host has to be written out, and a / after it
x:5:13: destinations.d.url: does not begin with https:// or http://
hint: for example https://orders.example.com/hooks
x:6:13: destinations.e.url: a secret must not stand in the file itself
hint: write "${NAME}" and set the environment variable, or file:PATH
x:7:38: destinations.f.body: a list, where a single value is wanted
hint: brackets at the start of a value need quotes around the whole value: '[…]'
x:8:3: destinations.g.url: is missing
x:9:43: destinations.h.headers.a b: "a b" is not the name of a header
x:9:53: destinations.h.headers.Host: the gateway sets Host itself
hint: it belongs to the connection
x:9:62: destinations.h.headers.webhook-id: the gateway sets webhook-id itself
hint: to sign: sign: { secret: … }
x:9:92: destinations.h.headers.Authorization: a secret must not stand in the file itself
hint: write "${NAME}" and set the environment variable, or file:PATH
x:9:104: destinations.h.headers.idempotency-key: the gateway sets idempotency-key itself
hint: to send it under another name: idempotency: { header: NAME }
x:10:41: destinations.i.forward: "originl" is not one of the values that there are
hint: did you mean original?
x:10:58: destinations.i.method: "post" is not a method
hint: one like POST, PUT or PATCH
x:11:51: destinations.j.body: where the original is forwarded there is no other body
hint: leave out one of the two
x:12:32: destinations.k.system: not in this version
x:12:45: destinations.k.upsert: not in this version
x:13:40: destinations.l.sign.secret: the secret is not one of Standard Webhooks
hint: whsec_ and the base64 of 32 random bytes
x:14:62: destinations.m.idempotency.valid: not in this version
x:15:46: destinations.n.renamed_from: there still is a destination "a"
x:16:3: destinations.o: a destination that is dropped has no other keys
hint: leave only drop: true
x:17:3: destinations.p q: "p q" cannot be a name
hint: letters, digits, _ . and -, at most 63 of them, the first a letter or digit
===
egress: { allow: ["10.20.0.0/16"] }
destinations:
  a: { url: http://10.20.3.4/x }
  b: { url: http://10.30.0.1/x }
  c: { url: "http://[::1]:9000/{.id}" }
  d: { url: http://localhost:9000 }
  e: { url: http://169.254.169.254/latest }
---
x:4:13: destinations.b.url: 10.30.0.1 is a private address
hint: to allow it: egress: { allow: ["10.20.0.0/16", "10.30.0.1/32"] }
x:5:13: destinations.c.url: ::1 is a loopback address
hint: to allow it: egress: { allow: ["10.20.0.0/16", "::1/128"] }
x:6:13: destinations.d.url: localhost: 127.0.0.1 is a loopback address
hint: to allow it: egress: { allow: ["10.20.0.0/16", "127.0.0.0/8"] }
x:7:13: destinations.e.url: 169.254.169.254 is a link-local address, where clouds keep the credentials of machines, which is never called
===
destinations:
  a: { url: https://x.example, timeout: 10, retry: { for: 75 hours, max: -1, first: 2d }, concurrency: 0 }
  b: { url: https://x.example, timeout: { whole: 1ms, conect: 1s } }
  c: { url: https://x.example, shards: 65 }
  d: { url: https://x.example, shards: 17 }
  e: { url: https://x.example, shards: 3, concurrency: 3 }
limits: { body: 5MB, memory: 1MiB, requests: many }
retention: { events: 10d, dedupe: 30d }
egress: { allow: 10.0.0.0/8 }
trusted_proxies: [10.0.0.0/33]
log: { level: warning }
store: mysql:x
listen: 8080
public_url: hooks.example.com
---
x:2:41: destinations.a.timeout: "10" is not a duration
hint: a number and a unit: 500ms, 10s, 5m, 75h, 30d
x:2:59: destinations.a.retry.for: "75 hours" is not a duration
hint: a number and a unit: 500ms, 10s, 5m, 75h, 30d
x:2:74: destinations.a.retry.max: "-1" is not a whole number from 0 to 1000
x:2:85: destinations.a.retry.first: "2d" is too long: at most 1d
x:2:104: destinations.a.concurrency: "0" is not a whole number from 1 to 1000
x:3:50: destinations.b.timeout.whole: "1ms" is too short: at least 10ms
x:3:55: destinations.b.timeout.conect: no such key
hint: did you mean connect?
x:4:40: destinations.c.shards: "65" is not a whole number from 1 to 64
x:5:40: destinations.d.shards: 17 shards are more than concurrency, 16
hint: each shard has its share of concurrency, one attempt at least: raise concurrency, or take fewer shards
x:7:30: limits.memory: "1MiB" is too little: at least 67108864 bytes
x:7:46: limits.requests: "many" is not a whole number from 1 to 1000000
x:8:35: retention.dedupe: 30d is longer than events are kept, 10d
hint: what is kept no longer cannot be recognised
x:9:18: egress.allow: a single value, where a list is wanted
hint: write it in brackets, with commas between: [a, b]
x:10:19: trusted_proxies[0]: "10.0.0.0/33" is not a range of addresses
hint: for example 10.20.0.0/16, or one address
x:11:15: log.level: "warning" is not one of the values that there are
hint: did you mean warn?
x:12:8: store: "mysql:x" is not a store
hint: write sqlite:PATH, or postgres://USER@HOST/DATABASE
x:13:9: listen: "8080" is not an address to listen on
hint: for example ":8080" or "127.0.0.1:8081"
x:14:13: public_url: "hooks.example.com" is not the URL of a place
hint: for example https://hooks.example.com
===
sources:
  a: { provider: none, dedupe: 60d }
  seawall: { provider: none }
destinations:
  b: { url: https://b.example }
  f: { url: https://f.example, forward: original }
routes:
  - { from: a, to: b }
  - { from: a, to: b, types: [], name: a-b }
  - { from: a, to: b, name: other, when: '.x = "y"' }
  - { from: a, to: f, transform: .x }
  - { from: a, to: b, name: "so bad" }
---
x:2:32: sources.a.dedupe: 60d is longer than events are kept, 30d
hint: what is kept no longer cannot be recognised
x:3:3: sources.seawall: the name seawall is kept for the gateway's own events
x:9:30: routes[1].types: an empty list would match nothing
hint: leave the key out for all types
x:9:34: routes[1].name: a second route "a-b": the first is in line 8
hint: give one of the two a name of its own: name: …
x:10:42: routes[2].when: = assigns: this condition would always hold
hint: to compare write ==
x:11:23: routes[3].transform: the destination f forwards the original
hint: leave out the transform, or forward: original
x:12:23: routes[4].name: "so bad" cannot be a name
hint: letters, digits, _ . and -, at most 63 of them, the first a letter or digit
===
routes:
  - from: a
    when: .a == "x": 1
---
x:3:11: not YAML: mapping value is not allowed in this context
hint: a value that holds “: ” needs quotes around it
===
destinations:
  a: { url: {.id}/x }
---
x:2:18: not YAML: ',' or '}' must be specified
hint: braces at the start of a value need quotes around the whole value: '{…}'
===
destinations:
  ä: { url: https://example.com/x/{.id}, method: PUT }
---
x:2:35: not YAML: ',' or '}' must be specified
hint: braces and brackets in a value need quotes around the whole value: '…{…}'
===
destinations:
  a: { url: https://example.com, headers: { X: y[0] } }
---
x:2:49: not YAML: ',' or '}' must be specified
hint: braces and brackets in a value need quotes around the whole value: '…{…}'
===
routes:
  - { from: a, transform: '{}' to: b }
---
x:2:32: not YAML: ',' or '}' must be specified
===
log:
	level: x
---
x:2:1: not YAML: found character '	' that cannot start any token
hint: indent with spaces, not with tabs
===
listen: &a ":8080"
public_url: *a
---
x:1:9: not used in this file: anchors of YAML
hint: write the value out
x:2:13: not used in this file: aliases of YAML
hint: write the value out
===
listen: ":1"
---
listen: ":2"
---
x:3:1: a second document: a configuration is one
===
just text
---
x:1:1: a single value, where a mapping of keys is wanted
===
sources: [a]
destinations: none
routes: { a: b }
---
x:1:10: sources: a list, where a mapping of names is wanted
x:2:15: destinations: a single value, where a mapping of names is wanted
x:3:9: routes: a mapping, where a list is wanted
hint: write it in brackets, with commas between: [a, b]
`

func TestProblems(t *testing.T) {
	for _, c := range strings.Split(strings.TrimPrefix(problems, "\n"), "===\n") {
		at := strings.LastIndex(c, "---\n")
		file, want := c[:at], strings.TrimSuffix(c[at+4:], "\n")
		_, err := Parse([]byte(file), "x", testOptions())
		if err == nil {
			t.Errorf("no problem with\n%s", file)
			continue
		}
		if !errors.Is(err, seawall.ErrInvalid) {
			t.Errorf("not of the kind invalid: %v", err)
		}
		if got := err.Error(); got != want {
			t.Errorf("%s---\ngot\n%s\nwant\n%s", file, got, want)
		}
	}
}
