package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) callsCommand() *cobra.Command {
	return group("calls", "List, show and cancel calls that were handed over", c.callsList(), c.callsShow(), c.callsCancel())
}

func (c *cli) callsList() *cobra.Command {
	var q api.CallQuery
	var when span
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List calls, newest first", Args: cobra.NoArgs,
		Example: "  seawall calls list --state held\n" +
			"  seawall calls list --system payments --by shop --key order-1001",
	}
	cmd.Flags().StringVar(&q.State, "state", "", "in this `state`: pending, held, sending, delivered, dead, canceled")
	cmd.Flags().StringVar(&q.System, "system", "", "to this `system`")
	cmd.Flags().StringVar(&q.Key, "key", "", "under this idempotency `key`; with --system and --by")
	cmd.Flags().StringVar(&q.By, "by", "", "`name` of the token that posted it; with --key")
	when.flags(cmd, "posted")
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		q.Since, q.Until = when.since, when.until
		return show(c, c.callListing(), &p, func(page api.Paging) (*api.Page[api.CallLine], error) {
			q.Paging = page
			return g.Calls(ctx, q)
		})
	})
	return cmd
}

func (c *cli) callListing() listing[api.CallLine] {
	return listing[api.CallLine]{
		none:  "no calls",
		heads: []string{"call", "created", "system", "request", "state", "tries", "why"},
		row: func(t *terminal.Table, l api.CallLine) {
			why := l.Reason
			if !l.Due.IsZero() {
				why = strings.TrimSuffix("due "+terminal.Ago(l.Due, c.now())+"; "+why, "; ")
			}
			t.Row(l.ID, c.moment(l.Created), l.System, terminal.Clip(l.Request, 48), t.State(l.State), l.Attempts, terminal.Clip(why, 80))
		},
	}
}

func (c *cli) callsShow() *cobra.Command {
	var o story.Options
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a call with its attempts and its response", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&o.Bodies, "bodies", false, "with whole bodies, as far as they are kept")
	cmd.Flags().BoolVar(&o.Headers, "headers", false, "with all headers")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		if _, err := seawall.ParseCallID(args[0]); err != nil {
			return err
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		got, err := g.Call(ctx, args[0])
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, got)
		}
		o.Now, o.Style, o.Program, o.Flags = c.now(), c.style(), c.program, c.flags()
		return story.WriteCall(c.out, got, o)
	})
	return cmd
}

func (c *cli) callsCancel() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "cancel ID...", Short: "Cancel calls that have not been made", Args: cobra.MinimumNArgs(1),
		Long: `Cancel calls that have not been made.

A call that waits to be tried again may have taken effect at the first try:
"seawall calls show" tells what its attempts came to.`,
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read about it later")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		for _, id := range args {
			if _, err := seawall.ParseCallID(id); err != nil {
				return err
			}
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		for _, id := range args {
			got, err := g.CancelCall(ctx, id, reason)
			if err != nil {
				return err
			}
			if c.json {
				err = writeJSON(c.out, got)
			} else {
				c.printf("%s canceled\n", got.ID)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}
