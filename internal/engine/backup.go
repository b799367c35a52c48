package engine

import (
	"context"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

// Backup copies an SQLite store to a new file, while it is served. For PostgreSQL
// it says what does so there.
func Backup(ctx context.Context, addr config.Store, to string) error {
	if addr.Engine() == "postgres" {
		return seawall.Errorf(seawall.ErrInvalid, "a PostgreSQL store is backed up by PostgreSQL's own means").
			WithHint("of one moment, while gateways run: pg_dump --format=custom --file=%s '%s'\n"+
				"of any moment: pg_basebackup and an archive of the log, see docs/postgres.md\n"+
				"as a store of one file, while no gateway runs: seawall migrate store --to sqlite:%s", to, addr, to)
	}
	return sqlite.Backup(ctx, addr.Path(), to)
}
