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
			case "/conf/client.pem", "/conf/ca.pem":
				return certPEM, nil
			case "/conf/client.key":
				return keyPEM, nil
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
reconcile: {}
routes: [{ from: a, order: sequence }]
---
x:1:1: reconcile: not in this version
x:2:10: routes[0].to: is missing
x:2:18: routes[0].from: no source "a"
hint: name it under sources
x:2:21: routes[0].order: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
===
sources:
  app: { provider: none }
  lab: { provider: none }
  s: { provider: stripe, secret: "${SECRET}" }
destinations: { d: { url: "https://a.example/{$entity.key}", body: "$entity", headers: { X: "{$entity.version}" }, method: "{$entity.name}" } }
routes: [{ from: app, to: d, when: "$entity", transform: "$entity" }, { from: lab, to: d }, { from: s, to: d }]
entities:
  "a b": { app: { key: .id } }
  none: {}
  order:
    app: { types: ["order.*", "*.paid"], key: .id, version: [.a, .b] }
    lab: { types: [], key: ".id |", version: [] }
    sto: { key: .id }
    clock: shared
    fetch: { system: x }
  user:
    app: { types: [user, "invoice.*"], key: .id = 1, version: .v, record: .r, compare: time }
    lab: { key: $entity.key, version: [.a, .b, .c, .d, .e] }
    s: {}
  visit:
    app: { types: ["page.*", "order.p*"] }
    s: { types: ["x.*"] }
  list: [a]
---
x:8:3: entities.a b: "a b" cannot be a name
hint: letters, digits, _ . and -, at most 63 of them, the first a letter or digit
x:9:3: entities.none: has no source
hint: for example none: { shop: { types: ["orders/*"], key: .id, version: .updated_at } }
x:12:19: entities.order.lab.types: an empty list would match nothing
hint: leave the key out for all types
x:12:34: entities.order.lab.key: not jq: it ends too early
x:12:46: entities.order.lab.version: a version has 1 to 4 parts
hint: for example [.updated_at, .sequence]
x:13:5: entities.order.sto: no source "sto"
hint: did you mean "s"?
x:15:5: entities.order.fetch.path: is missing
hint: for example /orders/{$entity.key}
x:15:22: entities.order.fetch.system: no system "x"
hint: name it under systems
x:17:5: entities.user.app: invoice.* overlaps *.paid of entities.order.app in line 11
hint: an event belongs to one entity: name types that do not overlap
x:17:45: entities.user.app.key: = assigns: this gives the whole payload, changed
hint: for example .order.id
x:18:5: entities.user.lab: * overlaps * of entities.order.lab in line 12
hint: an event belongs to one entity: name types that do not overlap
x:18:17: entities.user.lab.key: $entity is not known here
hint: there are $event, and what the expression names itself with “as $name”
x:18:39: entities.user.lab.version: a version has 1 to 4 parts
hint: for example [.updated_at, .sequence]
x:21:5: entities.visit.app: page.* overlaps *.paid of entities.order.app in line 11
hint: an event belongs to one entity: name types that do not overlap
x:21:5: entities.visit.app.key: is missing: the provider none does not know what its events are about
hint: for example key: .order.id
x:22:5: entities.visit.s: x.* overlaps * of entities.user.s in line 19
hint: an event belongs to one entity: name types that do not overlap
x:23:9: entities.list: a list, where a mapping of names is wanted
===
systems: { api: { url: https://api.example } }
sources:
  app: { provider: none }
  clock: { provider: none }
  fetch: { provider: none }
  unresolved: { provider: none }
destinations: { d: { url: https://a.example } }
routes: [{ from: app, to: d }, { from: clock, to: d }, { from: fetch, to: d }, { from: unresolved, to: d }]
entities:
  a:
    app: { types: [a], key: .id, version: [.a, .b], compare: [time, integer, text] }
    clock: own
    fetch: { system: api, path: "/a/{.id}", record: .a = 1, gone: skip }
    unresolved: { wait: 1y }
  b:
    app: { types: [b], key: .id, compare: numbr, system: crm }
    clock: {}
    fetch: { system: apis, path: "a/{$event.id}", gone: [hold] }
    unresolved: { then: drop }
  c:
    app: { types: [c], record: ".id", compare: [], system: "a b", key: $link.crm }
    clock: { key: .id }
    fetch: { key: .id, types: [c] }
    unresolved: { record: .id, types: [d] }
  d:
    app: { types: [d], key: .id, compare: { a: b }, record: .id, system: }
    fetch: { system: api, path: "/x/{$entity.key | ascii_downcase}/{$link.crm}" }
    unresolved:
  e:
    app: { types: [e], key: .id, compare: [number, number] }
    clock:
    fetch:
---
x:11:62: entities.a.app.compare: 3 comparisons, while the parts of the version are 2
hint: one word for all parts, or one for each
x:12:12: entities.a.clock: "own" is not one of the values that there are
hint: one of: shared
x:13:33: entities.a.fetch.path: the record is read for its entity, not for an event: there is no payload
hint: {$entity.key}, {$link.NAME}
x:13:53: entities.a.fetch.record: = assigns: this gives the whole payload, changed
hint: for example .order.id
x:13:67: entities.a.fetch.gone: "skip" is not one of the values that there are
hint: one of: deliver, cancel, hold
x:14:5: entities.a.unresolved: no source tells a record, so that nothing waits for its entity
hint: leave it out, or say record: in what a source tells
x:14:25: entities.a.unresolved.wait: "1y" is not a duration
hint: a number and a unit: 500ms, 10s, 5m, 75h, 30d
x:16:43: entities.b.app.compare: "numbr" is not one of the values that there are
hint: did you mean number?
x:16:50: entities.b.app.system: is whose record an event is about, and nothing says which record that is
hint: record: .id says which one it is
x:17:5: entities.b.clock.key: is missing: the provider none does not know what its events are about
hint: for example key: .order.id
x:18:22: entities.b.fetch.system: no system "apis"
hint: did you mean "api"?
x:18:34: entities.b.fetch.path: a path begins with a /
hint: for example /orders/{.id}
x:18:57: entities.b.fetch.gone: a list, where a single value is wanted
hint: brackets at the start of a value need quotes around the whole value: '[…]'
x:19:5: entities.b.unresolved: no source tells a record, so that nothing waits for its entity
hint: leave it out, or say record: in what a source tells
x:19:25: entities.b.unresolved.then: "drop" is not one of the values that there are
hint: one of: deliver, hold, dead
x:21:48: entities.c.app.compare: 0 comparisons, while the parts of the version are 1
hint: one word for all parts, or one for each
x:21:52: entities.c.app.system: "a b" cannot be a name
hint: letters, digits, _ . and -, at most 63 of them, the first a letter or digit
x:21:72: entities.c.app.key: $link is not known here
hint: links are known when something is sent; there are $event, and what the expression names itself with “as $name”
x:22:5: entities.c.clock: * overlaps * of entities.b.clock in line 17
hint: an event belongs to one entity: name types that do not overlap
x:26:43: entities.d.app.compare: a mapping, where a single value is wanted
hint: braces at the start of a value need quotes around the whole value: '{…}'
x:26:66: entities.d.app.system: has no value
x:28:5: entities.d.unresolved: * overlaps d of entities.c.unresolved in line 24
hint: an event belongs to one entity: name types that do not overlap
x:28:5: entities.d.unresolved.key: is missing: the provider none does not know what its events are about
hint: for example key: .order.id
x:30:43: entities.e.app.compare: 2 comparisons, while the parts of the version are 1
hint: one word for all parts, or one for each
x:31:5: entities.e.clock: * overlaps * of entities.b.clock in line 17
hint: an event belongs to one entity: name types that do not overlap
x:31:5: entities.e.clock: * overlaps * of entities.c.clock in line 22
hint: an event belongs to one entity: name types that do not overlap
x:31:5: entities.e.clock.key: is missing: the provider none does not know what its events are about
hint: for example key: .order.id
x:32:5: entities.e.fetch: * overlaps c of entities.c.fetch in line 23
hint: an event belongs to one entity: name types that do not overlap
x:32:5: entities.e.fetch.key: is missing: the provider none does not know what its events are about
hint: for example key: .order.id
===
sources: { app: { provider: none }, lab: { provider: none } }
systems: { api: { url: https://api.example } }
destinations:
  a: { url: https://a.example }
  b: { url: https://b.example, forward: original }
entities:
  order:
    app: { types: ["order.*"], key: .id }
    fetch: { system: api, path: "/x/{$entity.key}" }
  user: { lab: { key: .id } }
routes:
  - { from: app, to: a, entity: ordr, order: sequence }
  - { from: app, to: a, name: r1, settle: 1s, late: hold, pass_after: 1h, after: [x], wait: 1h, then: hold, fetch: true, order: none }
  - { from: app, to: a, name: r2, entity: order }
  - { from: app, to: a, name: r3, entity: order, order: latst }
  - { from: app, to: a, name: r4, entity: order, order: latest, settle: 2h, late: hold, pass_after: 1h }
  - { from: app, to: a, name: r5, entity: order, order: sequence, late: drop, pass_after: 0s, wait: 1h, then: dead }
  - { from: app, to: a, name: r6, entity: order, order: none, settle: 1s }
  - { from: app, to: a, name: r7, entity: order, after: ["order.created", "ordr.*", "user.*"], settle: 1s, order: sequence, then: skip, wait: 0s }
  - { from: app, to: b, name: r8, entity: order, order: sequence, fetch: true }
  - { from: lab, to: b, name: r9, entity: user, order: latest, fetch: true }
  - { from: lab, to: b, name: r10, entity: order, order: sequence }
  - { from: app, to: b, name: r11, types: ["user.*"], entity: order, order: sequence }
  - { from: app, to: b, name: r12, entity: order, order: latest }
  - { from: seawall, to: b, name: r13, entity: order, order: sequence }
  - { from: calls, to: b, name: r14, entity: order, order: sequence }
  - { from: app, to: a, name: r15, entity: order, fetch: false, after: [] }
  - { from: app, to: a, name: r16, when: $link.crm != null }
  - { from: app, to: a, name: r17, entity: order, types: [order.created, "order.p*"], after: ["order.*"] }
  - { from: app, to: a, name: r18, entity: order, after: ["*", order.x] }
---
x:12:33: routes[0].entity: no entity "ordr"
hint: did you mean "order"?
x:13:35: routes[1].settle: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:13:47: routes[1].late: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:13:59: routes[1].pass_after: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:13:75: routes[1].after: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:13:87: routes[1].wait: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:13:97: routes[1].then: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:13:109: routes[1].fetch: is about the events of one entity, and the route names none
hint: entity: NAME says of which entity
x:14:35: routes[2].entity: has no effect: nothing says in which order its events are delivered
hint: for example order: sequence, or order: latest
x:15:57: routes[3].order: "latst" is not one of the values that there are
hint: did you mean latest?
x:16:73: routes[4].settle: "2h" is too long: at most 1h
x:16:77: routes[4].late: has no effect: only in a sequence an event is late, or holds up others
hint: only with order: sequence
x:16:89: routes[4].pass_after: has no effect: only in a sequence an event is late, or holds up others
hint: only with order: sequence
x:17:57: routes[5].order: the route in line 16 brings order to a too, by order: latest
hint: one order for both
x:17:73: routes[5].late: "drop" is not one of the values that there are
hint: one of: deliver, supersede, hold
x:17:91: routes[5].pass_after: "0s" is too short: at least 1s
x:17:95: routes[5].wait: has no effect: nothing is waited for
hint: for example after: [order.created]
x:17:105: routes[5].then: has no effect: nothing is waited for
hint: for example after: [order.created]
x:18:63: routes[6].settle: has no effect where nothing is ordered
hint: add order: sequence, or order: latest
x:19:75: routes[7].after[1]: no route brings such an event of order to a
hint: it waits for what is delivered to the same destination, for the same entity
x:19:85: routes[7].after[2]: no route brings such an event of order to a
hint: it waits for what is delivered to the same destination, for the same entity
x:19:96: routes[7].settle: what waits for another event has no window beside
hint: leave out one of the two
x:19:115: routes[7].order: the route in line 16 brings order to a too, by order: latest
hint: one order for both
x:19:131: routes[7].then: "skip" is not one of the values that there are
hint: one of: deliver, hold, dead
x:19:143: routes[7].wait: "0s" is too short: at least 1s
x:20:67: routes[8].fetch: the destination b forwards the original
hint: leave out one of the two
x:21:64: routes[9].fetch: the current record of user cannot be read: the entity has no fetch
hint: entities: { user: { fetch: { system: …, path: … } } } says how
x:21:64: routes[9].fetch: the destination b forwards the original
hint: leave out one of the two
x:22:44: routes[10].entity: no event that comes this way is about order
hint: entities: { order: { lab: … } } says which of its events are
x:23:63: routes[11].entity: no event that comes this way is about order
hint: entities: { order: { app: … } } says which of its events are
x:24:58: routes[12].order: the route in line 20 brings order to b too, by order: sequence
hint: one order for both
x:26:46: routes[14].entity: calls are about no entity
hint: leave it out
x:27:72: routes[15].after: an empty list would match nothing
hint: leave the key out for all types
x:28:42: routes[16].when: $link is not known here
hint: links are known when something is sent; there are $event, $entity, and what the expression names itself with “as $name”
x:29:94: routes[17].after: has no effect: all that the route takes are such events
hint: name those that come first, which do not wait themselves
x:30:58: routes[18].after: has no effect: all that the route takes are such events
hint: name those that come first, which do not wait themselves
===
systems: { crm: { url: https://crm.example/api } }
sources: { app: { provider: none } }
entities: { user: { app: { key: .id } }, order: { seawall: {} } }
destinations:
  a: { url: https://a.example, upsert: { create: POST /x, update: PATCH /x } }
  b: { system: crm, path: /x, method: PUT, forward: original, upsert: { create: /x, update: "DELETE /x", find: ["GET x", "POST /x", "GET /{.a"], found: .a, lag: 2h } }
  c: { system: crm, upsert: { find: [], link: "a b" } }
  d: { system: crm, upsert: { create: 'POST /x/{$call}', update: "PATCH   /x/{.id | lenght}", adopt: .a, found: .b, lag: 1s } }
  e: { system: crm, check: { path: /x, found: .x }, on_unknown: [check], upsert: { find: ["GET /x"], create: POST /x, update: PATCH /x, adopt: .a = 1, id: .b = 1 } }
  f: { system: cmr, upsert: }
  g: { upsert: { create: POST /x, update: PATCH /x } }
  h: { system: crm, upsert: { create: POST /x, update: PATCH /x }, fallback: i }
  i: { system: crm, upsert: { create: POST /y, update: PATCH /y } }
  j: { system: crm, upsert: { create: POST /z, update: PATCH /z, link: mail } }
routes:
  - { from: app, to: a, entity: user, order: latest }
  - { from: app, to: b, entity: user }
  - { from: app, to: c }
  - { from: app, to: d, entity: user, order: none }
  - { from: app, to: e, entity: user, order: sequence, after: [x] }
  - { from: app, to: f, entity: user, order: latest }
  - { from: app, to: g, entity: user, order: latest }
  - { from: app, to: h, entity: user, order: latest }
  - { from: app, to: i, entity: user, order: latest }
  - { from: app, to: j, entity: user, order: latest }
---
x:3:51: entities.order.seawall: no source "seawall"
hint: there are: app
x:5:8: destinations.a.url: belongs to one request, and an upsert makes several
hint: leave it out
x:5:32: destinations.a.upsert: is about the records of a system, and none is named
hint: system: NAME, and under systems its url
x:6:21: destinations.b.path: belongs to one request, and an upsert makes several
hint: leave it out
x:6:31: destinations.b.method: belongs to one request, and an upsert makes several
hint: leave it out
x:6:44: destinations.b.forward: belongs to one request, and an upsert makes several
hint: leave it out
x:6:81: destinations.b.upsert.create: is not a method with a path behind it
hint: for example POST /contacts
x:6:93: destinations.b.upsert.update: "DELETE" is not a method for it
hint: one of: PATCH, PUT, POST
x:6:117: destinations.b.upsert.find[0]: a path begins with a /
hint: for example /orders/{.id}
x:6:122: destinations.b.upsert.find[1]: "POST" is not a method for it
hint: one of: GET
x:6:139: destinations.b.upsert.find[2]: a { without its }
hint: for a brace in the text write {{
x:6:162: destinations.b.upsert.lag: "2h" is too long: at most 1h
x:7:21: destinations.c.upsert.create: is missing
hint: for example POST /contacts
x:7:21: destinations.c.upsert.update: is missing
hint: for example PATCH /contacts/{$link.crm}
x:7:37: destinations.c.upsert.find: an empty list finds nothing
hint: leave it out where a record cannot be there before
x:7:41: destinations.c.upsert.link: "a b" cannot be a name
hint: letters, digits, _ . and -, at most 63 of them, the first a letter or digit
x:8:21: destinations.d.upsert: the destination b keeps the link crm of user too
hint: give one of the two another: upsert: { link: NAME, … }
x:8:49: destinations.d.upsert.create: $call is not known here
hint: there are $event, $entity, $link, and what the expression names itself with “as $name”
x:8:85: destinations.d.upsert.update: no function lenght
hint: did you mean length?
x:8:95: destinations.d.upsert.adopt: has no effect: nothing says how a record is found
hint: find: ["GET /contacts?email={.email}"]
x:8:106: destinations.d.upsert.found: has no effect: nothing says how a record is found
hint: find: ["GET /contacts?email={.email}"]
x:8:117: destinations.d.upsert.lag: has no effect: nothing says how a record is found
hint: find: ["GET /contacts?email={.email}"]
x:9:21: destinations.e.check: belongs to one request, and an upsert makes several
hint: leave it out
x:9:74: destinations.e.upsert: the destination b keeps the link crm of user too
hint: give one of the two another: upsert: { link: NAME, … }
x:9:74: destinations.e.upsert.found: is missing: what of a find's answer is the record
hint: for example .results[0]: null where there is none
x:9:144: destinations.e.upsert.adopt: = assigns: this condition would always hold
hint: to compare write ==
x:9:156: destinations.e.upsert.id: = assigns: this gives the whole payload, changed
hint: for example .order.id
x:10:16: destinations.f.system: no system "cmr"
hint: did you mean "crm"?
x:10:21: destinations.f.upsert: has no value
hint: find:, create: and update: say how
x:11:8: destinations.g.upsert: is about the records of a system, and none is named
hint: system: NAME, and under systems its url
x:12:21: destinations.h.upsert: the destination b keeps the link crm of user too
hint: give one of the two another: upsert: { link: NAME, … }
x:12:78: destinations.h.fallback: the destination i keeps a record for each entity, and what is diverted comes in no order
hint: another destination
x:13:21: destinations.i.upsert: the destination b keeps the link crm of user too
hint: give one of the two another: upsert: { link: NAME, … }
x:17:22: routes[1].to: the destination b keeps a record for each entity: its events come one at a time
hint: entity: NAME with order: latest, or order: sequence
x:17:25: routes[1].entity: has no effect: nothing says in which order its events are delivered
hint: for example order: sequence, or order: latest
x:18:22: routes[2].to: the destination c keeps a record for each entity: its events come one at a time
hint: entity: NAME with order: latest, or order: sequence
x:19:22: routes[3].to: the destination d keeps a record for each entity: its events come one at a time
hint: entity: NAME with order: latest, or order: sequence
===
systems: { crm: { url: https://crm.example/api } }
sources: { app: { provider: none }, lab: { provider: none } }
entities: { user: { app: { types: ["user.*"], key: .id } }, order: { app: { types: ["order.*", "x.paid"], key: .id }, lab: { key: .id } } }
destinations: { a: { system: crm, upsert: { create: POST /x, update: PATCH /x } } }
routes:
  - { from: app, types: ["user.*"], to: a, entity: user, order: latest }
  - { from: app, types: ["user.a", "x.unpaid", "user.new.*"], to: a, entity: user, order: latest, name: r1 }
  - { from: app, to: a, entity: user, order: latest, name: r2 }
  - { from: app, types: [x.paid, user.new], to: a, entity: user, order: latest, name: r3 }
  - { from: seawall, to: a, entity: user, order: latest, name: r4 }
---
x:8:33: routes[2].entity: events of order come this way too, and of those a would keep records in no order
hint: types: those that are about user
x:9:60: routes[3].entity: events of order come this way too, and of those a would keep records in no order
hint: types: those that are about user
x:10:13: routes[4].from: the gateway's own events are about deliveries, of whatever entity
hint: a source that tells about user
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
  m: { url: https://x.example, idempotency: { header: X Key } }
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
hint: url, or system and path
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
x:12:8: destinations.k.url: beside system
hint: path says where on the system; or leave out system
x:12:40: destinations.k.system: no system "crm"
hint: name it under systems
x:12:45: destinations.k.upsert.create: is missing
hint: for example POST /contacts
x:12:45: destinations.k.upsert.update: is missing
hint: for example PATCH /contacts/{$link.crm}
x:13:40: destinations.l.sign.secret: the secret is not one of Standard Webhooks
hint: whsec_ and the base64 of 32 random bytes
x:14:47: destinations.m.idempotency.header: "X Key" is not the name of a header
x:15:46: destinations.n.renamed_from: there still is a destination "a"
hint: leave out renamed_from, or the destination of that name
x:16:3: destinations.o: a destination that is dropped has no other keys
hint: leave only drop: true
x:17:3: destinations.p q: "p q" cannot be a name
hint: letters, digits, _ . and -, at most 63 of them, the first a letter or digit
===
egress: { allow: ["10.20.0.0/16"] }
systems:
  a: { url: http://10.30.0.1/x }
  b: { url: http://127.0.0.1:9000 }
  c: { url: https://c.example, auth: { oauth2: { token_url: "http://169.254.169.254/token", client_id: x, client_secret: "${SECRET}" } } }
  d: { url: https://u:p@d.example/x?y=1 }
  e: { url: d.example }
  f: { auth: { bearer: "${SECRET}" } }
  g: { sql: "${SECRET}" }
  h: { url: https://h.example, drop: true }
  i: { url: https://i.example, renamed_from: a }
---
x:3:13: systems.a.url: 10.30.0.1 is a private address
hint: to allow it: egress: { allow: ["10.20.0.0/16", "10.30.0.1/32"] }
x:4:13: systems.b.url: 127.0.0.1 is a loopback address
hint: to allow it: egress: { allow: ["10.20.0.0/16", "127.0.0.0/8"] }
x:5:61: systems.c.auth.oauth2.token_url: 169.254.169.254 is a link-local address, where clouds keep the credentials of machines, which is never called
x:6:13: systems.d.url: the URL of a system has no query and no fragment
hint: what is asked for stands in each call
x:6:13: systems.d.url: credentials of a system do not stand in its URL
hint: auth: { basic: { username: …, password: "${…}" } }
x:7:13: systems.e.url: "d.example" is not a URL
hint: for example https://api.example.com
x:8:3: systems.f.url: is missing
hint: for example https://api.example.com
x:9:8: systems.g.sql: not in this version
x:10:3: systems.h: a system that is dropped has no other keys
hint: leave only drop: true
x:11:46: systems.i.renamed_from: there still is a system "a"
hint: leave out renamed_from, or the system of that name
===
systems:
  a: { url: https://a.example, auth: { bearer: secret } }
  b: { url: https://b.example, auth: { bearer: "${SECRET}", basic: { username: "a:b", password: "${SECRET}" } } }
  c: { url: https://c.example, auth: {} }
  d: { url: https://d.example, auth: { oauth2: { token_url: https://d.example, client_id: x, client_secret: "${SECRET}", refresh_token: "${SECRET}", scopes: [a b] } } }
  e: { url: https://e.example, auth: { hmac: { secret: "${SECRET}", signed: "{timestamp}{id}" } } }
  f: { url: https://f.example, auth: { hmac: { secret: "${SECRET}", header: X-A, signed: "{timestamp}" } } }
  g: { url: https://g.example, tls: { cert: file:client.pem } }
  h: { url: https://h.example, tls: { cert: file:secret, key: file:client.key, ca: file:secret } }
  i: { url: https://i.example, auth: { header: { name: Host, value: "${SECRET}" }, mtls: { ca: file:ca.pem } }, tls: { ca: file:ca.pem } }
  j: { url: https://j.example, auth: { berer: "${SECRET}" } }
  k: { url: https://k.example, auth: bearer }
---
x:2:48: systems.a.auth.bearer: a secret must not stand in the file itself
hint: write "${NAME}" and set the environment variable, or file:PATH
x:3:61: systems.b.auth.basic: beside bearer
hint: keep one of the two
x:3:80: systems.b.auth.basic.username: a username holds no colon
hint: basic auth puts one between name and password
x:4:38: systems.c.auth: says nothing
hint: one of: bearer, basic, header, query, oauth2, hmac, mtls
x:5:122: systems.d.auth.oauth2.refresh_token: its successors are kept in the store, sealed, and there is no key to seal them with
hint: make one with "openssl rand -base64 32", and refer to it: seal: { key: "${SEAWALL_SEAL_KEY}" }
x:5:159: systems.d.auth.oauth2.scopes[0]: "a b" is not one scope
hint: several are a list: [read, write]
x:6:40: systems.e.auth.hmac.header: is missing
hint: for example X-Signature
x:6:77: systems.e.auth.hmac.signed: {id} is for webhooks
hint: the key of a call is {header:Idempotency-Key}
x:7:90: systems.f.auth.hmac.signed: {timestamp} is signed, but nothing says where it is sent
hint: timestamp: X-Timestamp names the header that the time is sent in
x:8:32: systems.g.tls: a certificate and its key go together
hint: cert: file:client.pem, key: file:client.key
x:9:45: systems.h.tls.cert: not a certificate with its key
hint: both in PEM, as a reference: file:client.pem
x:9:84: systems.h.tls.ca: holds no certificate
hint: in PEM, as a reference: file:ca.pem
x:10:56: systems.i.auth.header.name: the gateway sets Host itself
hint: a system's key goes into a header that it names
x:10:84: systems.i.auth.mtls: beside tls
hint: keep one of the two
x:11:40: systems.j.auth.berer: no such key
hint: did you mean bearer?
x:12:38: systems.k.auth: a single value, where a mapping of keys is wanted
===
seal: { keys: ["${SHORT}", "${PLAIN}"] }
systems:
  a: { url: https://a.example, limit: { rate: 10, burst: 0 }, breaker: { failures: 120%, slow_share: 50%, open: 1h } }
  b: { url: https://b.example, limit: { burst: 3 }, breaker: on }
  c: { url: https://c.example, limit: { rate: 1000000/s }, answers: 1GiB, idempotency: { header: "x y", valid: soon } }
  d: { url: https://d.example, proxy: {} }
  e: { url: https://e.example, proxy: { listen: ":8080" } }
---
x:1:16: seal.keys[0]: what it refers to is too short for a secret: at least 8 bytes
x:1:28: seal.keys[1]: what it refers to is not a key
hint: 32 random bytes in base64 or hex: "openssl rand -base64 32"
x:3:47: systems.a.limit.rate: "10" is not a rate
hint: a number and a unit of time: 10/s, 600/m, 1000/h
x:3:58: systems.a.limit.burst: "0" is not a whole number from 1 to 100000
x:3:84: systems.a.breaker.failures: "120%" is not a share: more than 0 % and at most 100 %
hint: for example 50%
x:3:90: systems.a.breaker.slow_share: nothing says what is slow
hint: slow: 5s says from when on a request is slow
x:3:113: systems.a.breaker.open: "1h" is too long: at most 5m
x:4:41: systems.b.limit.burst: is how far a rate may be gone over, and there is none
hint: for example rate: 10/s
x:4:62: systems.b.breaker: "on" is not one of the values that there are
hint: one of: off
x:5:47: systems.c.limit.rate: "1000000/s" is out of bounds
hint: from 1/d to 100000/s
x:5:69: systems.c.answers: "1GiB" is too much: at most 67108864 bytes
x:5:90: systems.c.idempotency.header: "x y" is not the name of a header
x:5:112: systems.c.idempotency.valid: "soon" is not a duration
hint: a number and a unit: 500ms, 10s, 5m, 75h, 30d
x:6:32: systems.d.proxy: has no address to listen on
hint: for example proxy: { listen: "127.0.0.1:8083" }
x:7:49: systems.e.proxy.listen: the gateway listens there already
hint: each listener needs a port of its own
===
systems:
  a:
    url: https://a.example
    calls:
      - { }
      - { match: post /x }
      - { match: v1/x }
      - { match: "POST /v1/*a" }
      - { match: "POST /v1/x?y" }
      - { match: "POST /v1/**/x" }
      - { match: POST /x, on_unknown: [retry, hold] }
      - { match: POST /x, on_unknown: [check] }
      - { match: POST /x, on_unknown: [hold, hold, wait], check: { path: /y, found: .x } }
      - { match: POST /x, check: { path: y, found: $call.body == 1 } }
      - { match: POST /x, check: { path: "/y/{$response.status}" } }
      - { match: POST /x, check: { path: "/y", found: .a = 1, absent: $entity.key } }
      - { match: PUT /x, check: { path: "/y", found: .a } }
      - { match: POST /x, repeatable: true, on_unknown: [hold] }
      - { match: POST /x, fallback: { status: 99, on: [dead, late] } }
---
x:5:9: systems.a.calls[0].match: is missing
hint: for example POST /v1/payments, or /v1/payments/* for any method
x:6:18: systems.a.calls[1].match: "post" is not a method
hint: one like POST, PUT or PATCH, or * for any
x:7:18: systems.a.calls[2].match: "v1/x" is not a path: it begins with no /
hint: for example POST /v1/payments, or /v1/payments/* for any method
x:8:18: systems.a.calls[3].match: "*a" is not a pattern
hint: * stands for one whole segment, ** at the end for any rest
x:9:18: systems.a.calls[4].match: a query cannot be matched
hint: calls are matched by method and path
x:10:18: systems.a.calls[5].match: "**" is not a pattern
hint: * stands for one whole segment, ** at the end for any rest
x:11:40: systems.a.calls[6].on_unknown[0]: the system a takes no key, so that a repeated request might take effect twice
hint: idempotency: { header: Idempotency-Key, valid: 24h } says that it recognises a repeated request; repeatable: true that it need not
x:12:40: systems.a.calls[7].on_unknown[0]: there is no check
hint: check: { path: …, found: … }
x:13:46: systems.a.calls[8].on_unknown[1]: hold is there already
hint: each once
x:13:52: systems.a.calls[8].on_unknown[2]: "wait" is not one of the values that there are
hint: one of: retry, check, hold
x:13:59: systems.a.calls[8].check: on_unknown never asks it
hint: on_unknown: [check, hold]
x:14:42: systems.a.calls[9].check.path: a path begins with a /
hint: for example /orders/{.id}
x:15:27: systems.a.calls[10].check.found: is missing
hint: an expression on the answer: what shows that it took effect
x:15:47: systems.a.calls[10].check.path: $response is not known here
hint: there are $event, $call, and what the expression names itself with “as $name”
x:16:55: systems.a.calls[11].check.found: = assigns: this condition would always hold
hint: to compare write ==
x:16:71: systems.a.calls[11].check.absent: $entity is not known here
hint: there are $event, $call, $response, and what the expression names itself with “as $name”
x:17:26: systems.a.calls[12].check: it is repeatable: what nobody knows the outcome of is tried again
hint: leave it out, or say repeatable: false
x:18:45: systems.a.calls[13].on_unknown: it is repeatable: what nobody knows the outcome of is tried again
hint: leave it out, or say repeatable: false
x:19:47: systems.a.calls[14].fallback.status: "99" is not a whole number from 200 to 599
x:19:62: systems.a.calls[14].fallback.on[1]: "late" is not one of the values that there are
hint: one of: dead, open
===
systems:
  crm: { url: https://crm.example, auth: { bearer: "${SECRET}" } }
sources: { a: { provider: none } }
destinations:
  crm: { url: https://x.example }
  b: { system: cmr, path: /x }
  c: { system: crm }
  d: { system: crm, path: "/x/{$call.body}", limit: { rate: 1/s }, shards: 2 }
  e: { system: crm, path: x }
  f: { system: crm, path: /x, headers: { Authorization: "Bearer ${SECRET}" } }
  g: { url: https://g.example, path: /x, fallback: hh }
  h: { url: https://h.example, fallback: i }
  i: { url: https://i.example, fallback: { to: j, on: [] } }
  j: { url: https://j.example, fallback: h, check: { path: /x, found: .x } }
  k: { url: https://k.example, fallback: k }
  l: { url: https://l.example, repeatable: false, on_unknown: [retry] }
routes:
  - { from: seawall, types: [delivry.dead, "breaker.*", "call.*ed"], to: b }
  - { from: call, to: b }
---
x:5:3: destinations.crm: a destination with a url of its own is a system of that name, and there is one
hint: give one of the two another name, or say system: crm in place of url
x:6:16: destinations.b.system: no system "cmr"
hint: did you mean "crm"?
x:7:3: destinations.c.path: is missing: where on the system
hint: for example path: /orders/{.id}
x:8:32: destinations.d.path: $call is not known here
hint: there are $event, $entity, $link, and what the expression names itself with “as $name”
x:8:46: destinations.d.limit: belongs to the system: it holds for all that is sent there
hint: say it under systems
x:8:68: destinations.d.shards: belongs to the system: it holds for all that is sent there
hint: say it under systems
x:9:27: destinations.e.path: a path begins with a /
hint: for example /orders/{.id}
x:10:31: destinations.f.headers: the authentication of crm sets Authorization itself
hint: leave it out here
x:11:32: destinations.g.path: beside url
hint: url holds the path too
x:11:52: destinations.g.fallback: no destination "hh"
hint: did you mean "h"?
x:12:42: destinations.h.fallback: leads back to where it began: h → i → j → h
hint: the last one of a chain has none
x:13:48: destinations.i.fallback.to: leads back to where it began: i → j → h → i
hint: the last one of a chain has none
x:13:55: destinations.i.fallback.on: says nothing
hint: dead, open, or both
x:14:42: destinations.j.fallback: leads back to where it began: j → h → i → j
hint: the last one of a chain has none
x:14:45: destinations.j.check: it is repeatable: what nobody knows the outcome of is tried again
hint: leave it out, or say repeatable: false
x:15:42: destinations.k.fallback: leads back to where it began: k → k
hint: the last one of a chain has none
x:16:64: destinations.l.on_unknown[0]: it takes no key, so that a repeated request might take effect twice
hint: idempotency: { header: Idempotency-Key, valid: 24h } says that it recognises a repeated request; repeatable: true that it need not
x:18:30: routes[0].types[0]: no event of the gateway's own is "delivry.dead"
hint: did you mean "delivery.dead"?
x:19:13: routes[1].from: no source "call"
hint: did you mean "calls"?
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
