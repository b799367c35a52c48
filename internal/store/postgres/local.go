package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seawall-dev/seawall/seawall"
)

// A commit that waits for a standby can be told to wait no longer: by an
// administrator (pg_cancel_backend), or by a statement_timeout that the role has.
// PostgreSQL then reports success with a warning, since the commit stands on this
// server; but it may be lost with it. That is no acknowledgement (PostgreSQL,
// SyncRepWaitForLSN).

// errLocalOnly is such a commit: what it wrote may be there, or gone later.
var errLocalOnly = seawall.Errorf(seawall.ErrUnavailable, "store: the standby did not confirm the commit, and the wait for it was ended").
	WithHint("is the synchronous standby up? see pg_stat_replication and synchronous_standby_names")

const localOnlyKey = "seawall.local_only"

// noteLocalOnly remembers the warning with the connection it came over.
func noteLocalOnly(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Code == "01000" && strings.Contains(n.Routine, "SyncRep") {
		c.CustomData()[localOnlyKey] = true
	}
}

// confirmed tells whether what was just committed over a connection is all that
// it was said to be.
func confirmed(c *pgconn.PgConn) error {
	if c.CustomData()[localOnlyKey] == nil {
		return nil
	}
	delete(c.CustomData(), localOnlyKey)
	return errLocalOnly
}
