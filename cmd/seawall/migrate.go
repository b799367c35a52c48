package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store/schema"
)

func (c *cli) migrateCommand() *cobra.Command {
	cmd := group("migrate", "Bring a store's schema up to date, or move a store to another engine",
		c.migrateStatus(), c.migrateUp())
	cmd.Long = `Bring a store's schema up to date, or move a store to another engine.

seawall serve applies what is missing as it starts. Where its role may not change
tables, run seawall migrate up before it, as their owner: SEAWALL_STORE says which
store it is, over the configuration. A schema serves the seawall that it was made
for and the one before, so that nodes can be replaced one by one.`
	return cmd
}

// schemaRow is where a store's schema stands.
type schemaRow struct {
	Store   string   `json:"store"`
	Schema  int64    `json:"schema"`
	Newest  int64    `json:"newest"`
	Floor   int64    `json:"floor"`
	Pending []string `json:"pending"`
	Applied []string `json:"applied,omitzero"`
	Serves  bool     `json:"serves"`
	Why     string   `json:"why,omitempty"`
}

func newSchemaRow(addr config.Store, s schema.State, applied []string) schemaRow {
	row := schemaRow{Store: addr.String(), Schema: s.Version, Newest: s.Newest, Floor: s.Floor, Pending: s.Pending, Applied: applied, Serves: true}
	if row.Pending == nil {
		row.Pending = []string{}
	}
	if err := s.Serves(); err != nil {
		row.Serves, row.Why = false, err.Error()
	}
	return row
}

func (c *cli) migrateStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the schema of the store, and what this seawall needs", Args: cobra.NoArgs,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			n, err := c.node()
			if err != nil {
				return err
			}
			s, err := engine.Schema(ctx, n.Store)
			if err != nil {
				return err
			}
			return c.showSchema(newSchemaRow(n.Store, s, nil))
		}),
	}
}

func (c *cli) migrateUp() *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Apply the migrations that the store lacks", Args: cobra.NoArgs,
		Long: `Apply the migrations that the store lacks, making the store where there is none.
Several may do so at once, beside gateways that run: one does it, and the others
find it done. There is no way back but a backup.`,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			n, err := c.node()
			if err != nil {
				return err
			}
			applied, err := engine.Migrate(ctx, n.Store)
			if !c.json {
				for _, name := range applied {
					c.printf("applied   %s\n", name)
				}
			}
			if err != nil {
				return err
			}
			s, err := engine.Schema(ctx, n.Store)
			if err != nil {
				return err
			}
			return c.showSchema(newSchemaRow(n.Store, s, append([]string{}, applied...)))
		}),
	}
}

func (c *cli) showSchema(row schemaRow) error {
	if c.json {
		return writeJSON(c.out, row)
	}
	stands := fmt.Sprintf("version %d, as this seawall makes it", row.Schema)
	switch {
	case row.Schema == 0:
		stands = "none yet"
	case row.Schema < row.Newest:
		stands = fmt.Sprintf("version %d; this seawall makes it version %d", row.Schema, row.Newest)
	case row.Schema > row.Newest && row.Serves:
		stands = fmt.Sprintf("version %d; this seawall was made for version %d and serves it", row.Schema, row.Newest)
	case !row.Serves:
		stands = row.Why
	}
	c.printf("store     %s\nschema    %s\n", row.Store, stands)
	if len(row.Pending) > 0 {
		c.printf("missing   %s\n", strings.Join(row.Pending, ", "))
		c.printf("          apply: %s\n", c.style().Bold(c.command("migrate up")))
	}
	return nil
}
