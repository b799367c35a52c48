package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Facts are what a person should know of a server that keeps a store. What the
// role may not see is left out.
type Facts struct {
	Version  int               // as server_version_num
	Settings map[string]string // those that matter here
	Standby  bool
	Ahead    time.Duration // the server's clock against ours, give or take half of RoundTrip
	RoundTrip,
	Oldest time.Duration // since the oldest transaction of this database began
	OldestBy    string // who that is
	Prepared    int64  // transactions prepared and left
	Slots       int64  // bytes of the log that replication slots hold back
	Connections int64
	Nodes       []string // those that live
	Lanes       int64    // with a queue
	Unheld      int64    // of those, the ones with something due that nobody holds
	Size        int64    // bytes of the database
	Missing     []string // rights that the role lacks, where there are tables
}

// settingNames are the settings that are looked at.
var settingNames = []string{"fsync", "synchronous_commit", "full_page_writes", "autovacuum", "max_connections",
	"superuser_reserved_connections", "max_prepared_transactions", "synchronous_standby_names"}

// rights are what a serving role needs, by the function that tells.
var rights = []string{
	"has_table_privilege('event', 'SELECT, INSERT, UPDATE, DELETE')",
	"has_table_privilege('delivery', 'SELECT, INSERT, UPDATE, DELETE')",
	"has_table_privilege('goose_db_version', 'SELECT')",
	"has_sequence_privilege('event_seq', 'USAGE')",
	"coalesce(has_table_privilege(to_regclass('answer'), 'SELECT, INSERT, UPDATE, DELETE'), true)",
	"coalesce(has_table_privilege(to_regclass('system'), 'SELECT, INSERT, UPDATE, DELETE'), true)",
	"coalesce(has_function_privilege(to_regprocedure('seawall_take(text, bigint, bigint, bigint, timestamptz)'), 'EXECUTE'), true)",
	"has_function_privilege('seawall_add_day(integer)', 'EXECUTE')",
}

// Inspect looks at a server and its database. It changes nothing.
func Inspect(ctx context.Context, url string) (f Facts, err error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return f, badURL(err)
	}
	c.RuntimeParams["application_name"] = "seawall doctor"
	if c.ConnectTimeout == 0 || c.ConnectTimeout > 10*time.Second {
		c.ConnectTimeout = 10 * time.Second
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return f, fmt.Errorf("connect to %s: %w", describe(c), judge(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, look := range []func(context.Context, *pgx.Conn) error{f.server, f.clock, f.activity, f.database} {
		if err := look(ctx, conn); err != nil {
			return f, fmt.Errorf("inspect %s: %w", describe(c), judge(err))
		}
	}
	return f, nil
}

func (f *Facts) server(ctx context.Context, c *pgx.Conn) error {
	f.Settings = map[string]string{}
	rows, err := c.Query(ctx, "SELECT name, coalesce(current_setting(name, true), '') FROM unnest($1::text[]) name", settingNames)
	if err != nil {
		return err
	}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { f.Settings[name] = value; return nil }); err != nil {
		return err
	}
	return c.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, pg_is_in_recovery()").Scan(&f.Version, &f.Standby)
}

// clock compares the clocks; of a few tries the quickest says most.
func (f *Facts) clock(ctx context.Context, c *pgx.Conn) error {
	for i := range 3 {
		var theirs time.Time
		sent := time.Now()
		if err := c.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs); err != nil {
			return err
		}
		if took := time.Since(sent); i == 0 || took < f.RoundTrip {
			f.RoundTrip, f.Ahead = took, theirs.Sub(sent.Add(took/2))
		}
	}
	return nil
}

func (f *Facts) activity(ctx context.Context, c *pgx.Conn) error {
	var oldest float64
	err := c.QueryRow(ctx, `SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8,
		coalesce((array_agg(format('process %s, %s, %s', pid, coalesce(nullif(application_name, ''), 'no name'), state) ORDER BY xact_start))[1], '')
		FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'`).
		Scan(&oldest, &f.OldestBy)
	if err != nil {
		return err
	}
	f.Oldest = time.Duration(oldest * float64(time.Second))
	if err := c.QueryRow(ctx, "SELECT count(*) FROM pg_prepared_xacts").Scan(&f.Prepared); err != nil {
		return err
	}
	if err := c.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").Scan(&f.Connections); err != nil {
		return err
	}
	if f.Standby {
		return nil
	}
	return c.QueryRow(ctx, "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::bigint FROM pg_replication_slots").Scan(&f.Slots)
}

// database looks at our own tables, if they are there.
func (f *Facts) database(ctx context.Context, c *pgx.Conn) error {
	var there bool
	err := c.QueryRow(ctx, "SELECT to_regclass('event') IS NOT NULL AND to_regclass('node') IS NOT NULL, pg_database_size(current_database())").Scan(&there, &f.Size)
	if err != nil || !there {
		return err
	}
	for _, r := range rights {
		var has bool
		if err := c.QueryRow(ctx, "SELECT "+r).Scan(&has); err != nil {
			return err
		}
		if !has {
			f.Missing = append(f.Missing, r)
		}
	}
	if len(f.Missing) > 0 {
		return nil
	}
	rows, err := c.Query(ctx, "SELECT name FROM node WHERE until > clock_timestamp() ORDER BY name")
	if err != nil {
		return err
	}
	if f.Nodes, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	return c.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE (l.node = '' OR l.until < clock_timestamp())
		AND EXISTS (SELECT FROM queue q JOIN delivery d ON d.queue = q.id AND d.state = 0 WHERE q.lane = l.id AND d.due < clock_timestamp()))
		FROM lane l WHERE EXISTS (SELECT FROM queue q WHERE q.lane = l.id)`).Scan(&f.Lanes, &f.Unheld)
}
