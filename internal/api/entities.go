package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	storyEvents   = 50  // of an entity on a page, unless told otherwise
	storyMost     = 200 // of them, each with a look at its deliveries
	entityActions = 100
)

// EntityPath is an operation on one entity. A slash in its key is written %2F.
type EntityPath struct {
	Name string `path:"name" maxLength:"200" example:"order"`
	Key  string `path:"key" maxLength:"500" example:"1001" doc:"Escaped: a slash in it is %2F."`
}

func (p EntityPath) entity() string { return p.Name + "/" + p.Key }

func (s *server) registerEntities(doc huma.API) {
	const tag = "entities"
	handle(s, doc, op("list-entities", http.MethodGet, "/entities", tag, "List entities",
		"Those that some destination has seen something of in order, by name and key."), s.listEntities)
	handle(s, doc, op("get-entity", http.MethodGet, "/entities/{name}/{key}", tag, "All about one entity",
		"Its events of all sources in the order of their versions, what became of each, its records in each system, "+
			"and where it stands at each destination."), s.getEntity)
	handle(s, doc, op("merge-entity", http.MethodPost, "/entities/{name}/{key}/merge", tag, "Make an entity another name of a second",
		"For two that turn out to be one: from now on events that name either are the second's, and so are both's links. "+
			"What was planned before stays as it was. A merge cannot be undone."), s.mergeEntity)
}

func (s *server) listEntities(ctx context.Context, in *EntityQuery) (*answer[Page[Entity]], error) {
	l, err := s.Store.ListEntities(ctx, store.EntityFilter{Name: in.Name, Waiting: in.Waiting, Destination: in.Destination}, in.page())
	if err != nil {
		return nil, fmt.Errorf("list entities: %w", err)
	}
	return page(l, func(e store.EntityState) Entity { return Entity(e) }), nil
}

func (s *server) getEntity(ctx context.Context, in *struct {
	EntityPath
	Paging
}) (*answer[EntityStory], error) {
	asked := in.entity()
	out := EntityStory{Entity: s.Gateway.Alias(asked), Actions: []Action{}}
	if out.Entity != asked {
		out.Asked = asked
	}
	out.Aliases = each(s.Gateway.AliasesOf(out.Entity), same)
	in.Limit = min(cmp.Or(in.Limit, storyEvents), storyMost)
	events, next, err := s.eventsOf(ctx, out.Entity, in.page())
	if err != nil {
		return nil, err
	}
	out.Next = next
	if err := s.standing(ctx, &out); err != nil {
		return nil, err
	}
	if in.Cursor == "" {
		for _, alias := range out.Aliases {
			more, _, err := s.eventsOf(ctx, alias, store.Page{Limit: in.Limit})
			if err != nil {
				return nil, err
			}
			events = append(events, more...)
		}
		if err := s.history(ctx, &out); err != nil {
			return nil, err
		}
		if len(events) == 0 && len(out.Links)+len(out.Positions)+len(out.Actions)+len(out.Aliases) == 0 {
			return nil, seawall.Errorf(seawall.ErrNotFound, "nothing is known of %s", clipped(asked)).
				WithHint("an entity is written NAME/KEY, as in the list of events")
		}
	}
	out.Data, err = s.sorted(ctx, events)
	return &answer[EntityStory]{out}, err
}

// eventsOf is a page of an entity's events, newest first. It is not empty unless
// there are no more.
func (s *server) eventsOf(ctx context.Context, entity string, p store.Page) (events []seawall.Event, next string, err error) {
	for {
		l, err := s.Store.ListEvents(ctx, store.EventFilter{Entity: entity}, p)
		if err != nil {
			return nil, "", fmt.Errorf("events of %s: %w", entity, err)
		}
		if len(l.Items) > 0 || l.Next == "" {
			return l.Items, l.Next, nil
		}
		p.Cursor = l.Next
	}
}

// standing adds an entity's records and positions.
func (s *server) standing(ctx context.Context, e *EntityStory) error {
	links, err := s.Store.LinksOf(ctx, e.Entity)
	if err != nil {
		return fmt.Errorf("links of %s: %w", e.Entity, err)
	}
	at, err := s.Store.Positions(ctx, e.Entity)
	if err != nil {
		return fmt.Errorf("positions of %s: %w", e.Entity, err)
	}
	e.Links, e.Positions = each(links, same), each(at, formPosition)
	return nil
}

// history adds what was done to an entity, the newest part.
func (s *server) history(ctx context.Context, e *EntityStory) error {
	for _, name := range append([]string{e.Entity}, e.Aliases...) {
		l, err := s.Store.ListActions(ctx, name, store.Page{Limit: entityActions})
		if err != nil {
			return fmt.Errorf("actions on %s: %w", name, err)
		}
		e.Actions = append(e.Actions, each(l.Items, formAction)...)
	}
	slices.SortStableFunc(e.Actions, func(a, b Action) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	e.Actions = slices.CompactFunc(e.Actions, func(a, b Action) bool { return a.ID == b.ID })
	return nil
}

// sorted puts events in the order of their versions. Only those of one clock
// compare: each clock's go, in their order, where its events came. One without a
// version stays where it came.
func (s *server) sorted(ctx context.Context, events []seawall.Event) ([]EntityEvent, error) {
	slices.SortFunc(events, func(a, b seawall.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	c, _ := s.Gateway.Config()
	all, out := make([]placed, len(events)), make([]EntityEvent, len(events))
	clocks := map[string][]int{}
	newest := map[string][]byte{}
	for i := range events {
		ev := &events[i]
		ds, err := s.Store.DeliveriesOf(ctx, ev.ID)
		if err != nil {
			return nil, fmt.Errorf("deliveries of %s: %w", ev.ID, err)
		}
		p := placed{form: EntityEvent{Event: formEvent(*ev), Arrival: i + 1, Deliveries: each(ds, formDelivery)}}
		p.clock, p.rank = rankOf(c, ev, ds)
		if len(p.rank) > 0 {
			p.form.Behind = bytes.Compare(p.rank, newest[p.clock]) < 0
			if !p.form.Behind {
				newest[p.clock] = p.rank
			}
			clocks[p.clock] = append(clocks[p.clock], i)
		}
		all[i], out[i] = p, p.form
	}
	for _, slots := range clocks {
		byVersion := slices.Clone(slots)
		slices.SortStableFunc(byVersion, func(a, b int) int { return bytes.Compare(all[a].rank, all[b].rank) })
		for i, slot := range slots {
			out[slot] = all[byVersion[i]].form
		}
	}
	return out, nil
}

// placed is an event with its place by version.
type placed struct {
	form  EntityEvent
	clock string
	rank  []byte // empty: nothing is known of its version
}

// rankOf is the place that an event was planned with; of one that no route orders,
// the place that its version has by the running configuration.
func rankOf(c *config.Config, ev *seawall.Event, ds []seawall.Delivery) (clock string, rank []byte) {
	for _, d := range ds {
		if clock, bare := order.ClockOf(d.Rank); !bare {
			return clock, d.Rank[len(clock)+1:]
		}
	}
	name, _ := seawall.EntityName(ev.Entity)
	clock = ev.Source
	var how []order.Comparison
	for _, e := range c.Entities {
		if e.Name != name {
			continue
		}
		if e.Shared {
			clock = ""
		}
		for _, cl := range e.Claims {
			if cl.Source == ev.Source {
				how = cl.Compare
			}
		}
	}
	if ev.Version == "" {
		return clock, nil
	}
	var parts []string
	if !strings.HasPrefix(ev.Version, "[") || json.Unmarshal([]byte(ev.Version), &parts) != nil {
		parts = []string{ev.Version}
	}
	rank, err := order.Rank(parts, how...)
	if err != nil {
		return clock, nil
	}
	return clock, rank
}

func formPosition(p store.Position) Position {
	return Position{
		Destination: p.Destination, Waiting: p.Waiting, Head: formMark(p.Head), Block: formMark(p.Block), Until: p.Until,
		Done: each(p.Done, same), At: p.At,
		Clocks: each(p.Clocks, func(c order.Clock) Clock {
			return Clock{Source: c.Name, Newest: formMark(c.Top), Delivered: formMark(c.Seen)}
		}),
	}
}

func formMark(m order.Mark) *Mark {
	if m.IsZero() {
		return nil
	}
	return &Mark{Delivery: m.Delivery.String(), Event: m.Delivery.Event().String(), Version: m.Version}
}

func (s *server) mergeEntity(ctx context.Context, in *struct {
	EntityPath
	Body MergeRequest
}) (*answer[Merged], error) {
	from, into := in.entity(), in.Body.Into
	for _, e := range []string{from, into} {
		if err := entityLike(e); err != nil {
			return nil, err
		}
	}
	if name, _ := seawall.EntityName(into); name != in.Name {
		return nil, seawall.Errorf(seawall.ErrInvalid, "%s and %s are not of one kind", clipped(from), clipped(into)).
			WithHint("an order can only be merged into an order")
	}
	a := s.action(ctx, "merge", into, map[string]string{"from": from})
	if err := s.Store.Merge(ctx, from, into, a); err != nil {
		return nil, about("merge", from, err)
	}
	s.Gateway.Merged()
	links, err := s.Store.LinksOf(ctx, into)
	if err != nil {
		return nil, fmt.Errorf("links of %s: %w", into, err)
	}
	return &answer[Merged]{Merged{From: from, Into: into, Links: each(links, same)}}, nil
}

// maxEntity bounds what an entity, a system or a record may be called, in bytes.
const (
	maxEntity = 500
	maxRecord = 256
)

// entityLike refuses what cannot be an entity.
func entityLike(e string) error {
	name, key := seawall.EntityName(e)
	if name == "" || key == "" {
		return seawall.Errorf(seawall.ErrInvalid, "%q is no entity", clipped(e)).WithHint("an entity is written NAME/KEY, for example order/1001")
	}
	return nameLike("entity", e, maxEntity)
}

// nameLike refuses what cannot be the name of something.
func nameLike(what, v string, most int) error {
	switch {
	case v == "":
		return seawall.Errorf(seawall.ErrInvalid, "no %s", what)
	case len(v) > most:
		return seawall.Errorf(seawall.ErrInvalid, "%s: longer than %d bytes", what, most)
	case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return seawall.Errorf(seawall.ErrInvalid, "%s: %q holds control characters, or is not UTF-8", what, clipped(v))
	}
	return nil
}

func clipped(v string) string {
	if len(v) > 80 {
		return strings.ToValidUTF8(v[:80], "") + "…"
	}
	return v
}

// knownLinks are the names that the configuration has for links.
func knownLinks(c *config.Config) map[string]bool {
	out := map[string]bool{}
	for _, s := range c.Systems {
		out[s.Name] = true
	}
	for _, s := range c.Sources {
		out[s.Name] = true
	}
	for _, e := range c.Entities {
		for _, cl := range e.Claims {
			out[cl.System] = true
		}
	}
	for _, d := range c.Destinations {
		if d.Upsert != nil {
			out[d.Upsert.Link] = true
		}
	}
	return out
}
