package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/doctor"
	"github.com/seawall-dev/seawall/internal/terminal"
)

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Examine configuration, store and queues, and say what to do", Args: cobra.NoArgs,
		Long: `Examine configuration, store and queues, and say what to do.

It may run beside the gateway or without it. Of an SQLite store it reads the whole
file; of PostgreSQL it looks at the server's settings, clock, old transactions and
connections, and at the nodes. It mends nothing. The exit code is 1 if anything
fails; warnings leave it 0.`,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			o := doctor.Options{Now: c.now}
			o.Config, o.Problem = c.load()
			if o.Config != nil {
				o.Node = o.Config.Node
			} else {
				o.Node, o.NodeErr = c.node()
			}
			if admin, err := c.adminURL(); err == nil {
				o.Admin = admin
			}
			failed := false
			doctor.Examine(ctx, o, func(f doctor.Finding) {
				failed = failed || f.Level == doctor.Fail
				c.showFinding(f)
			})
			if failed {
				return errSilent
			}
			return ctx.Err()
		}),
	}
}

func (c *cli) showFinding(f doctor.Finding) {
	if c.json {
		_ = writeJSON(c.out, f) // who does not listen is told by the exit code
		return
	}
	style := c.style()
	label := map[doctor.Level]string{doctor.OK: style.Good("ok  "), doctor.Warn: style.Warn("warn"), doctor.Fail: style.Bad("fail")}[f.Level]
	c.printf("%s  %-13s  %s\n", label, f.Check, terminal.Clean(f.Found))
	if f.Do != "" && f.Level != doctor.OK {
		c.printf("%21s%s\n", "", terminal.Clean(f.Do))
	}
}
