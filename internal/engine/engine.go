// Package engine opens the store that an address names, and does for it what is
// not in the contract of every store: bring its layout up to date, copy it,
// examine it. It is the one place that knows both engines.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

// Store is an open store of either engine.
type Store interface {
	store.Store
	store.Transfer

	// Failed is closed when what the store acknowledged from now on could not be
	// trusted: the process should end, and open it again.
	Failed() <-chan struct{}

	// Commits counts transactions, and the writes that they carried.
	Commits() (commits, ops int64)

	// Ahead is how far the clock that all nodes go by is ahead of this one's; 0
	// while they agree to about two seconds.
	Ahead() time.Duration
}

// Options say how a store is opened. The zero value is fine.
type Options struct {
	Serve bool             // to serve from it, not to look into it beside the gateway
	Now   func() time.Time // this node's clock; default time.Now
	Cache int64            // bytes of pages that SQLite may keep in memory; 0: as it likes
	Log   *slog.Logger     // default: nothing is logged
}

// Open opens a store, creating it where there is none, and brings its schema up
// to this version. One that is half of a copy is refused.
func Open(ctx context.Context, addr config.Store, o Options) (Store, error) {
	s, err := open(ctx, addr, o)
	if err != nil {
		return nil, err
	}
	if err := whole(ctx, s); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", addr, err), s.Close())
	}
	return s, nil
}

// whole refuses a store into which another is still being moved.
func whole(ctx context.Context, s Store) error {
	i, err := s.Identity(ctx)
	if err != nil {
		return err
	}
	if i.Origin != 0 && !i.Done {
		return seawall.Errorf(seawall.ErrConflict, "another store is being moved into it, and that is not finished").
			WithHint("run seawall migrate store again: it goes on where it was")
	}
	return nil
}

func open(ctx context.Context, addr config.Store, o Options) (Store, error) {
	if addr.Engine() == "postgres" {
		s, err := postgres.Open(ctx, string(addr), postgres.Options{Own: o.Now, Log: o.Log, Application: application(o)})
		if err != nil {
			return nil, err
		}
		return onPostgres{s}, nil
	}
	s, err := sqlite.Open(ctx, addr.Path(), sqlite.Options{Exclusive: o.Serve, Cache: o.Cache, Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, err
	}
	return onSQLite{s}, nil
}

// Exists tells, with a hint, that there is no store yet; of a database only
// connecting can tell.
func Exists(addr config.Store) error {
	if addr.Engine() == "postgres" {
		return nil
	}
	_, err := os.Stat(addr.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return &seawall.Error{Kind: seawall.ErrNotFound, Msg: "open the store: there is no " + addr.Path(), Err: err}
	}
	return err
}

func application(o Options) string {
	if o.Serve {
		return "seawall"
	}
	return "seawall command"
}

type onSQLite struct{ *sqlite.Store }

func (s onSQLite) Commits() (commits, ops int64) { st := s.Stats(); return st.Commits, st.Ops }
func (s onSQLite) Ahead() time.Duration          { return 0 }

type onPostgres struct{ *postgres.Store }

func (s onPostgres) Commits() (commits, ops int64) { st := s.Stats(); return st.Commits, st.Ops }
