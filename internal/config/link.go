package config

import (
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/expr"
)

// untaught warns of links that expressions ask for by a name that nothing teaches:
// unless somebody imports them, they are null.
func (r *reader) untaught(c *Config, routes []*object) {
	var taught []string
	for _, e := range c.Entities {
		for _, claim := range e.Claims {
			if claim.Record != nil {
				taught = append(taught, claim.System)
			}
		}
	}
	for _, d := range c.Destinations {
		if d.Upsert != nil {
			taught = append(taught, d.Upsert.Link)
		}
	}
	slices.Sort(taught)
	taught = slices.Compact(taught)
	warn := func(at value, names []string) {
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if slices.Contains(taught, name) {
				continue
			}
			there := "there are none"
			if len(taught) > 0 {
				there = "there are: " + strings.Join(taught, ", ")
			}
			at.warn("$link.%s is null unless such links are imported: no record of a source and no upsert teaches them; %s", name, there)
		}
	}
	for _, e := range c.Entities {
		if e.Fetch != nil {
			warn(r.places["entities."+e.Name].open("entity").get("fetch"), e.Fetch.URL.Links())
		}
	}
	for _, d := range c.Destinations {
		warn(r.places["destinations."+d.Name], d.links())
	}
	for i, route := range c.Routes {
		warn(routes[i].get("transform"), route.Transform.Links())
	}
}

// links are the names that requests to the destination ask for.
func (d *Destination) links() (names []string) {
	templates, codes := []*expr.Template{d.URL, d.Method}, []*expr.Code{d.Body}
	for _, h := range d.Headers {
		templates = append(templates, h.Value)
	}
	if c := d.Check; c != nil {
		templates, codes = append(templates, c.URL), append(codes, c.Body, c.Found, c.Absent)
	}
	if u := d.Upsert; u != nil {
		for _, f := range u.Find {
			templates = append(templates, f.URL)
		}
		templates, codes = append(templates, u.Update.URL), append(codes, u.Found, u.Adopt, u.ID)
	}
	for _, t := range templates {
		names = append(names, t.Links()...)
	}
	for _, c := range codes {
		names = append(names, c.Links()...)
	}
	return names
}

// UsesLinks tells whether what the route makes of an event depends on the links of
// its entity.
func (r *Route) UsesLinks() bool { return r.Transform.Uses(expr.LinkVar) }

// UsesLinks tells whether requests to the destination depend on the links of the
// entity that they are about.
func (d *Destination) UsesLinks() bool {
	return d.Upsert != nil || d.URL.Uses(expr.LinkVar) || d.Method.Uses(expr.LinkVar) || d.Body.Uses(expr.LinkVar) ||
		slices.ContainsFunc(d.Headers, func(h Header) bool { return h.Value.Uses(expr.LinkVar) }) || d.Check.UsesLinks()
}

// UsesLinks tells whether it depends on links what is asked.
func (c *Check) UsesLinks() bool {
	return c != nil && (c.URL.Uses(expr.LinkVar) || c.Body.Uses(expr.LinkVar) || c.Found.Uses(expr.LinkVar) || c.Absent.Uses(expr.LinkVar))
}
