package main

import (
	"context"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/shape"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// trial is a run of the routes on one event, without sending.
type trial struct {
	event, route, source, kind string
	all                        bool // routes that are for other types too
}

// outcome is what one route would do.
type outcome struct {
	Route   string           `json:"route"`
	Matched bool             `json:"matched"`
	Why     string           `json:"why,omitempty"`
	Error   string           `json:"error,omitempty"` // the request could not be made
	Request *seawall.Request `json:"request,omitempty"`
	body    []byte           // as it would be sent
	decided seawall.Decision
}

func (c *cli) try(ctx context.Context, cfg *config.Config, t trial) error {
	if t.route != "" {
		if err := routeNamed(cfg, t.route); err != nil {
			return err
		}
	}
	events, err := c.eventsOf(ctx, cfg, t)
	if err != nil {
		return err
	}
	for _, ev := range events {
		outs := c.outcomes(ctx, cfg, ev, t.route)
		if c.json {
			if err := writeJSON(c.out, outs...); err != nil {
				return err
			}
			continue
		}
		c.showTrial(ev, outs, t.all)
	}
	return nil
}

// outcomes plans and shapes an event by a configuration.
func (c *cli) outcomes(ctx context.Context, cfg *config.Config, ev *seawall.Event, route string) []outcome {
	_, decisions, ds := plan.New(cfg).Plan(0, ev, c.now())
	shaper := shape.New(cfg, release())
	systems := system.New(system.Options{Now: c.now}) // nothing is sent: they only know credentials
	systems.Use(cfg)
	var outs []outcome
	for _, d := range decisions {
		if route != "" && d.Route != "" && d.Route != route {
			continue
		}
		out := outcome{Route: d.Route, Matched: d.Matched, Why: reasoned(d), decided: d}
		at := slices.IndexFunc(ds, func(x seawall.Delivery) bool { return x.Route == d.Route })
		if d.Matched && at >= 0 {
			sent, shown, err := shaper.Shape(ctx, &ds[at], ev, c.now(), shape.Given{})
			if err != nil {
				out.Error = err.Error()
			} else {
				if y := systems.Of(ds[at].System); y != nil {
					y.Veil(shown)
				}
				out.Request, out.body = shown, sent.Body
			}
		}
		outs = append(outs, out)
	}
	return outs
}

func (c *cli) showTrial(ev *seawall.Event, outs []outcome, all bool) {
	c.printf("%s %s, %s\n", terminal.Clean(ev.Source), terminal.Clean(ev.Type), terminal.Bytes(int64(len(ev.Body))))
	if ev.Entity != "" {
		about := "entity " + ev.Entity
		if ev.Version != "" {
			about += ", version " + ev.Version
		}
		c.printf("%s\n", terminal.Clean(about))
	}
	if !slices.ContainsFunc(outs, func(o outcome) bool { return o.Route != "" }) {
		c.printf("no route takes events of %s\n", ev.Source)
	}
	var other []string
	if !all {
		decisions := make([]seawall.Decision, len(outs))
		for i, o := range outs {
			decisions[i] = o.decided
		}
		other = story.OtherTypes(decisions)
	}
	for _, o := range outs {
		if slices.Contains(other, o.Route) {
			continue
		}
		if o.Route == "" { // of what was found out before any route was asked
			c.printf("%s\n", terminal.Clean(o.Why))
			continue
		}
		c.printf("\n%s: %s\n", c.style().Bold("route "+o.Route), terminal.Clean(o.Why))
		if o.Error != "" {
			c.printf("  %s %s\n", c.style().Bad("cannot be sent:"), terminal.Clean(o.Error))
		}
		if o.Request == nil {
			continue
		}
		c.printf("  %s %s\n", o.Request.Method, terminal.Clean(o.Request.URL))
		for _, name := range slices.Sorted(maps.Keys(o.Request.Headers)) {
			for _, v := range o.Request.Headers[name] {
				c.printf("  %s %s\n", c.style().Dim(strings.ToLower(name)+":"), terminal.Clean(v))
			}
		}
		c.printf("\n")
		for line := range strings.SplitSeq(strings.TrimRight(terminal.CleanLines(string(o.body)), "\n"), "\n") {
			c.printf("  %s\n", line)
		}
	}
	if other != nil {
		c.printf("\n%s\n", terminal.Clean(story.NoMatchByType(other, "--all names them")))
	}
}

// reasoned is what a route decided, without its name.
func reasoned(d seawall.Decision) string {
	return strings.TrimPrefix(api.WordDecision(d), "route "+d.Route+" ")
}

// eventsOf finds the events to try: a stored one, or those in a file.
func (c *cli) eventsOf(ctx context.Context, cfg *config.Config, t trial) ([]*seawall.Event, error) {
	if _, err := os.Stat(t.event); err != nil && (strings.HasPrefix(t.event, "evt_") || strings.HasPrefix(t.event, "dlv_")) {
		text, err := eventID(t.event)
		if err != nil {
			return nil, err
		}
		ev, err := c.storedEvent(ctx, text)
		return []*seawall.Event{ev}, err
	}
	if t.source == "" {
		return nil, usagef("--event with a file needs --source: where would it come from?")
	}
	own := t.source == seawall.SourceOutcomes || t.source == seawall.SourceCalls
	src, err := &config.Source{Name: t.source}, error(nil)
	if !own {
		src, err = sourceNamed(cfg, t.source)
	}
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(t.event)
	if err != nil {
		return nil, err
	}
	if own || !looksLikeCapture(b) {
		return []*seawall.Event{c.event(src, provider.Item{Type: t.kind, ID: "example"}, &provider.Request{
			Method: http.MethodPost, URL: "http://localhost/in/" + src.Name, Body: b,
			Header: http.Header{"Content-Type": {"application/json"}},
		})}, nil
	}
	r, err := c.capture(t.event)
	if err != nil {
		return nil, err
	}
	if v := c.judge(ctx, src, r); !v.Verified && !c.json {
		c.printf("%s (%s: seawall verify --source %s %s)\n", c.style().Warn("it would be rejected"), v.Reason, src.Name, t.event)
	}
	items, problem := src.Provider.Identify(r)
	if problem != "" && !c.json {
		c.printf("%s %s\n", c.style().Warn("identified with a problem:"), terminal.Clean(problem))
	}
	var events []*seawall.Event
	for _, it := range items {
		events = append(events, c.event(src, it, r))
	}
	return events, nil
}

// event is what a request's item would become.
func (c *cli) event(src *config.Source, it provider.Item, r *provider.Request) *seawall.Event {
	body := it.Body
	if body == nil {
		body = r.Body
	}
	return &seawall.Event{
		ID: seawall.NewEventID(c.now(), c.random), Source: src.Name,
		SourceID: it.ID, Derived: it.Derived, Keyless: it.Keyless, Type: it.Type, Entity: it.Entity, Version: it.Version,
		OccurredAt: it.OccurredAt, ReceivedAt: c.now(),
		Method: r.Method, URL: r.URL, Headers: r.Header, Body: body,
	}
}

// storedEvent asks the running gateway for an event, or else reads the store.
func (c *cli) storedEvent(ctx context.Context, id string) (*seawall.Event, error) {
	g, err := c.gateway()
	if err != nil {
		return nil, err
	}
	s, err := g.Story(ctx, id)
	if err == nil {
		return fromAPI(&s.Event)
	}
	if !isNotRunning(err) || c.url != "" || c.env("SEAWALL_URL") != "" {
		return nil, err
	}
	parsed, err := seawall.ParseEventID(id)
	if err != nil {
		return nil, err
	}
	var ev *seawall.Event
	err = c.withStore(ctx, false, func(s store.Store) (err error) {
		ev, err = s.Event(ctx, parsed)
		return err
	})
	return ev, err
}

func fromAPI(e *api.Event) (*seawall.Event, error) {
	id, err := seawall.ParseEventID(e.ID)
	if err != nil {
		return nil, err
	}
	return &seawall.Event{
		ID: id, Seq: e.Seq, Source: e.Source, SourceID: e.SourceID, Derived: e.Derived, Keyless: e.Keyless,
		Type: e.Type, Entity: e.Entity, Version: e.Version, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt,
		Method: e.Method, URL: e.URL, Headers: e.Headers, Body: e.Body, Remote: e.Remote, Proof: e.Proof,
	}, nil
}
