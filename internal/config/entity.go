package config

import (
	"slices"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/order"
)

// maxVersion is how many parts a version may have.
const maxVersion = 4

// entities reads what belongs to which entity. An event belongs to one: two that
// claim a type of one source are refused, rather than one silently preferred.
func (r *reader) entities(c *Config, all value) {
	places := map[string][]value{} // of claims, by source; in step with claims
	claims := map[string][]Claim{}
	all.named(func(name string, v value) {
		if !v.name(name) {
			return
		}
		noted := len(r.problems)
		e := &Entity{Name: name, text: v.node.String(), Unresolved: usualUnresolved}
		c.Entities = append(c.Entities, e)
		v.named(func(source string, at value) {
			if at.setsEntity(c, source) {
				return
			}
			claim, ok := at.claim(c, source)
			if !ok {
				return
			}
			for i, other := range claims[source] {
				if a, b, both := meet(claim.Types, other.Types); both {
					first := places[source][i]
					at.failKey("an event belongs to one entity: name types that do not overlap",
						"%s overlaps %s of %s in line %d", a, b, first.path, first.line)
				}
			}
			claims[source], places[source] = append(claims[source], claim), append(places[source], at)
			e.Claims = append(e.Claims, claim)
		})
		e.settings(c, v)
		if len(e.Claims) == 0 && len(r.problems) == noted {
			v.failKey("for example "+name+": { shop: { types: [\"orders/*\"], key: .id, version: .updated_at } }", "has no source")
		}
	})
}

// claim reads which events of a source belong to an entity. ok is false if the
// source is not known.
func (v value) claim(c *Config, source string) (claim Claim, ok bool) {
	o := v.open("claim")
	claim = Claim{
		Source:  source,
		Types:   types(o.get("types")),
		Key:     o.get("key").value(),
		Version: o.get("version").version(),
		Record:  o.get("record").value(),
		System:  or(o.get("system").text(), source),
	}
	claim.Compare = o.get("compare").comparisons(len(claim.Version))
	switch at := o.get("system"); {
	case !o.has("system"):
	case !o.has("record"):
		at.failKey("record: .id says which one it is", "is whose record an event is about, and nothing says which record that is")
	case at.given():
		at.name(claim.System)
	}
	key := v
	key.node = nil // what follows is about the key, the source's name
	if !key.refersTo(source, "source", sourceNames(c)) {
		return claim, false
	}
	for _, s := range c.Sources {
		if s.Name == source && s.Provider != nil && !o.has("key") && !o.has("record") && !s.Provider.Traits().Objects {
			o.get("key").failKey("for example key: .order.id",
				"is missing: the provider %s does not know what its events are about", s.Kind)
		}
	}
	return claim, true
}

// comparisons reads how the parts of a version compare: all of them, or each.
func (v value) comparisons(parts int) (out []order.Comparison) {
	items := []value{v}
	if v.given() && v.node.kind == sequence {
		if items = v.list(); len(items) != max(parts, 1) {
			v.fail("one word for all parts, or one for each", "%d comparisons, while the parts of the version are %d", len(items), max(parts, 1))
			return nil
		}
	}
	for _, item := range items {
		if word := item.oneOf("", order.Comparisons...); word != "" {
			out = append(out, order.Comparison(slices.Index(order.Comparisons, word)))
		}
	}
	return out
}

// version reads one expression, or several that are compared one after the other.
func (v value) version() (out []*expr.Code) {
	if !v.given() || v.node.kind != sequence {
		if code := v.value(); code != nil {
			out = append(out, code)
		}
		return out
	}
	items := v.list()
	for _, item := range items {
		if code := item.value(); code != nil {
			out = append(out, code)
		}
	}
	if len(items) == 0 || len(items) > maxVersion {
		v.fail("for example [.updated_at, .sequence]", "a version has 1 to %d parts", maxVersion)
	}
	return out
}

// value is an expression whose value is wanted, not a changed payload.
func (v value) value(scope ...string) *expr.Code {
	code := v.code(scope...)
	if code != nil && code.Assigns() {
		v.fail("for example .order.id", "= assigns: this gives the whole payload, changed")
	}
	return code
}

// meet finds two patterns that a type may match both of. No patterns are all types.
func meet(a, b []string) (of, with string, both bool) {
	all := func(p []string) []string {
		if len(p) == 0 {
			return []string{"*"}
		}
		return p
	}
	for _, x := range all(a) {
		for _, y := range all(b) {
			if overlap(x, y) {
				return x, y, true
			}
		}
	}
	return "", "", false
}

// overlap tells whether there is a type that two patterns match.
func overlap(a, b string) bool {
	after := make([]bool, len(b)+1) // of a[i+1:] with b[j:]
	for i := len(a); i >= 0; i-- {
		now := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				now[j] = true
			case i < len(a) && a[i] == '*':
				now[j] = after[j] || j < len(b) && now[j+1]
			case j < len(b) && b[j] == '*':
				now[j] = now[j+1] || i < len(a) && after[j]
			default:
				now[j] = i < len(a) && j < len(b) && a[i] == b[j] && after[j+1]
			}
		}
		after = now
	}
	return after[0]
}
