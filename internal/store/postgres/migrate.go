package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the layout up to this version, forward only. Of several nodes
// that try at once one does it, under a lock of the database, and the others
// find it done.
func migrate(ctx context.Context, c *pgx.ConnConfig) error {
	c = c.Copy()
	for _, k := range []string{"statement_timeout", "lock_timeout", "enable_seqscan", "enable_hashjoin", "enable_mergejoin", "plan_cache_mode"} {
		delete(c.RuntimeParams, k)
	}
	db := stdlib.OpenDB(*c)
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	// What is there already needs no lock and no right to write.
	if pending, err := p.HasPending(ctx); err == nil && !pending {
		return nil
	}
	if _, err = p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", judge(err))
	}
	return nil
}
