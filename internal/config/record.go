package config

import (
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

// What an entity says beside the sources that tell about it: of its clock, of its
// records.

var usualUnresolved = Unresolved{Wait: time.Hour, Then: seawall.WaitDead}

// ofEntity are the keys beside the sources, with what such a setting holds that a
// claim does not: where a source has the name of one, that tells which is meant.
var ofEntity = map[string][]string{"clock": nil, "fetch": {"path"}, "unresolved": {"wait", "then"}}

// setsEntity tells whether a key of an entity is a setting, rather than a source
// that tells about it.
func (v value) setsEntity(c *Config, key string) bool {
	own, known := ofEntity[key]
	if !known || v.node == nil || !slices.Contains(sourceNames(c), key) {
		return known
	}
	if v.node.kind != mapping {
		return v.given()
	}
	return slices.ContainsFunc(own, func(k string) bool { return v.node.pair(k) != nil })
}

// settings reads what an entity says beside its claims.
func (e *Entity) settings(c *Config, v value) {
	if v.node != nil && v.node.kind != mapping {
		return // noted
	}
	o := v.open("entity")
	get := func(key string) (value, bool) {
		at := o.get(key)
		if o.has(key) && !at.setsEntity(c, key) {
			at.node = nil
			return at, false
		}
		return at, o.has(key)
	}
	if at, ok := get("clock"); ok {
		e.Shared = at.oneOf("", "shared") == "shared"
	}
	if at, ok := get("fetch"); ok {
		e.Fetch = at.fetch(c)
	}
	if at, ok := get("unresolved"); ok {
		e.Unresolved = at.unresolved()
		if !slices.ContainsFunc(e.Claims, func(c Claim) bool { return c.Record != nil }) {
			at.failKey("leave it out, or say record: in what a source tells", "no source tells a record, so that nothing waits for its entity")
		}
	}
}

// fetch reads how an entity's current record is read.
func (v value) fetch(c *Config) *Fetch {
	o := v.open("fetch")
	system, path := o.needed("system", "the name of a system"), o.needed("path", "for example /orders/{$entity.key}")
	f := &Fetch{
		System: system.text(),
		Record: o.get("record").value(expr.EntityVar, expr.ResponseVar),
		Gone:   Gone(slices.Index(gones, o.get("gone").oneOf(gones[GoneDeliver], gones...))),
	}
	base := ""
	if f.System != "" && system.refersTo(f.System, "system", systemNames(c)) {
		base = c.systemNamed(f.System).URL.String()
	}
	if f.URL = path.below(base, expr.EntityVar, expr.LinkVar); f.URL.Eventful() {
		path.fail("{$entity.key}, {$link.NAME}", "the record is read for its entity, not for an event: there is no payload")
	}
	if !v.given() {
		v.failKey("for example fetch: { system: shop_api, path: \"/orders/{$entity.key}\" }", "has no value")
		return nil
	}
	return f
}

var gones = []string{"deliver", "cancel", "hold"}

// unresolved reads how long an event waits for its entity.
func (v value) unresolved() Unresolved {
	o := v.open("unresolved")
	return Unresolved{
		Wait: o.get("wait").duration(usualUnresolved.Wait, time.Second, 30*day),
		Then: o.get("then").then(usualUnresolved.Then),
	}
}

// then is what follows when a wait has run out.
func (v value) then(usual seawall.WaitPolicy) seawall.WaitPolicy {
	words := seawall.WaitPolicies()
	return seawall.WaitPolicy(slices.Index(words, v.oneOf(words[usual], words...)))
}
