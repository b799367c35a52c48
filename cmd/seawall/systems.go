package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
)

func (c *cli) systemsCommand() *cobra.Command {
	list := c.systemsList()
	cmd := group("systems", "List outside systems, and let one be asked again", list, c.systemsReset())
	others := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return list.RunE(cmd, args)
		}
		return others(cmd, args)
	}
	return cmd
}

func (c *cli) systemsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List systems with their limits, breakers and calls", Args: cobra.NoArgs,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			g, err := c.gateway()
			if err != nil {
				return err
			}
			ys, err := g.Systems(ctx)
			if err != nil {
				return err
			}
			l := listing[api.System]{
				none:  "no systems",
				heads: []string{"system", "host", "auth", "limit", "breaker", "calls", "held", "dead", "why"},
				row: func(t *terminal.Table, y api.System) {
					t.Row(y.Name, y.Host, y.Auth, limits(y), t.State(y.Breaker), y.Pending, y.Held, y.Dead, c.standingOf(y))
				},
			}
			return l.write(c, ys)
		}),
	}
}

// limits are those of a system in a few words.
func limits(y api.System) string {
	var parts []string
	if y.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.3g/s", y.Rate))
	}
	if y.Concurrency > 0 {
		parts = append(parts, fmt.Sprintf("%d at a time", y.Concurrency))
	}
	return strings.Join(parts, ", ")
}

// standingOf says why a system is as it is.
func (c *cli) standingOf(y api.System) string {
	var parts []string
	if y.Why != "" {
		parts = append(parts, y.Why)
	}
	if !y.Until.IsZero() {
		parts = append(parts, "tried again "+terminal.Ago(y.Until, c.now()))
	}
	if y.Hold.After(c.now()) {
		parts = append(parts, "it asked for nothing until "+terminal.Exact(y.Hold))
	}
	if y.Pace > 0 {
		parts = append(parts, fmt.Sprintf("slowed down to %.3g/s", y.Pace))
	}
	if y.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d wait for leave", y.Waiting))
	}
	return strings.Join(parts, "; ")
}

func (c *cli) systemsReset() *cobra.Command {
	return &cobra.Command{
		Use: "reset NAME", Short: "Close a system's breaker, and forget that it asked to be left alone", Args: cobra.ExactArgs(1),
		RunE: c.does(func(ctx context.Context, args []string) error {
			g, err := c.gateway()
			if err != nil {
				return err
			}
			y, err := g.ResetSystem(ctx, args[0])
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.out, y)
			}
			c.printf("%s is asked again; its breaker is %s\n", y.Name, c.style().State(y.Breaker))
			return nil
		}),
	}
}
