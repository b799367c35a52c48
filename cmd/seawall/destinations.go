package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/terminal"
)

func (c *cli) destinationsCommand() *cobra.Command {
	return group("destinations", "List, pause and resume destinations",
		c.destinationsList(),
		c.gate("pause", "Stop deliveries to a destination; they wait", (*client.Client).Pause),
		c.gate("resume", "Let deliveries to a paused or disabled destination go on", (*client.Client).Resume),
	)
}

func (c *cli) destinationsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List destinations with what waits for each", Args: cobra.NoArgs,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			g, err := c.gateway()
			if err != nil {
				return err
			}
			ds, err := g.Destinations(ctx)
			if err != nil {
				return err
			}
			return c.whole(ds)
		}),
	}
}

func (c *cli) whole(ds []api.Destination) error {
	l := listing[api.Destination]{
		none:  "no destinations",
		heads: []string{"destination", "host", "gate", "pending", "held", "dead", "oldest due", "why"},
		row: func(t *terminal.Table, d api.Destination) {
			t.Row(d.Name, d.Host, t.State(d.Gate), d.Pending, d.Held, d.Dead, terminal.Ago(d.OldestDue, c.now()), c.standing(d))
		},
	}
	return l.write(c, ds)
}

// standing says why a destination is as it is.
func (c *cli) standing(d api.Destination) string {
	var parts []string
	switch {
	case d.RenamedTo != "":
		parts = append(parts, "renamed to "+d.RenamedTo+"; lists and replays find these by the old name")
	case !d.Configured:
		parts = append(parts, "no longer in the configuration")
	}
	gate := d.GateReason
	if d.GateBy != "" && d.Gate != "open" {
		gate = strings.TrimSuffix("by "+d.GateBy+" "+terminal.Ago(d.GateAt, c.now())+": "+gate, ": ")
	}
	if gate != "" {
		parts = append(parts, gate)
	}
	return strings.Join(parts, "; ")
}

// gate makes the command that sets a destination's gate.
func (c *cli) gate(name, short string, set func(*client.Client, context.Context, string, string) (*api.Destination, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: name + " NAME", Short: short, Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read about it later")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		d, err := set(g, ctx, args[0], reason)
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, d)
		}
		c.printf("%s is %s, %s waiting\n", d.Name, c.style().State(d.Gate), terminal.Count(int(d.Pending), "delivery"))
		return nil
	})
	return cmd
}
