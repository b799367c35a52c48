package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) deliveriesCommand() *cobra.Command {
	return group("deliveries", "List, show, cancel and skip deliveries",
		c.deliveriesList(), c.deliveriesShow(), c.deliveriesCancel(), c.deliveriesSkip(), c.deliveriesReplay(), notYet("deliveries tail"))
}

// deliveryFilter is what selects deliveries.
type deliveryFilter struct {
	api.Filter
	span span
}

func (f *deliveryFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.State, "state", "", "in this `state`: pending, held, sending, delivered, dead, superseded, canceled")
	cmd.Flags().StringVar(&f.Source, "source", "", "of events of this `source`")
	cmd.Flags().StringVar(&f.Type, "type", "", "of events of this `type`; * and ? stand for anything")
	cmd.Flags().StringVar(&f.Destination, "destination", "", "to this `destination`")
	cmd.Flags().StringVar(&f.Route, "route", "", "over this `route`")
	cmd.Flags().StringVar(&f.Entity, "entity", "", "of events of this `entity`")
	f.span.flags(cmd, "of events received")
}

// filter is what the flags select.
func (f *deliveryFilter) filter() api.Filter {
	f.Since, f.Until = f.span.since, f.span.until
	return f.Filter
}

// chosen is what an order about many deliveries is given: ids, or a filter.
func (f *deliveryFilter) chosen(args []string, all bool) (ids []string, filter *api.Filter, err error) {
	sel := f.filter()
	switch {
	case len(args) > 0 && (sel != api.Filter{} || all):
		return nil, nil, usagef("give either ids or a filter")
	case len(args) > 0:
		for _, a := range args {
			if _, err := seawall.ParseDeliveryID(a); err != nil {
				return nil, nil, err
			}
		}
		return args, nil, nil
	case sel == api.Filter{} && !all:
		return nil, nil, usageHint(usagef("which deliveries?"),
			"give their ids, or a filter such as --state dead --destination NAME, or --all")
	}
	return nil, &sel, nil
}

func (c *cli) deliveriesList() *cobra.Command {
	var f deliveryFilter
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List deliveries, newest event first", Args: cobra.NoArgs,
		Example: "  seawall deliveries list --state dead --destination orders",
	}
	f.flags(cmd)
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		sel := f.filter()
		q := api.DeliveryQuery{
			State: sel.State, Source: sel.Source, Type: sel.Type, Destination: sel.Destination,
			Route: sel.Route, Entity: sel.Entity, Since: sel.Since, Until: sel.Until,
		}
		return show(c, c.deliveryListing(), &p, func(page api.Paging) (*api.Page[api.Delivery], error) {
			q.Paging = page
			return g.Deliveries(ctx, q)
		})
	})
	return cmd
}

func (c *cli) deliveryListing() listing[api.Delivery] {
	return listing[api.Delivery]{
		none:  "no deliveries",
		heads: []string{"delivery", "created", "source", "type", "destination", "state", "tries", "why"},
		row: func(t *terminal.Table, d api.Delivery) {
			why := d.Reason
			if d.State == "pending" && !d.Due.IsZero() {
				why = strings.TrimSuffix(fmt.Sprintf("due %s; %s", terminal.Ago(d.Due, c.now()), why), "; ")
			}
			t.Row(d.ID, c.moment(d.Created), d.Source, terminal.Clip(d.Type, 32), d.Destination, t.State(d.State), d.Attempts, terminal.Clip(why, 80))
		},
	}
}

func (c *cli) deliveriesShow() *cobra.Command {
	var o story.Options
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a delivery with its attempts", Args: cobra.ExactArgs(1),
		Long: `Show a delivery with each attempt, its request and its response.
"seawall events show" with the same id tells the whole story of its event.`,
	}
	cmd.Flags().BoolVar(&o.Bodies, "bodies", false, "with whole bodies, as far as they are kept")
	cmd.Flags().BoolVar(&o.Headers, "headers", false, "with all headers")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		if _, err := seawall.ParseDeliveryID(args[0]); err != nil {
			return err
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		d, err := g.Delivery(ctx, args[0])
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, d)
		}
		if o.Gates, err = gates(ctx, g); err != nil {
			return err
		}
		o.Now, o.Style, o.Program, o.Flags = c.now(), c.style(), c.program, c.flags()
		return story.WriteDelivery(c.out, d, o)
	})
	return cmd
}

func (c *cli) deliveriesCancel() *cobra.Command {
	var f deliveryFilter
	var r api.CancelRequest
	cmd := &cobra.Command{
		Use: "cancel [ID...]", Short: "End unfinished deliveries: by id, or those that a filter selects",
		Args: cobra.ArbitraryArgs,
		Example: "  seawall deliveries cancel dlv_… --reason 'the customer is gone'\n" +
			"  seawall deliveries cancel --destination old --state pending --dry-run",
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, for those who read about it later")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "count only")
	cmd.Flags().BoolVar(&r.All, "all", false, "every unfinished delivery there is")
	cmd.RunE = c.does(func(ctx context.Context, args []string) (err error) {
		if r.IDs, r.Filter, err = f.chosen(args, r.All); err != nil {
			return err
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		sum, err := g.Cancels(ctx, r, nil)
		if err != nil {
			return partly(err, sum.Canceled, "canceled")
		}
		if c.json {
			return writeJSON(c.out, sum)
		}
		if r.DryRun {
			c.printf("%s would be canceled\n", terminal.Count(sum.Matched, "unfinished delivery"))
			return nil
		}
		c.printf("%s canceled\n", terminal.Count(sum.Canceled, "delivery"))
		return missed(len(r.IDs), sum.Canceled, "had already ended, or is not known: see seawall deliveries show")
	})
	return cmd
}

func (c *cli) deliveriesSkip() *cobra.Command {
	return &cobra.Command{
		Use: "skip ID...", Short: "End unfinished or dead deliveries, for what waits behind them to go on",
		Args: cobra.MinimumNArgs(1),
		Long: `End deliveries, for what waits behind them to go on. In a sequence a dead delivery
holds its entity up at its destination until it is replayed or skipped; a skipped one
is canceled, and can be replayed later all the same.`,
		RunE: c.does(func(ctx context.Context, args []string) error {
			for _, id := range args {
				if _, err := seawall.ParseDeliveryID(id); err != nil {
					return err
				}
			}
			g, err := c.gateway()
			if err != nil {
				return err
			}
			for _, id := range args {
				d, err := g.Skip(ctx, id)
				if err != nil {
					return err
				}
				if c.json {
					err = writeJSON(c.out, d)
				} else {
					c.printf("%s skipped\n", d.ID)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// deliveriesReplay is the same as "seawall replay": one looks for it here too.
func (c *cli) deliveriesReplay() *cobra.Command {
	cmd := c.replayCommand()
	cmd.Short += " (as seawall replay)"
	return cmd
}

// partly says how far an order got that failed midway.
func partly(err error, n int, done string) error {
	if n == 0 {
		return err
	}
	return fmt.Errorf("%w (%d were %s before that; the same command goes on)", err, n, done)
}

// missed is an error if an order reached fewer than were named.
func missed(named, reached int, why string) error {
	if named <= reached {
		return nil
	}
	return seawall.Errorf(seawall.ErrConflict, "%d of %d %s", named-reached, named, why)
}
