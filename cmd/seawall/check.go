package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) checkCommand() *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use: "check", Short: "Check the configuration; with --event, show what its routes would send",
		Long: `Check the configuration: every problem with file, line, column and what to do.

With --event it runs the routes of the file on an event, and prints what each
decides and the exact request that it would send, secrets redacted. The event is
a stored one, by its id; or a file: a captured request, or a plain payload with
--source and, if routes ask for it, --type. Nothing is sent or stored.`,
		Example: `  seawall check
  seawall check --event evt_… --route orders
  seawall check --event payload.json --source stripe --type invoice.paid`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&t.event, "event", "", "run the routes on this event: an `id` or a file")
	cmd.Flags().StringVar(&t.route, "route", "", "this `route` only")
	cmd.Flags().StringVar(&t.source, "source", "", "of a file: the `source` that it would come to")
	cmd.Flags().StringVar(&t.kind, "type", "", "of a plain payload: the `type` of the event")
	cmd.Flags().BoolVar(&t.all, "all", false, "with --event: name each route that is for other types, in place of their number")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		if t.event == "" && (t.route != "" || t.source != "" || t.kind != "") {
			return usagef("--route, --source and --type go with --event")
		}
		cfg, err := c.load()
		var problems config.Errors
		if errors.As(err, &problems) && c.json {
			out := checked{File: c.configPath()}
			for _, p := range problems {
				out.Problems = append(out.Problems, problem(*p))
			}
			return errors.Join(writeJSON(c.out, out), errSilent)
		}
		if err != nil {
			return err
		}
		if t.event != "" {
			return c.try(ctx, cfg, t)
		}
		return c.valid(cfg)
	})
	return cmd
}

// checked is what checking came to, for machines.
type checked struct {
	File         string    `json:"file"`
	Valid        bool      `json:"valid"`
	Systems      int       `json:"systems"`
	Sources      int       `json:"sources"`
	Destinations int       `json:"destinations"`
	Routes       int       `json:"routes"`
	Warnings     []string  `json:"warnings,omitempty"`
	Problems     []problem `json:"problems,omitempty"`
}

// problem is one thing that is wrong, for machines.
type problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Key    string `json:"key,omitempty"`
	Msg    string `json:"message"`
	Hint   string `json:"hint,omitempty"`
}

func (c *cli) valid(cfg *config.Config) error {
	file, systems := c.configPath(), len(cfg.Declared())
	if c.json {
		return writeJSON(c.out, checked{
			File: file, Valid: true, Systems: systems, Sources: len(cfg.Sources), Destinations: len(cfg.Destinations), Routes: len(cfg.Routes),
			Warnings: cfg.Warnings,
		})
	}
	c.warn(cfg)
	said := ""
	if systems > 0 {
		said = terminal.Count(systems, "system") + ", "
	}
	c.printf("%s is valid: %s%s, %s, %s\n", file, said, terminal.Count(len(cfg.Sources), "source"),
		terminal.Count(len(cfg.Destinations), "destination"), terminal.Count(len(cfg.Routes), "route"))
	return nil
}

// warn tells of what is allowed, but hardly meant.
func (c *cli) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings {
		fmt.Fprintln(c.err, terminal.StyleOf(c.err, c.env).Warn("warning: ")+terminal.Clean(w))
	}
}

// reportProblems writes what is wrong with a configuration, each problem with
// its hint.
func (c *cli) reportProblems(es config.Errors) {
	for _, p := range es {
		c.report(p, p.Hint)
	}
	if len(es) > 1 {
		fmt.Fprintf(c.err, "%s in %s\n", terminal.Count(len(es), "problem"), es[0].File)
	}
}

// routesNamed tells whether a configuration has the route.
func routeNamed(cfg *config.Config, name string) error {
	var names []string
	for _, r := range cfg.Routes {
		if r.Name == name {
			return nil
		}
		names = append(names, r.Name)
	}
	return seawall.Errorf(seawall.ErrNotFound, "no route is named %q", name).WithHint("one of: %s", strings.Join(names, ", "))
}
