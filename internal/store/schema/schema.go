// Package schema keeps the tables of a store as a program needs them: numbered
// migrations, forward only. Schema N serves the program that was made for it and
// the one before, so that nodes can be replaced one by one.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"github.com/seawall-dev/seawall/seawall"
)

// State is where a store's schema stands beside what a program knows.
type State struct {
	Version int64    // the store's; 0: it has none yet
	Newest  int64    // what the program was made for
	Floor   int64    // the store serves programs made for this or a later one
	Pending []string // migrations that the program has and the store has not
}

// Serves returns nil if the program may serve the store once what is pending is
// applied: one that is newer by one, too, unless the store says that it has
// changed too much for that.
func (s State) Serves() error {
	switch {
	case s.Version <= s.Newest:
		return nil
	case s.Version > s.Newest+1:
		return tooNew(s.Version, s.Newest, fmt.Sprintf("serves up to %d", s.Newest+1))
	case s.Floor > s.Newest:
		return tooNew(s.Version, s.Newest, fmt.Sprintf("is too old for it: it needs a seawall made for %d", s.Floor))
	}
	return nil
}

func tooNew(version, newest int64, why string) error {
	return seawall.Errorf(seawall.ErrConflict, "the store's schema is version %d; this seawall was made for version %d and %s", version, newest, why).
		WithHint("run the seawall that brought it there, or a later one; schemas do not go back: to return to an earlier release restore a backup from before")
}

// Migrations are those of one engine. A migration that programs made for an
// earlier schema cannot live with raises the floor, in the table memo.
type Migrations struct {
	Dialect goose.Dialect
	Files   fs.FS
	Options []goose.ProviderOption
}

// State reads where the store stands. It writes nothing.
func (m Migrations) State(ctx context.Context, db *sql.DB) (State, error) {
	p, err := m.provider(db)
	if err != nil {
		return State{}, err
	}
	s := State{Floor: 1}
	if ok, err := m.has(ctx, db, "goose_db_version"); err != nil || !ok {
		s.pending(p)
		return s, err
	}
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&s.Version); err != nil {
		return s, err
	}
	s.pending(p)
	if ok, err := m.has(ctx, db, "memo"); err != nil || !ok {
		return s, err
	}
	err = db.QueryRowContext(ctx, "SELECT value FROM memo WHERE key = 'floor'").Scan(&s.Floor)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, err
}

func (s *State) pending(p *goose.Provider) {
	for _, f := range p.ListSources() {
		s.Newest = max(s.Newest, f.Version)
		if f.Version > s.Version {
			s.Pending = append(s.Pending, filepath.Base(f.Path))
		}
	}
}

func (m Migrations) has(ctx context.Context, db *sql.DB, table string) (bool, error) {
	query := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '" + table + "'"
	if m.Dialect == goose.DialectPostgres {
		query = "SELECT count(to_regclass('" + table + "'))"
	}
	n := 0
	err := db.QueryRowContext(ctx, query).Scan(&n)
	return n > 0, err
}

// Up applies what is missing, and returns the names of what it applied. It fails
// with seawall.ErrConflict if the store is too new for the program. Several may
// try at once: one does it, and the others find it done.
func (m Migrations) Up(ctx context.Context, db *sql.DB) (applied []string, err error) {
	s, err := m.State(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := s.Serves(); err != nil || len(s.Pending) == 0 {
		return nil, err
	}
	p, err := m.provider(db)
	if err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	for _, r := range results {
		applied = append(applied, filepath.Base(r.Source.Path))
	}
	if err == nil {
		return applied, nil
	}
	if s, e := m.State(ctx, db); e == nil && len(s.Pending) == 0 {
		return applied, nil // another was faster
	}
	return applied, fmt.Errorf("migrate: %w", err)
}

func (m Migrations) provider(db *sql.DB) (*goose.Provider, error) {
	return goose.NewProvider(m.Dialect, db, m.Files, m.Options...)
}
