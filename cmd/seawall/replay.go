package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) replayCommand() *cobra.Command {
	var f deliveryFilter
	var r api.ReplayRequest
	var original bool
	cmd := &cobra.Command{
		Use: "replay [ID...]", Short: "Send finished deliveries again: by id, or those that a filter selects",
		Args: cobra.ArbitraryArgs,
		Long: `Send finished deliveries again, under the same id: by id, or those that a filter
selects, which are dead letters unless it names another state.

Those that already wait are left as they are: repeating the command adds none.
A consumer that has seen a delivery's id does nothing; --new-id is for one that
wrongly swallowed it.

In a sequence a delivery goes by its version, before later ones that still wait.
Where only the newest version matters, one that a newer one made pointless is left
as it is; --force sends it all the same, with the header seawall-late.

What is held for a person, or for others to be delivered first, is sent too if it is
named by its id.`,
		Example: `  seawall replay dlv_…
  seawall replay --state dead --destination orders --since 24h --dry-run
  seawall replay --state dead --destination orders --since 24h --rate 50/s`,
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&r.All, "all", false, "every dead letter there is")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "count only")
	cmd.Flags().StringVar(&r.Rate, "rate", "", "how fast they fall due: `N/s`, N/m or N/h; default all at once")
	cmd.Flags().BoolVar(&original, "original-config", false, "shape them by the configuration they were planned under, not by the running one")
	cmd.Flags().BoolVar(&r.NewID, "new-id", false, "as new deliveries, with ids of their own")
	cmd.Flags().BoolVar(&r.Force, "force", false, "also where a newer version of their entity made them pointless: as late ones")
	cmd.RunE = c.does(func(ctx context.Context, args []string) (err error) {
		if r.IDs, r.Filter, err = f.chosen(args, r.All); err != nil {
			return err
		}
		if original {
			r.Config = "original"
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		sum, err := g.Replays(ctx, r, c.progress())
		if err != nil {
			return partly(err, sum.Replayed, "replayed")
		}
		if c.json {
			return writeJSON(c.out, sum)
		}
		if r.DryRun {
			c.printf("%s would be replayed\n", terminal.Count(sum.Matched, "delivery"))
			return leftOut(sum)
		}
		c.printf("%s replayed\n", terminal.Count(sum.Replayed, "delivery"))
		if err := leftOut(sum); err != nil {
			return err
		}
		if sum.Outdated > 0 {
			return seawall.Errorf(seawall.ErrConflict, "left as it was, since a newer version of the entity made it pointless: %s",
				terminal.Count(sum.Outdated, "delivery")).
				WithHint("seawall entities show tells which is the newest; --force sends it all the same, as a late one")
		}
		why := "already waiting, or not known: see seawall deliveries show"
		if r.NewID {
			why = "replayed under a new id before, or already waiting: see seawall events show ID, which lists all deliveries of its event"
		}
		return missed(len(r.IDs), sum.Replayed, why)
	})
	return cmd
}

// leftOut is an error if an order was for destinations that are gone.
func leftOut(sum *api.ReplayResult) error {
	if len(sum.LeftOut) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(sum.LeftOut))
	n := 0
	for _, name := range names {
		n += sum.LeftOut[name]
	}
	return seawall.Errorf(seawall.ErrConflict, "%s left out: no longer in the configuration: %s", terminal.Count(n, "delivery"), strings.Join(names, ", ")).
		WithHint("add the destination again, or put renamed_from: %s on the one that takes its place, and reload", names[0])
}

// progress tells a person, on standard error, how far a long replay is.
func (c *cli) progress() func(api.ReplayResult) {
	if !terminal.IsTerminal(c.err) {
		return nil
	}
	return func(sum api.ReplayResult) {
		if sum.Next != "" {
			fmt.Fprintf(c.err, "%d so far\n", max(sum.Replayed, sum.Matched))
		}
	}
}
