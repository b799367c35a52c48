package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the store to a new file, while the gateway serves it", Args: cobra.ExactArgs(1),
		Long: `Copy the store to a new file, while the gateway serves it.

The copy is the store as it was at one moment: everything acknowledged before is
in it. It is checked, and has its name only once it is whole. To restore, stop the
gateway and put the copy in the place of the store's file, without the files
beside it that end in -wal and -shm.

A store on PostgreSQL is backed up by PostgreSQL's own means: the command says
which.`,
		Example: "  seawall backup /backup/seawall-$(date +%F).db",
		RunE: c.does(func(ctx context.Context, args []string) error {
			n, err := c.node()
			if err != nil {
				return err
			}
			if err := engine.Backup(ctx, n.Store, args[0]); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return seawall.Errorf(seawall.ErrUnavailable, "look at the copy: %w", err)
			}
			if c.json {
				return writeJSON(c.out, struct {
					Store  string `json:"store"`
					Backup string `json:"backup"`
					Bytes  int64  `json:"bytes"`
				}{n.Store.String(), args[0], info.Size()})
			}
			c.printf("%s: %s, checked\n", terminal.Clean(args[0]), terminal.Bytes(info.Size()))
			return nil
		}),
	}
}
