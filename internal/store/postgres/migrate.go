package postgres

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/seawall-dev/seawall/internal/store/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema tells where the schema of a database stands. It changes nothing.
func Schema(ctx context.Context, url string) (s schema.State, err error) {
	err = withSchema(url, func(m schema.Migrations, db *sql.DB) error {
		s, err = m.State(ctx, db)
		return err
	})
	return s, err
}

// Migrate brings the schema of a database up to this version, and returns the
// names of the migrations it applied. The role must own the tables.
func Migrate(ctx context.Context, url string) (applied []string, err error) {
	err = withSchema(url, func(m schema.Migrations, db *sql.DB) error {
		applied, err = m.Up(ctx, db)
		return err
	})
	return applied, err
}

func withSchema(url string, f func(schema.Migrations, *sql.DB) error) error {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return badURL(err)
	}
	if err := inSchema(c, f); err != nil {
		return fmt.Errorf("store %s: %w", describe(c), err)
	}
	return nil
}

// migrate brings the layout up to this version, forward only. Of several nodes
// that try at once one does it, under a lock of the database, and the others
// find it done. What is there already needs no lock and no right to write.
func migrate(ctx context.Context, c *pgx.ConnConfig) error {
	return inSchema(c, func(m schema.Migrations, db *sql.DB) error {
		_, err := m.Up(ctx, db)
		return err
	})
}

func inSchema(c *pgx.ConnConfig, f func(schema.Migrations, *sql.DB) error) error {
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
	return judge(f(schema.Migrations{Dialect: goose.DialectPostgres, Files: files,
		Options: []goose.ProviderOption{goose.WithSessionLocker(locker)}}, db))
}
