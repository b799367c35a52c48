package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// providerRow is a provider as machines read it.
type providerRow struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Doc   string   `json:"doc"`
	ID    string   `json:"id"`
	Needs string   `json:"needs"`
	Keys  []string `json:"keys"`
}

func (c *cli) providersCommand() *cobra.Command {
	return &cobra.Command{
		Use: "providers [NAME]", Short: "List the providers that sources can have, or describe one",
		Args: cobra.MaximumNArgs(1),
		RunE: c.does(func(_ context.Context, args []string) error {
			var rows []providerRow
			for _, p := range provider.Names() {
				if len(args) == 0 || p.Name == args[0] {
					rows = append(rows, providerRow(p))
				}
			}
			if len(rows) == 0 {
				return seawall.Errorf(seawall.ErrNotFound, "no provider is named %q", args[0]).
					WithHint("seawall providers lists them; any HMAC scheme can be described with hmac")
			}
			if len(args) == 1 && !c.json {
				c.describeProvider(rows[0])
				return nil
			}
			l := listing[providerRow]{
				heads: []string{"provider", "for", "signed by", "needs"},
				row:   func(t *terminal.Table, p providerRow) { t.Row(p.Name, p.Title, p.Doc, p.Needs) },
			}
			return l.write(c, rows)
		}),
	}
}

func (c *cli) describeProvider(p providerRow) {
	c.printf("%s  %s\n", c.style().Bold(p.Name), p.Title)
	for _, f := range [][2]string{
		{"signed by", p.Doc}, {"event id", p.ID}, {"needs", p.Needs}, {"takes", strings.Join(p.Keys, ", ")},
	} {
		if f[1] != "" {
			c.printf("  %s %s\n", c.style().Dim(pad(f[0], 10)), f[1])
		}
	}
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-len(s))) }
