package config

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
)

// atSend are the variables of what runs when a delivery is sent.
var atSend = []string{expr.EntityVar, expr.LinkVar}

// upsert reads how a record is kept for each entity. d's URL and method become
// those of its creation.
func (o *object) upsert(d *Destination, s *System) {
	v := o.get("upsert")
	for _, key := range []string{"url", "path", "method", "forward", "check"} {
		if o.has(key) && !(key == "url" && o.has("system")) { // which is noted
			o.get(key).failKey("leave it out", "belongs to one request, and an upsert makes several")
		}
	}
	if !v.given() {
		v.failKey("find:, create: and update: say how", "has no value")
	}
	base, name := "", "crm"
	switch {
	case s.Declared():
		base, name = s.URL.String(), s.Name
	case !o.has("system"):
		v.failKey("system: NAME, and under systems its url", "is about the records of a system, and none is named")
	}
	u := v.open("upsert")
	answer := append(slices.Clone(atSend), expr.ResponseVar)
	d.Upsert = &Upsert{
		Link:   or(u.get("link").text(), d.System),
		Found:  u.get("found").value(answer...),
		Adopt:  u.get("adopt").condition(atSend...),
		Create: u.needed("create", "for example POST /contacts").request(base, http.MethodPost, http.MethodPut, http.MethodPatch),
		Update: u.needed("update", "for example PATCH /contacts/{$link."+name+"}").request(base, http.MethodPatch, http.MethodPut, http.MethodPost),
		ID:     u.get("id").value(answer...),
		Lag:    u.get("lag").duration(30*time.Second, 0, time.Hour),
	}
	finds := u.get("find")
	for _, item := range finds.list() {
		d.Upsert.Find = append(d.Upsert.Find, item.request(base, http.MethodGet))
	}
	if u.has("link") {
		u.get("link").name(d.Upsert.Link)
	}
	if d.Upsert.ID == nil {
		d.Upsert.ID = usualID
	}
	switch {
	case finds.given() && finds.node.kind == sequence && len(finds.node.items) == 0:
		finds.fail("leave it out where a record cannot be there before", "an empty list finds nothing")
	case u.has("find") && !u.has("found"):
		u.get("found").failKey("for example .results[0]: null where there is none", "is missing: what of a find's answer is the record")
	case !u.has("find"):
		for _, key := range []string{"found", "adopt", "lag"} {
			if u.has(key) {
				u.get(key).failKey("find: [\"GET /contacts?email={.email}\"]", "has no effect: nothing says how a record is found")
			}
		}
	}
	if d.Upsert.Create.URL != nil {
		d.URL = d.Upsert.Create.URL
	}
	d.Method = constant(d.Upsert.Create.Method)
}

// constant is a template without expressions.
func constant(text string) *expr.Template {
	t, err := expr.CompileTemplate(braces.Replace(text))
	if err != nil {
		panic(err)
	}
	return t
}

var usualID = func() *expr.Code {
	c, err := expr.Compile(".id")
	if err != nil {
		panic(err)
	}
	return c
}()

// request reads "METHOD /path" on a system.
func (v value) request(base string, methods ...string) Request {
	if !v.scalar() {
		return Request{Method: methods[0]}
	}
	hint := "for example " + methods[0] + " /contacts"
	method, path, ok := strings.Cut(v.node.text, " ")
	if !ok {
		v.fail(hint, "is not a method with a path behind it")
		return Request{Method: methods[0]}
	}
	if !slices.Contains(methods, method) {
		v.fail("one of: "+strings.Join(methods, ", "), "%s is not a method for it", v.quote(method))
		method = methods[0]
	}
	path = strings.TrimLeft(path, " ")
	v.node = v.node.from(len(v.node.text) - len(path))
	return Request{Method: method, URL: v.below(base, atSend...)}
}

// condition is an expression that holds or does not.
func (v value) condition(scope ...string) *expr.Code {
	code := v.code(scope...)
	if code != nil && code.Assigns() {
		v.fail("to compare write ==", "= assigns: this condition would always hold")
	}
	return code
}

// links checks that no two destinations keep the same link for one entity: each
// would take the other's records for its own.
func (r *reader) links(c *Config) {
	type kept struct{ entity, link string }
	by := map[kept]string{}
	for _, d := range c.Destinations {
		if d.Upsert == nil {
			continue
		}
		for _, route := range c.Routes {
			k := kept{route.Entity, d.Upsert.Link}
			switch {
			case route.To != d.Name || route.Entity == "" || by[k] == d.Name:
			case by[k] == "":
				by[k] = d.Name
			default:
				r.places["destinations."+d.Name].open("destination").get("upsert").failKey(
					"give one of the two another: upsert: { link: NAME, … }",
					"the destination %s keeps the link %s of %s too", by[k], d.Upsert.Link, route.Entity)
			}
		}
	}
}

// fallbackKeeps refuses a fallback that keeps records: what is diverted does not
// come one at a time.
func (v value) fallbackKeeps(c *Config, to string) {
	if d := c.destinationNamed(to); d != nil && d.Upsert != nil {
		v.fail("another destination", "the destination %s keeps a record for each entity, and what is diverted comes in no order", to)
	}
}
