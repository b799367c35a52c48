package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seawall-dev/seawall/seawall"
)

// After a failover the server behind a name, or behind a connection that stayed
// open, may be one that takes no writes. Nothing is to be read from it either: what
// it does not know to be settled would be sent again. So no connection to such a
// server is made, and those there are go when one of them learns of it.

var errReadOnly = seawall.Errorf(seawall.ErrUnavailable, "store: the server takes no writes: it is a standby, or set to read only").
	WithHint("let the URL name the primary, or all hosts: the one that takes writes is found")

// writable tells whether a server takes writes, as it last reported by itself
// (PostgreSQL 14, Protocol Flow, Asynchronous Operations).
func writable(c *pgconn.PgConn) error {
	if c.ParameterStatus("in_hot_standby") == "on" || c.ParameterStatus("default_transaction_read_only") == "on" {
		return errReadOnly
	}
	return nil
}

// shunReadOnly has connections made only to a server that takes writes, of the
// hosts that the URL names; and all of a pool made anew once one takes no more.
func shunReadOnly(c *pgxpool.Config, reset func()) {
	given := c.ConnConfig.ValidateConnect
	c.ConnConfig.ValidateConnect = func(ctx context.Context, pg *pgconn.PgConn) error {
		if given != nil {
			if err := given(ctx, pg); err != nil {
				return err
			}
		}
		return writable(pg)
	}
	stays := c.ConnConfig.OnPgError
	c.ConnConfig.OnPgError = func(pg *pgconn.PgConn, e *pgconn.PgError) bool {
		if e.Code == readOnlyTransaction {
			reset()
			return false
		}
		return stays(pg, e)
	}
}

// readOnlyTransaction is the SQLSTATE of a write where there may be none.
const readOnlyTransaction = "25006"
