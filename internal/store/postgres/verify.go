package postgres

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// oldest is the first release of PostgreSQL that will do, as server_version_num.
const oldest = 140000

// verify refuses a server that cannot promise durability.
func (s *Store) verify(ctx context.Context) error {
	var version int
	var fsync, commit string
	var theirs time.Time
	asked := s.own()
	err := s.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('synchronous_commit'), `+now, s.clock()).Scan(&version, &fsync, &commit, &theirs)
	switch {
	case err != nil:
		return judge(err)
	case version < oldest:
		return seawall.Errorf(seawall.ErrInvalid, "the server is PostgreSQL %d, and 14 is the oldest that will do", version/10000).
			WithHint("upgrade the server, or use store: sqlite:seawall.db")
	case fsync == "off":
		return seawall.Errorf(seawall.ErrInvalid, "the server runs with fsync = off: a power cut would lose acknowledged events").
			WithHint("set fsync = on in postgresql.conf and restart the server")
	case commit == "off":
		return seawall.Errorf(seawall.ErrInvalid, "synchronous_commit is off for this role or database: a crash would lose acknowledged events").
			WithHint("ALTER ROLE … SET synchronous_commit = on, or set it in postgresql.conf")
	}
	s.compareClock(theirs, asked, s.own())
	return nil
}
