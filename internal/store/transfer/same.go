package transfer

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// encode writes a chunk row by row, in a form that is the same for all engines:
// where chunks end is no part of it, nor how an engine sorts what has no number,
// nor what it makes of text that is none.
func encode(to *json.Encoder, c *store.Chunk) error {
	for i := range c.Events {
		if err := to.Encode(sameEvent(c.Events[i])); err != nil {
			return err
		}
	}
	for _, a := range c.Arrivals {
		for _, text := range []*string{&a.Source, &a.Reason, &a.Detail, &a.SourceID, &a.Proof, &a.Remote, &a.Method, &a.URL} {
			*text = legible(*text)
		}
		if err := to.Encode(a); err != nil {
			return err
		}
	}
	for _, a := range c.Actions {
		if err := to.Encode(sameAction(a)); err != nil {
			return err
		}
	}
	for _, r := range c.Revisions {
		r.By = legible(r.By)
		if err := to.Encode(r); err != nil {
			return err
		}
	}
	for _, l := range c.Lines {
		l.Entity = legible(l.Entity)
		if err := to.Encode(l); err != nil {
			return err
		}
	}
	for _, l := range c.Links {
		l.Entity, l.System, l.Record, l.By = legible(l.Entity), legible(l.System), legible(l.Record), legible(l.By)
		if err := to.Encode(l); err != nil {
			return err
		}
	}
	if c.Rest == nil {
		return nil
	}
	return to.Encode(sameRest(*c.Rest))
}

func sameEvent(m store.MovedEvent) store.MovedEvent {
	e := *m.Event
	e.Type, e.Entity, e.Version = legible(e.Type), legible(e.Entity), legible(e.Version)
	m.Event, m.Deliveries = &e, slices.Clone(m.Deliveries)
	if r := m.Unresolved; r != nil {
		m.Unresolved = &store.Record{Entity: legible(r.Entity), System: legible(r.System), Record: legible(r.Record), Until: r.Until}
	}
	for i := range m.Deliveries {
		d := &m.Deliveries[i].Delivery
		d.Type, d.Entity, d.Reason = legible(d.Type), legible(d.Entity), legible(d.Reason)
	}
	return m
}

func sameAction(a seawall.Action) seawall.Action {
	a.By, a.What, a.On = legible(a.By), legible(a.What), legible(a.On)
	if a.Detail == nil {
		return a
	}
	clean := make(map[string]string, len(a.Detail))
	for k, v := range a.Detail {
		clean[legible(k)] = legible(v)
	}
	a.Detail = clean
	return a
}

func sameRest(r store.Rest) store.Rest {
	// Copies, of which an empty one is nil.
	r.Gates = append([]store.GateState(nil), r.Gates...)
	r.Tokens = append([]seawall.Token(nil), r.Tokens...)
	r.Lanes = append([]store.LaneToken(nil), r.Lanes...)
	for i := range r.Gates {
		r.Gates[i].Reason, r.Gates[i].By = legible(r.Gates[i].Reason), legible(r.Gates[i].By)
	}
	r.Systems, r.Rates, r.Sealed = slices.Clone(r.Systems), slices.Clone(r.Rates), slices.Clone(r.Sealed)
	r.Aliases = slices.Clone(r.Aliases)
	for i := range r.Aliases {
		r.Aliases[i] = store.Alias{Entity: legible(r.Aliases[i].Entity), Into: legible(r.Aliases[i].Into)}
	}
	slices.SortFunc(r.Aliases, func(a, b store.Alias) int { return cmp.Compare(a.Entity, b.Entity) })
	slices.SortFunc(r.Systems, func(a, b store.SystemState) int { return cmp.Compare(a.System, b.System) })
	slices.SortFunc(r.Rates, func(a, b store.RateLevel) int { return cmp.Compare(a.System, b.System) })
	slices.SortFunc(r.Sealed, func(a, b store.Sealed) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(r.Gates, func(a, b store.GateState) int { return cmp.Compare(a.Destination, b.Destination) })
	slices.SortFunc(r.Tokens, func(a, b seawall.Token) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(r.Lanes, func(a, b store.LaneToken) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Shard, b.Shard))
	})
	return r
}

// legible is what PostgreSQL, which takes neither NUL nor broken UTF-8 as text,
// is given in their place.
func legible(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
