package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

func (r *reader) routes(c *Config, all value) {
	used := map[string]bool{} // by kind and name
	lines := map[string]value{}
	unnamed := map[[2]string]int{} // routes without a name, by their ends
	var at []*object
	for _, v := range all.list() {
		o := v.open("route")
		at = append(at, o)
		route := &Route{
			text:      o.node.String(),
			Name:      o.get("name").text(),
			From:      o.name("from", "source", sourceNames(c), used),
			Types:     types(o.get("types")),
			When:      o.get("when").condition(expr.EntityVar), // no links: they are known when something is sent
			Transform: o.get("transform").code(atSend...),
			To:        o.name("to", "destination", destinationNames(c), used),
		}
		o.forwarded(c, route)
		o.ordering(c, route)
		if route.From == seawall.SourceOutcomes {
			o.get("types").outcomes()
		}
		c.Routes = append(c.Routes, route)

		name := o.get("name")
		switch {
		case o.has("name"):
			name.name(route.Name)
		case route.From == "" || route.To == "":
			continue // noted
		default:
			ends := [2]string{route.From, route.To}
			unnamed[ends]++
			route.Name = route.From + "-" + route.To
			if n := unnamed[ends]; n > 1 {
				route.Name += "-" + strconv.Itoa(n)
				name.warn("is %s, since it is number %d of the routes from %s to %s without one: "+
					"a name of its own stays the same when routes are reordered", route.Name, n, route.From, route.To)
			}
		}
		if first, twice := lines[route.Name]; twice {
			name.failKey("give one of the two a name of its own: name: …", "a second route %q: the first is in line %d", route.Name, first.line)
		}
		lines[route.Name] = name
	}
	r.orders(c, at)
	r.unused(c, used)
}

// unused warns of what no route names.
func (r *reader) unused(c *Config, used map[string]bool) {
	for _, s := range c.Sources {
		if !used["source "+s.Name] {
			r.places["sources."+s.Name].warn("no route takes its events: they are stored and go nowhere")
		}
	}
	for _, d := range c.Destinations {
		if d.Fallback != nil {
			used["destination "+d.Fallback.To] = true
		}
	}
	for _, d := range c.Destinations {
		if !used["destination "+d.Name] {
			r.places["destinations."+d.Name].warn("no route leads to it")
		}
	}
}

// name reads a reference to a source or destination.
func (o *object) name(key, kind string, names []string, used map[string]bool) string {
	v := o.get(key)
	if !o.has(key) {
		v.failKey("", "is missing")
		return ""
	}
	s := v.text()
	used[kind+" "+s] = true
	if key == "from" && reserved[s] {
		return s
	}
	if key == "from" && len(names) > 0 {
		names = append(names, seawall.SourceOutcomes, seawall.SourceCalls)
	}
	v.refersTo(s, kind, names)
	return s
}

// outcomes checks that each pattern is for something that the gateway tells.
func (v value) outcomes() {
	for _, item := range v.list() {
		pattern := item.text()
		if pattern == "" || slices.ContainsFunc(seawall.OutcomeTypes(), func(t string) bool { return covers(pattern, t) }) {
			continue
		}
		hint := "there are: " + strings.Join(seawall.OutcomeTypes(), ", ")
		if near := seawall.Nearest(pattern, seawall.OutcomeTypes()); near != "" {
			hint = `did you mean "` + near + `"?`
		}
		item.fail(hint, "no event of the gateway's own is %s", item.quote(pattern))
	}
}

// covers tells whether a pattern of types, with a star for any run of
// characters, is one of a type.
func covers(pattern, kind string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == kind
	}
	kind, ok := strings.CutPrefix(kind, first)
	if !ok {
		return false
	}
	for i := range len(kind) + 1 {
		if covers(rest, kind[i:]) {
			return true
		}
	}
	return false
}

// forwarded checks that a transform is not lost.
func (o *object) forwarded(c *Config, route *Route) {
	for _, d := range c.Destinations {
		if d.Name == route.To && d.Forward && route.Transform != nil {
			o.get("transform").failKey("leave out the transform, or forward: original", "the destination %s forwards the original", d.Name)
		}
	}
}

func types(v value) (out []string) {
	for _, item := range v.list() {
		if s := item.text(); s != "" {
			out = append(out, s)
		}
	}
	if v.given() && v.node.kind == sequence && len(v.node.items) == 0 {
		v.fail("leave the key out for all types", "an empty list would match nothing")
	}
	return out
}

func sourceNames(c *Config) (out []string) {
	for _, s := range c.Sources {
		out = append(out, s.Name)
	}
	return out
}

func destinationNames(c *Config) (out []string) {
	for _, d := range c.Destinations {
		out = append(out, d.Name)
	}
	return out
}
