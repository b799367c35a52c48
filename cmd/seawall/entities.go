package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) entitiesCommand() *cobra.Command {
	return group("entities", "List, show and merge what events are about", c.entitiesList(), c.entitiesShow(), c.entitiesMerge())
}

func (c *cli) entitiesList() *cobra.Command {
	var q api.EntityQuery
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List entities that are delivered in order", Args: cobra.NoArgs,
		Long: `List entities that some destination has seen something of in order, by name and
key: how many of their deliveries wait for their turn, and at how many
destinations a dead letter holds them up.`,
		Example: "  seawall entities list --waiting\n  seawall entities list --name order --destination orders",
	}
	cmd.Flags().StringVar(&q.Name, "name", "", "of this `kind`: order")
	cmd.Flags().StringVar(&q.Destination, "destination", "", "that this `destination` has seen something of")
	cmd.Flags().BoolVar(&q.Waiting, "waiting", false, "of which something waits for its turn, or is held up")
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		return show(c, c.entityListing(), &p, func(page api.Paging) (*api.Page[api.Entity], error) {
			q.Paging = page
			return g.Entities(ctx, q)
		})
	})
	return cmd
}

func (c *cli) entityListing() listing[api.Entity] {
	return listing[api.Entity]{
		none:  "no entities",
		heads: []string{"entity", "waiting", "held up at", "changed"},
		row: func(t *terminal.Table, e api.Entity) {
			blocked := terminal.Cell{Text: "-", Paint: t.Style.Dim}
			if e.Blocked > 0 {
				blocked = terminal.Cell{Text: terminal.Count(e.Blocked, "destination"), Paint: t.Style.Bad}
			}
			t.Row(e.Entity, e.Waiting, blocked, c.moment(e.At))
		},
	}
}

// entity refuses what is none before anybody is asked.
func entityArg(v string) (string, error) {
	if name, key := seawall.EntityName(v); name == "" || key == "" {
		return "", usageHint(usagef("%q is no entity", v), "an entity is written NAME/KEY, for example order/1001")
	}
	return v, nil
}

func (c *cli) entitiesShow() *cobra.Command {
	var p api.Paging
	cmd := &cobra.Command{
		Use: "show ENTITY", Short: "Show all about one entity", Args: cobra.ExactArgs(1),
		Long: `Show all about one entity: its record in each system, where it stands at each
destination and what holds it up, and its events of all sources in the order of
their versions, with what became of each. CAME is the order in which they came;
"late" there means after a newer one.`,
		Example: "  seawall entities show order/1001",
	}
	cmd.Flags().IntVarP(&p.Limit, "limit", "n", 50, "of its newest events so `many`, at most 200")
	cmd.Flags().StringVar(&p.Cursor, "cursor", "", "the events before those of a page")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		entity, err := entityArg(args[0])
		if err != nil {
			return err
		}
		if p.Limit < 1 || p.Limit > 200 {
			return usagef("--limit must be 1 to 200")
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		s, err := g.Entity(ctx, entity, p)
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, s)
		}
		return story.WriteEntity(c.out, s, story.Options{Now: c.now(), Style: c.style(), Program: c.program, Flags: c.flags()})
	})
	return cmd
}

func (c *cli) entitiesMerge() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "merge ENTITY INTO", Short: "Make an entity another name of a second", Args: cobra.ExactArgs(2),
		Long: `Make an entity another name of a second, where the two turn out to be one. From
now on events that name either are the second's, and its links are those of both;
where both have a record in a system, the second's stands. What was planned
before stays as it was. A merge cannot be undone: --yes says that it is meant.`,
		Example: "  seawall entities merge user/4711 user/12 --yes",
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "it is meant")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		for _, a := range args {
			if _, err := entityArg(a); err != nil {
				return err
			}
		}
		if !yes {
			return usageHint(usagef("a merge cannot be undone"), "if %s and %s are one, say so: --yes", args[0], args[1])
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		m, err := g.Merge(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, m)
		}
		c.printf("%s is %s now\n", terminal.Clean(m.From), terminal.Clean(m.Into))
		l := c.linkListing()
		return l.write(c, m.Links)
	})
	return cmd
}
