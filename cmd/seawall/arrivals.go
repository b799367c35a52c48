package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
)

func (c *cli) arrivalsCommand() *cobra.Command {
	return group("arrivals", "List and show requests that became no new event: duplicates, conflicts, rejections",
		c.arrivalsList(), c.arrivalsShow(), c.arrivalsCapture())
}

func (c *cli) arrivalsList() *cobra.Command {
	var q api.ArrivalQuery
	var s span
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List arrivals that became no new event, newest first", Args: cobra.NoArgs,
		Example: "  seawall arrivals list --source stripe --verdict rejected",
	}
	cmd.Flags().StringVar(&q.Source, "source", "", "at this `source`")
	cmd.Flags().StringVar(&q.Verdict, "verdict", "", "with this `verdict`: duplicate, conflict, rejected, handshake")
	cmd.Flags().StringVar(&q.Event, "event", "", "that repeat this event (`id`)")
	s.flags(cmd, "arrived")
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		q.Since, q.Until = s.since, s.until
		return show(c, c.arrivalListing(), &p, func(page api.Paging) (*api.Page[api.Arrival], error) {
			q.Paging = page
			return g.Arrivals(ctx, q)
		})
	})
	return cmd
}

func (c *cli) arrivalListing() listing[api.Arrival] {
	return listing[api.Arrival]{
		none:  "no arrivals but those that became events",
		heads: []string{"arrival", "at", "source", "verdict", "answered", "from", "why"},
		row: func(t *terminal.Table, a api.Arrival) {
			why := a.Event
			switch {
			case a.Reason != "":
				why = a.Reason + ": " + a.Detail
			case a.Verdict == "conflict":
				why = "same id, other body than " + a.Event
			case a.Verdict == "duplicate":
				why = "repeats " + a.Event
			}
			t.Row(strconv.FormatInt(a.ID, 10), c.moment(a.At), a.Source, t.State(a.Verdict), a.Status, a.Remote, terminal.Clip(why, 120))
		},
	}
}

func (c *cli) arrivalsShow() *cobra.Command {
	var o story.Options
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show an arrival with all that is kept of it", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&o.Bodies, "bodies", false, "with the whole body, as far as it is kept")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		id, err := arrivalID(args[0])
		if err != nil {
			return err
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		a, err := g.Arrival(ctx, id)
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, a)
		}
		o.Now, o.Style, o.Program, o.Flags, o.Headers = c.now(), c.style(), c.program, c.flags(), true
		return story.WriteArrival(c.out, a, o)
	})
	return cmd
}

func (c *cli) arrivalsCapture() *cobra.Command {
	return &cobra.Command{
		Use: "capture ID", Short: "Write an arrival in the form that \"seawall verify\" reads", Args: cobra.ExactArgs(1),
		Example: "  seawall arrivals capture 17 > capture.json\n  seawall verify --source stripe capture.json",
		RunE: c.does(func(ctx context.Context, args []string) error {
			id, err := arrivalID(args[0])
			if err != nil {
				return err
			}
			g, err := c.gateway()
			if err != nil {
				return err
			}
			capture, err := g.Capture(ctx, id)
			if err != nil {
				return err
			}
			return writeJSON(c.out, capture)
		}),
	}
}

func arrivalID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is not the number of an arrival", s)
	}
	return id, nil
}
