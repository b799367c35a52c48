package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/seawall"
)

func TestFullEntities(t *testing.T) {
	c := full(t)
	e, user := c.entityNamed("order"), c.entityNamed("user")
	stripe, shop, app := e.Claims[0], e.Claims[1], e.Claims[2]
	for _, x := range []struct{ name, got, want any }{
		{"record", stripe.Record.Source(), ".data.object.id"},
		{"whose record by default", stripe.System, "stripe"},
		{"whose record", app.System, "stripe"},
		{"no key", app.Key == nil && app.Record != nil, true},
		{"no record", shop.Record == nil, true},
		{"one comparison", stripe.Compare, []order.Comparison{order.Unix}},
		{"comparisons", shop.Compare, []order.Comparison{order.Time, order.Integer}},
		{"no comparison", len(app.Compare), 0},
		{"shared", e.Shared, true},
		{"own clocks", user.Shared, false},
		{"fetch", e.Fetch.System + " " + e.Fetch.Record.Source(), "payments .order"},
		{"gone", e.Fetch.Gone, GoneHold},
		{"no fetch", user.Fetch == nil, true},
		{"unresolved", e.Unresolved, Unresolved{30 * time.Minute, seawall.WaitHold}},
		{"unresolved by default", user.Unresolved, Unresolved{time.Hour, seawall.WaitDead}},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	in := expr.NewInput(nil, "", expr.Event{Entity: "order/10 01"})
	in.Linked(map[string]string{"crm": "a/b"})
	if at, err := e.Fetch.URL.Expand(t.Context(), in, expr.URL); at != "https://api.stripe.com/v1/orders/10%2001?crm=a%2Fb" || err != nil {
		t.Errorf("fetch: %s %v", at, err)
	}
}

func TestFullUpsert(t *testing.T) {
	c := full(t)
	d := c.destinationNamed("people")
	u := d.Upsert
	in := expr.NewInput([]byte(`{"user":{"email":"a@b.example"}}`), "", expr.Event{Entity: "user/7"})
	in.Linked(map[string]string{"person": "55"})
	at := func(r Request) string {
		url, err := r.URL.Expand(t.Context(), in, expr.URL)
		if err != nil {
			t.Fatal(err)
		}
		return r.Method + " " + url
	}
	for _, x := range []struct{ name, got, want any }{
		{"find", at(u.Find[0]), "GET https://crm.example/api/contacts?email=a%40b.example"},
		{"create", at(u.Create), "POST https://crm.example/api/contacts"},
		{"update", at(u.Update), "PATCH https://crm.example/api/contacts/55"},
		{"found", u.Found.Source(), ".results[0]"},
		{"adopt", u.Adopt.Source(), ".user_id == null or .user_id == $entity.key"},
		{"id", u.ID.Source(), ".contact.id"},
		{"link", u.Link, "person"},
		{"lag", u.Lag, 5 * time.Second},
		{"system", d.System, "crm"},
		{"method", d.Method.Prefix(), "POST"},
		{"url", d.URL == u.Create.URL, true},
		{"updates are not repeatable", d.Unsafe, false},
		{"what nobody knows", d.OnUnknown, []OnUnknown(nil)},
		{"uses links", d.UsesLinks(), true},
		{"uses none", c.destinationNamed("contact").UsesLinks(), false},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
}

// What is left out has a default.
func TestSmallestUpsert(t *testing.T) {
	c := parse(t, `
systems: { crm: { url: https://crm.example, idempotency: { header: X-Key } } }
sources: { app: { provider: none } }
entities: { user: { app: { key: .id } } }
destinations:
  contacts: { system: crm, upsert: { create: POST /contacts, update: "PATCH /contacts/{$link.crm}" } }
routes: [{ from: app, to: contacts, entity: user, order: latest }]
`)
	d := c.Destinations[0]
	u := d.Upsert
	if u.Link != "crm" || u.ID.Source() != ".id" || u.Lag != 30*time.Second || u.Find != nil || u.Found != nil || u.Adopt != nil {
		t.Errorf("%+v", u)
	}
	if d.IdempotencyHeader != "X-Key" || d.Unsafe || d.OnUnknown != nil {
		t.Errorf("%s, unsafe %t, %v", d.IdempotencyHeader, d.Unsafe, d.OnUnknown)
	}
}

// An update is repeatable unless it is said not to be; what is said of unknown
// outcomes is about the creation.
func TestUpsertThatIsCareful(t *testing.T) {
	d := parse(t, `
systems: { crm: { url: https://crm.example } }
sources: { app: { provider: none } }
entities: { user: { app: { key: .id } } }
destinations:
  contacts: { system: crm, repeatable: false, on_unknown: [hold], upsert: { create: POST /contacts, update: "PATCH /contacts/{$link.crm}" } }
routes: [{ from: app, to: contacts, entity: user, order: latest }]
`).Destinations[0]
	if !d.Unsafe || !slices.Equal(d.OnUnknown, []OnUnknown{UnknownHold}) {
		t.Errorf("unsafe %t, %v", d.Unsafe, d.OnUnknown)
	}
}

func TestFullOrders(t *testing.T) {
	c := full(t)
	route := func(name string) *Route {
		return c.Routes[slices.IndexFunc(c.Routes, func(r *Route) bool { return r.Name == name })]
	}
	paid, shipped, people, all := route("paid"), route("shipped"), route("people"), route("all")
	for _, x := range []struct{ name, got, want any }{
		{"entity", paid.Entity, "order"},
		{"order", paid.Order, seawall.Sequence},
		{"settle", paid.Settle, 2 * time.Second},
		{"late", paid.Late, seawall.LateHold},
		{"pass_after", paid.PassAfter, time.Hour},
		{"after", fmt.Sprint(shipped.After, shipped.Wait, shipped.Then), "[orders/cre*] 1h0m0s dead"},
		{"fetch", shipped.Fetch, true},
		{"latest", people.Order, seawall.Latest},
		{"by default", fmt.Sprint(all.Entity, all.Order, all.Settle, all.Late, all.PassAfter, all.After, all.Wait, all.Then, all.Fetch), "none 0s deliver 0s [] 15m0s deliver false"},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
}

// A route, a destination and a check tell whether they need the entity's links.
func TestUsesLinks(t *testing.T) {
	const file = `
systems: { crm: { url: https://crm.example } }
sources: { app: { provider: none } }
destinations: { d: { %s } }
routes: [{ from: app, to: d, transform: '%s' }]
`
	for keys, want := range map[string]bool{
		`url: "https://a.example/{.id}"`:                                                         false,
		`url: "https://a.example/{$link.crm}"`:                                                   true,
		`url: https://a.example, headers: { X: "{$link.crm}" }`:                                  true,
		`url: https://a.example, body: "{a: $link.crm}"`:                                         true,
		`url: https://a.example, method: "{if $link.crm then \"PUT\" else \"POST\" end}"`:        true,
		`system: crm, path: /x, check: { path: "/x/{$link.crm}", found: .a }`:                    true,
		`system: crm, path: /x, check: { path: /x, found: .a == $link.crm }`:                     true,
		`system: crm, path: /x, check: { method: POST, body: $link.crm, path: /x, found: .a }`:   true,
		`system: crm, path: /x, check: { path: /x, found: .a, absent: ".id == $entity.key" }`:    false,
		`system: crm, path: /x, check: { path: /x, found: .a, absent: "$link.crm == .id" }`:      true,
		`system: crm, path: /x, method: PUT, headers: { X: "{$entity.key}" }, body: $entity.key`: false,
	} {
		c := parse(t, fmt.Sprintf(file, keys, ".a"))
		if c.Destinations[0].UsesLinks() != want || c.Routes[0].UsesLinks() {
			t.Errorf("%s: want %t", keys, want)
		}
	}
	if c := parse(t, fmt.Sprintf(file, "url: https://a.example", "{id: $link.crm}")); !c.Routes[0].UsesLinks() || c.Destinations[0].UsesLinks() {
		t.Error("a transform with a link")
	}
}

// A source that has the name of a setting is a source still.
func TestSourcesNamedLikeSettings(t *testing.T) {
	c := parse(t, `
systems: { api: { url: https://api.example } }
sources: { clock: { provider: none }, fetch: { provider: none }, unresolved: { provider: none } }
destinations: { d: { url: https://d.example } }
routes: [{ from: clock, to: d }, { from: fetch, to: d }, { from: unresolved, to: d }]
entities:
  a: { clock: { types: [a], key: .id }, fetch: { types: [a], key: .id, record: .r, system: api }, unresolved: { types: [a], key: .id } }
  b: { clock: shared, fetch: { system: api, path: /x }, unresolved: { types: [b], key: .id } }
  c: { clock: { types: [c], record: .id }, fetch: { types: [c], key: .id }, unresolved: { wait: 1m } }
`)
	var got []string
	for _, e := range c.Entities {
		line := e.Name
		for _, claim := range e.Claims {
			line += " " + claim.Source
		}
		got = append(got, fmt.Sprint(line, " ", e.Shared, e.Fetch != nil, e.Unresolved.Wait))
	}
	if want := []string{"a clock fetch unresolved false false 1h0m0s", "b unresolved true true 1h0m0s", "c clock fetch false false 1m0s"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Events without any version are ordered as they come, which is hardly meant.
func TestOrderWithoutAVersionIsWarnedOf(t *testing.T) {
	const file = `
sources:
  app: { provider: none%s }
  shop: { provider: shopify, secret: "${SECRET}" }
destinations: { d: { url: https://d.example } }
entities: { order: { app: { types: [a], key: .id }, shop: {} }, user: { app: { types: [b], key: .id, version: .v } } }
routes: [{ from: app, types: [%s], to: d, entity: %s, order: latest }, { from: shop, to: d, entity: order, order: latest }]
`
	for _, c := range []struct {
		source, types, entity string
		warned                bool
	}{
		{"", "a", "order", true},
		{"", "b", "user", false},
		{", time: .at", "a", "order", false},
	} {
		warnings := parse(t, fmt.Sprintf(file, c.source, c.types, c.entity)).Warnings
		if len(warnings) > 0 != c.warned || c.warned && !strings.HasPrefix(warnings[0], "x:7:57: routes[0].order: nothing tells a version of its events") {
			t.Errorf("%+v: %q", c, warnings)
		}
	}
}

// What waits under an old name has a line of its own.
func TestOrderOverARenamingIsWarnedOf(t *testing.T) {
	const file = `
sources: { app: { provider: none } }
destinations: { d: { url: https://d.example, renamed_from: old } }
entities: { order: { app: { key: .id, version: .v } } }
routes: [{ from: app, to: d, entity: order, order: %s }]
`
	want := []string{"x:5:23: routes[0].to: the destination d takes over what waits for old: until that is delivered, events of one order may pass each other"}
	if got := parse(t, fmt.Sprintf(file, "latest")).Warnings; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := parse(t, fmt.Sprintf(file, "none")).Warnings; len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// A link that nothing teaches is a typing mistake, or is imported.
func TestLinksThatNothingTeachesAreWarnedOf(t *testing.T) {
	got := parse(t, `
systems: { crm: { url: https://crm.example } }
sources: { app: { provider: none } }
entities: { user: { app: { key: .id, version: .v, record: .r, system: auth }, fetch: { system: crm, path: "/{$link.auht}" } } }
destinations:
  d: { system: crm, body: "[$link.auth, $link.person]", upsert: { link: person, find: ["GET /{$link.x}"], found: .a, create: POST /, update: "PATCH /{$link.crm}" } }
  e: { url: "https://e.example/{$link.person}", headers: { X: "{$link.Auth}" } }
routes: [{ from: app, to: d, entity: user, order: latest }, { from: app, to: e, transform: "{a: $link.y, b: $link.person}" }]
`).Warnings
	const why = " is null unless such links are imported: no record of a source and no upsert teaches them; there are: auth, person"
	want := []string{
		"x:4:79: entities.user.fetch: $link.auht" + why,
		"x:6:3: destinations.d: $link.crm" + why,
		"x:6:3: destinations.d: $link.x" + why,
		"x:7:3: destinations.e: $link.Auth" + why,
		"x:8:81: routes[1].transform: $link.y" + why,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "x", testOptions())
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

// A list says it of each part: where it is too short, of the last ones nothing is said.
func TestComparisonsAreOneOrOneForEach(t *testing.T) {
	for compare, ok := range map[string]bool{"time": true, "[time, integer, text]": true, "[time]": false, "[time, integer]": false} {
		_, err := Parse([]byte(`
sources: { app: { provider: none, id: .id, type: .type } }
entities: { order: { app: { key: .key, version: [.at, .n, .x], compare: `+compare+` } } }
`), "seawall.yaml", Options{})
		if said := err != nil && strings.Contains(err.Error(), "while the parts of the version are 3"); said == ok {
			t.Errorf("compare: %s: %v", compare, err)
		}
	}
}
