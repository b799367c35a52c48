package config

import (
	"slices"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// usualWait is how long an event waits for those that come before it.
const usualWait = 15 * time.Minute

// ordering reads how a route stands to what it delivers of one entity.
func (o *object) ordering(c *Config, route *Route) {
	entity, kind := o.get("entity"), o.get("order")
	route.Entity = entity.text()
	route.Order = seawall.Ordering(slices.Index(seawall.Orderings(), kind.oneOf("none", seawall.Orderings()...)))
	route.Settle = o.get("settle").duration(0, 0, time.Hour)
	route.Late = seawall.LatePolicy(slices.Index(seawall.LatePolicies(), o.get("late").oneOf("deliver", seawall.LatePolicies()...)))
	route.PassAfter = o.get("pass_after").duration(0, time.Second, 365*day)
	route.After = types(o.get("after"))
	route.Wait = o.get("wait").duration(usualWait, time.Second, 30*day)
	route.Then = o.get("then").then(seawall.WaitDeliver)
	route.Fetch = o.get("fetch").yes()

	o.withoutEffect(route)
	if route.Entity == "" || !entity.refersTo(route.Entity, "entity", entityNames(c)) {
		return
	}
	e := c.entityNamed(route.Entity)
	switch {
	case route.From == seawall.SourceCalls:
		entity.fail("leave it out", "calls are about no entity")
	case route.From != "" && !e.tells(route.From, route.Types):
		entity.fail("entities: { "+e.Name+": { "+route.From+": … } } says which of its events are", "no event that comes this way is about %s", e.Name)
	}
	if route.Order != seawall.Unordered && !route.Fetch && c.unversioned(e, route) {
		kind.warn("nothing tells a version of its events: they count as they come; version: says it, or time: of the source")
	}
	if route.Fetch && e.Fetch == nil {
		o.get("fetch").failKey("entities: { "+e.Name+": { fetch: { system: …, path: … } } } says how", "the current record of %s cannot be read: the entity has no fetch", e.Name)
	}
	if d := c.destinationNamed(route.To); route.Fetch && d != nil && d.Forward {
		o.get("fetch").failKey("leave out one of the two", "the destination %s forwards the original", d.Name)
	}
}

// withoutEffect refuses what says something that nothing heeds.
func (o *object) withoutEffect(route *Route) {
	refuse := func(hint, why string, keys ...string) {
		for _, key := range keys {
			if o.has(key) {
				o.get(key).failKey(hint, "%s", why)
			}
		}
	}
	switch {
	case !o.has("entity"):
		keys := []string{"settle", "late", "pass_after", "after", "wait", "then"}
		if o.has("order") && route.Order != seawall.Unordered {
			keys = append(keys, "order")
		}
		if route.Fetch {
			keys = append(keys, "fetch")
		}
		refuse("entity: NAME says of which entity", "is about the events of one entity, and the route names none", keys...)
		return
	case !o.has("order") && !o.has("after") && !o.has("fetch"):
		o.get("entity").failKey("for example order: sequence, or order: latest", "has no effect: nothing says in which order its events are delivered")
	}
	if route.Order == seawall.Unordered {
		refuse("add order: sequence, or order: latest", "has no effect where nothing is ordered", "settle")
	}
	if route.Order != seawall.Sequence {
		refuse("only with order: sequence", "has no effect: only in a sequence an event is late, or holds up others", "late", "pass_after")
	}
	if !o.has("after") {
		refuse("for example after: [order.created]", "has no effect: nothing is waited for", "wait", "then")
	} else {
		refuse("leave out one of the two", "what waits for another event has no window beside", "settle")
	}
}

// tells tells whether a source has events, of some of the types, that belong to the
// entity. What the gateway tells of its own deliveries bears their entity.
func (e *Entity) tells(source string, types []string) bool {
	return source == seawall.SourceOutcomes || slices.ContainsFunc(e.Claims, func(c Claim) bool {
		_, _, both := meet(c.Types, types)
		return c.Source == source && both
	})
}

// unversioned tells whether nothing orders the events that a route takes of an
// entity: neither a version, nor a provider that may know one, nor a time.
func (c *Config) unversioned(e *Entity, route *Route) bool {
	for _, s := range c.Sources {
		if s.Name != route.From || s.Provider == nil || s.Provider.Traits().Objects || s.Settings.Time != nil {
			continue
		}
		return slices.ContainsFunc(e.Claims, func(claim Claim) bool {
			_, _, both := meet(claim.Types, route.Types)
			return claim.Source == s.Name && both && len(claim.Version) == 0
		})
	}
	return false
}

// orders checks the routes that bring one entity to one destination against each
// other, and what destinations ask of their routes.
func (r *reader) orders(c *Config, at []*object) {
	type line struct{ entity, to string }
	first := map[line]int{}
	for i, route := range c.Routes {
		if route.Entity != "" && route.Order != seawall.Unordered {
			l := line{route.Entity, route.To}
			f, twice := first[l]
			switch {
			case !twice:
				first[l] = i
			case c.Routes[f].Order != route.Order:
				at[i].get("order").fail("one order for both", "the route in line %d brings %s to %s too, by order: %s",
					at[f].line, route.Entity, route.To, c.Routes[f].Order)
			}
		}
		if d := c.destinationNamed(route.To); d != nil && d.RenamedFrom != "" && route.Order != seawall.Unordered {
			at[i].get("to").warn("the destination %s takes over what waits for %s: until that is delivered, events of one %s may pass each other",
				d.Name, d.RenamedFrom, route.Entity)
		}
		if c.entityNamed(route.Entity) != nil {
			at[i].prerequisites(c, route)
		}
		if d := c.destinationNamed(route.To); d != nil && d.Upsert != nil {
			at[i].keeps(c, route, d)
		}
	}
	r.links(c)
	r.untaught(c, at)
}

// keeps checks that what a route brings to an upsert comes one at a time.
func (o *object) keeps(c *Config, route *Route, d *Destination) {
	if route.Entity == "" || route.Order == seawall.Unordered {
		o.get("to").fail("entity: NAME with order: latest, or order: sequence",
			"the destination %s keeps a record for each entity: its events come one at a time", d.Name)
		return
	}
	if route.From == seawall.SourceOutcomes {
		o.get("from").fail("a source that tells about "+route.Entity, "the gateway's own events are about deliveries, of whatever entity")
		return
	}
	for _, e := range c.Entities {
		if e.Name != route.Entity && e.tells(route.From, route.Types) {
			o.get("entity").fail("types: those that are about "+route.Entity, "events of %s come this way too, and of those %s would keep records in no order", e.Name, d.Name)
		}
	}
}

// prerequisites checks that what is waited for is something that comes, and that
// something waits.
func (o *object) prerequisites(c *Config, route *Route) {
	kinds := route.Types
	if len(kinds) == 0 {
		kinds = []string{"*"}
	}
	waits := slices.ContainsFunc(kinds, func(kind string) bool {
		return !slices.ContainsFunc(route.After, func(pattern string) bool { return covers(pattern, kind) })
	})
	if len(route.After) > 0 && !waits {
		o.get("after").fail("name those that come first, which do not wait themselves", "has no effect: all that the route takes are such events")
	}
	for _, item := range o.get("after").list() {
		pattern := item.text()
		comes := slices.ContainsFunc(c.Routes, func(other *Route) bool {
			if other.To != route.To {
				return false
			}
			_, _, both := meet(other.Types, []string{pattern})
			return both && c.entityNamed(route.Entity).tells(other.From, []string{pattern})
		})
		if pattern != "" && !comes {
			item.fail("it waits for what is delivered to the same destination, for the same entity",
				"no route brings such an event of %s to %s", route.Entity, route.To)
		}
	}
}

func entityNames(c *Config) (out []string) {
	for _, e := range c.Entities {
		out = append(out, e.Name)
	}
	return out
}

func (c *Config) entityNamed(name string) *Entity {
	if i := slices.IndexFunc(c.Entities, func(e *Entity) bool { return e.Name == name }); i >= 0 {
		return c.Entities[i]
	}
	return nil
}

func (c *Config) destinationNamed(name string) *Destination {
	if i := slices.IndexFunc(c.Destinations, func(d *Destination) bool { return d.Name == name }); i >= 0 {
		return c.Destinations[i]
	}
	return nil
}
