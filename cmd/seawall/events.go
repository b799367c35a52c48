package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) eventsCommand() *cobra.Command {
	return group("events", "List, show, follow and re-plan events",
		c.eventsList(), c.eventsShow(), c.eventsTail(), c.eventsReplan())
}

// eventFilter is what selects events.
type eventFilter struct {
	q    api.EventQuery
	span span
}

func (f *eventFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.q.Source, "source", "", "of this `source`")
	cmd.Flags().StringVar(&f.q.Type, "type", "", "of this `type`; * and ? stand for anything")
	cmd.Flags().StringVar(&f.q.Entity, "entity", "", "of this `entity`")
	cmd.Flags().StringVar(&f.q.SourceID, "source-id", "", "with this `id` at the provider")
	cmd.Flags().StringVar(&f.q.Routing, "routing", "", "whose planning came to this: routed, unmatched or plan_error")
}

func (c *cli) eventsList() *cobra.Command {
	var f eventFilter
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List events, newest first", Args: cobra.NoArgs,
		Example: "  seawall events list --source stripe --since 2h\n" +
			"  seawall events list --routing unmatched --all --json",
	}
	f.flags(cmd)
	f.span.flags(cmd, "received")
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		f.q.Since, f.q.Until = f.span.since, f.span.until
		return show(c, c.eventListing(), &p, func(page api.Paging) (*api.Page[api.Event], error) {
			f.q.Paging = page
			return g.Events(ctx, f.q)
		})
	})
	return cmd
}

func (c *cli) eventListing() listing[api.Event] {
	return listing[api.Event]{
		none:  "no events",
		heads: []string{"event", "received", "source", "type", "routing", "source id"},
		row: func(t *terminal.Table, e api.Event) {
			t.Row(e.ID, c.moment(e.ReceivedAt), e.Source, terminal.Clip(e.Type, 40), t.State(e.Routing), terminal.Clip(e.SourceID, 44))
		},
	}
}

func (c *cli) eventsShow() *cobra.Command {
	var o story.Options
	cmd := &cobra.Command{
		Use: "show ID", Aliases: []string{"story"},
		Short: "Tell all that happened to an event",
		Long: `Tell all that happened to an event: how it came and was verified, which routes
matched and which did not and why, each attempt with request and response, what
people did, where it stands, and what to do next. ID may also be a delivery's.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&o.Bodies, "bodies", false, "with whole bodies, as far as they are kept")
	cmd.Flags().BoolVar(&o.Headers, "headers", false, "with all headers")
	cmd.Flags().BoolVar(&o.All, "all", false, "with each route that is for other types, in place of their number")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		id, err := eventID(args[0])
		if err != nil {
			return err
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		return c.tell(ctx, g, id, o)
	})
	return cmd
}

// eventID takes an event's id, or a delivery's, which leads to its event.
func eventID(s string) (string, error) {
	if d, err := seawall.ParseDeliveryID(s); err == nil {
		return d.Event().String(), nil
	}
	id, err := seawall.ParseEventID(s)
	return id.String(), err
}

// tell writes an event's story.
func (c *cli) tell(ctx context.Context, g *client.Client, id string, o story.Options) error {
	s, err := g.Story(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.out, s)
	}
	if o.Gates, err = gates(ctx, g); err != nil {
		return err
	}
	o.Now, o.Style, o.Program, o.Flags = c.now(), c.style(), c.program, c.flags()
	return story.Write(c.out, s, o)
}

// gates are the destinations by name, for what they say about theirs.
func gates(ctx context.Context, g *client.Client) (map[string]api.Destination, error) {
	ds, err := g.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]api.Destination{}
	for _, d := range ds {
		out[d.Name] = d
	}
	return out, nil
}

func (c *cli) eventsTail() *cobra.Command {
	var f eventFilter
	var since string
	cmd := &cobra.Command{
		Use: "tail", Short: "Follow events as they come, until interrupted", Args: cobra.NoArgs,
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "begin at this `time`: RFC 3339, or back from now (10m); default: now")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		if since != "" {
			f.q.Since, f.q.After = since, "0"
		}
		l := c.eventListing()
		t := c.table(l.heads)
		for e, err := range g.Tail(ctx, f.q) {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := l.more(c, t, []api.Event{e}); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func (c *cli) eventsReplan() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "replan ID", Short: "Plan an event again, by the running configuration",
		Long: `Plan an event again, by the running configuration: for one that matched no route,
or whose filter failed, once that is corrected. Routes that already have a
delivery of it are left out.`,
		Args: cobra.ExactArgs(1),
		RunE: c.does(func(ctx context.Context, args []string) error {
			id, err := eventID(args[0])
			if err != nil {
				return err
			}
			g, err := c.gateway()
			if err != nil {
				return err
			}
			p, err := g.Plan(ctx, id)
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.out, p)
			}
			other := story.OtherTypes(p.Decisions)
			for _, d := range p.Decisions {
				if all || !slices.Contains(other, d.Route) {
					c.printf("%s\n", terminal.Clean(api.WordDecision(d)))
				}
			}
			if other != nil && !all {
				c.printf("%s\n", terminal.Clean(story.NoMatchByType(other, "--all names them")))
			}
			for _, d := range p.Added {
				c.printf("%s to %s\n", d.ID, d.Destination)
			}
			c.printf("%s added\n", terminal.Count(len(p.Added), "delivery"))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "name each route that is for other types, in place of their number")
	return cmd
}
