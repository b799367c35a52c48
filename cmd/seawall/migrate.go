package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/schema"
	"github.com/seawall-dev/seawall/internal/store/transfer"
	"github.com/seawall-dev/seawall/internal/terminal"
)

func (c *cli) migrateCommand() *cobra.Command {
	cmd := group("migrate", "Bring a store's schema up to date, or move a store to another engine",
		c.migrateStatus(), c.migrateUp(), c.migrateStore())
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

func (c *cli) migrateStore() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "store", Short: "Move everything that a store holds into another, of either engine", Args: cobra.NoArgs,
		Long: `Move everything that a store holds into another, of either engine: events with
their bodies, dedupe keys, deliveries in all states with their attempts, arrivals,
actions, revisions, gates, tokens and counters. The gateway then goes on from the
other store as it would have from this one.

Stop every gateway first. The target must be empty: a file that does not exist, or
a database that holds nothing of Seawall's yet. The source is only read. When it
is killed, run it again: it goes on where it was. At the end both stores are read
and compared, part by part.

A password is written as a reference, as in the configuration: in single quotes,
'postgres://seawall:${DB_PASSWORD}@db/seawall', or as file:PATH of a file that
holds the whole URL.`,
		Example: "  seawall migrate store --from sqlite:seawall.db --to postgres://seawall@db.internal/seawall\n" +
			"  seawall migrate store --from file:secrets/database-url --to sqlite:copy.db",
	}
	cmd.Flags().StringVar(&from, "from", "", "the `store` to move (default: the one in the configuration)")
	cmd.Flags().StringVar(&to, "to", "", "the `store` to move it into")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		source, target, err := c.ends(from, to)
		if err != nil {
			return err
		}
		r, err := engine.Move(ctx, source, target, transfer.Options{Progress: c.moving()})
		if err != nil {
			return err
		}
		return c.showMove(source, target, r)
	})
	return cmd
}

// ends are where to move from and to.
func (c *cli) ends(from, to string) (source, target config.Store, err error) {
	if to == "" {
		return "", "", usageHint(usagef("--to is needed"), "for example --to postgres://seawall@db.internal/seawall")
	}
	opt := config.Options{}
	if from == "" {
		n, err := c.node()
		if err != nil {
			return "", "", err
		}
		source = n.Store
	} else if source, err = config.ParseStore(from, "--from", opt); err != nil {
		return "", "", err
	}
	target, err = config.ParseStore(to, "--to", opt)
	return source, target, err
}

// moving tells a person at a terminal how far a move has come.
func (c *cli) moving() func(store.Part, int64) {
	if !terminal.IsTerminal(c.err) {
		return nil
	}
	said := c.now()
	return func(p store.Part, rows int64) {
		if now := c.now(); now.Sub(said) >= time.Second {
			said = now
			fmt.Fprintf(c.err, "%s: %d moved\n", p, rows)
		}
	}
}

func (c *cli) showMove(source, target config.Store, r transfer.Report) error {
	if c.json {
		return writeJSON(c.out, struct {
			From string `json:"from"`
			To   string `json:"to"`
			transfer.Report
		}{source.String(), target.String(), r})
	}
	c.printf("from      %s\nto        %s\n", source, target)
	for _, p := range r.Parts {
		what := terminal.Count(int(p.Rows), "row")
		if p.Name == store.PartEvents {
			what = fmt.Sprintf("%s, %d deliveries, %d attempts", what, p.Deliveries, p.Attempts)
		}
		c.printf("%-9s %s, the same in both (%.12s)\n", p.Name, what, p.Digest)
	}
	switch {
	case r.Already:
		c.printf("it was moved before, and is unchanged since: nothing to do\n")
	case r.Resumed:
		c.printf("went on where it was, and is done: let the configuration name the new store\n")
	default:
		c.printf("done: let the configuration name the new store\n")
	}
	return nil
}
