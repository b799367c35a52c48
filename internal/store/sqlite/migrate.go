package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/seawall-dev/seawall/internal/store/schema"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are those that this version knows.
var migrations = func() fs.FS {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err)
	}
	return files
}()

// Schema tells where the schema of the file at path stands. It changes nothing.
func Schema(ctx context.Context, path string) (s schema.State, err error) {
	if err := exists(path); err != nil {
		return s, err
	}
	err = withSchema(path, migrations, func(m schema.Migrations, db *sql.DB) error {
		s, err = m.State(ctx, db)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("schema of store %s: %w", path, err)
	}
	return s, nil
}

// Migrate brings the schema of the file at path up to this version, creating the
// file where there is none, and returns the names of the migrations it applied.
func Migrate(ctx context.Context, path string) (applied []string, err error) {
	create(path)
	c, err := openConn(path, false) // what must be set before there is a table
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	defer c.close()
	if applied, err = migrate(ctx, path, migrations); err != nil {
		return applied, fmt.Errorf("store %s: %w", path, err)
	}
	return applied, nil
}

// migrate applies what is missing. Where another process is at the same, the one
// that comes second finds a table there that it was about to make; nothing of its
// step is kept then, and it looks again. A step that fails for what it is fails
// each time.
func migrate(ctx context.Context, path string, files fs.FS) (applied []string, err error) {
	err = withSchema(path, files, func(m schema.Migrations, db *sql.DB) error {
		for try := 1; ; try++ {
			did, err := m.Up(ctx, db)
			applied = append(applied, did...)
			if err == nil || try == migrateTries || ctx.Err() != nil {
				return err
			}
		}
	})
	return applied, err
}

const migrateTries = 8

func withSchema(path string, files fs.FS, f func(schema.Migrations, *sql.DB) error) error {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	return f(schema.Migrations{Dialect: goose.DialectSQLite3, Files: files}, db)
}
