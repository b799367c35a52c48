package engine

import (
	"context"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/schema"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
)

// Schema tells where a store's schema stands. It changes nothing.
func Schema(ctx context.Context, addr config.Store) (schema.State, error) {
	if addr.Engine() == "postgres" {
		return postgres.Schema(ctx, string(addr))
	}
	return sqlite.Schema(ctx, addr.Path())
}

// Migrate brings a store's schema up to this version, and returns the names of
// the migrations that it applied. Several may do so at once.
func Migrate(ctx context.Context, addr config.Store) ([]string, error) {
	if addr.Engine() == "postgres" {
		return postgres.Migrate(ctx, string(addr))
	}
	return sqlite.Migrate(ctx, addr.Path())
}
