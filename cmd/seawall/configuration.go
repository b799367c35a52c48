package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
)

func (c *cli) configCommand() *cobra.Command {
	return group("config", "Show and reload the running configuration",
		c.configShow(), c.configRevisions(), c.configReload())
}

func (c *cli) configShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [REVISION]", Short: "Show the running configuration, or an earlier revision, as written",
		Args: cobra.MaximumNArgs(1),
		RunE: c.does(func(ctx context.Context, args []string) error {
			var number int64
			if len(args) == 1 {
				var err error
				if number, err = strconv.ParseInt(args[0], 10, 64); err != nil || number < 1 {
					return usagef("%q is not the number of a revision", args[0])
				}
			}
			g, err := c.gateway()
			if err != nil {
				return err
			}
			var r *api.Revision
			if number == 0 {
				r, err = g.Config(ctx)
			} else {
				r, err = g.Revision(ctx, number)
			}
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.out, r)
			}
			c.printf("%s\n%s", c.style().Dim("# revision "+strconv.FormatInt(r.Number, 10)+", "+terminal.When(r.At, c.now())+", by "+terminal.Clean(r.By)),
				terminal.CleanLines(r.Text))
			return nil
		}),
	}
}

func (c *cli) configRevisions() *cobra.Command {
	var p paging
	cmd := &cobra.Command{Use: "revisions", Short: "List the configurations that were accepted, newest first", Args: cobra.NoArgs}
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		l := listing[api.Revision]{
			none:  "no revisions",
			heads: []string{"revision", "accepted", "by", "running"},
			row: func(t *terminal.Table, r api.Revision) {
				running := ""
				if r.Running {
					running = "running"
				}
				t.Row(strconv.FormatInt(r.Number, 10), c.moment(r.At), r.By, running)
			},
		}
		return show(c, l, &p, func(page api.Paging) (*api.Page[api.Revision], error) { return g.Revisions(ctx, page) })
	})
	return cmd
}

func (c *cli) configReload() *cobra.Command {
	var r api.ReloadRequest
	cmd := &cobra.Command{
		Use: "reload", Short: "Make the gateway read its file again; an invalid one changes nothing", Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&r.Drop, "drop", false, "accept that destinations with unfinished deliveries are gone")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		rev, err := g.Reload(ctx, r)
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, rev)
		}
		for _, w := range rev.Warnings {
			c.printf("%s%s\n", c.style().Warn("warning: "), terminal.Clean(w))
		}
		c.printf("revision %d is running\n", rev.Number)
		return nil
	})
	return cmd
}
