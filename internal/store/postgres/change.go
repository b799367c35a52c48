package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Locks of the whole database, each held to the end of a transaction, by the
// second of their two numbers.
const (
	lockDays     = iota + 1 // days are given up; shared: a finished delivery goes back to the queue
	lockRevision            // a configuration revision is numbered
	lockShares              // what systems take at a time is shared out
	lockAliases             // an entity becomes another one's name; shared: links are put
)

const (
	lockExclusive = "SELECT pg_advisory_xact_lock(1936025975, $1)" // "seaw"
	lockShared    = "SELECT pg_advisory_xact_lock_shared(1936025975, $1)"
)

// tries is how often a rare transaction is begun anew when another one was in
// its way.
const tries = 5

// change runs f in a transaction of its own, for what is rare. f may run more
// than once: it sets its results and never adds to them.
func (s *Store) change(ctx context.Context, f func(pgx.Tx) error) (err error) {
	for range tries {
		err = pgx.BeginFunc(ctx, s.pool, f)
		if !passing(err) {
			break
		}
		if missingDay(err) {
			if err := s.loadDays(ctx); err != nil {
				return judge(err)
			}
		}
	}
	return judge(err)
}

// passing tells whether a transaction was given up for another's sake: a
// deadlock, a row that moved to another part, a day that is gone, a position that
// both wanted to make.
func passing(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "40P01", "40001", "55P03":
			return true
		case "23505":
			return pg.TableName == "position"
		}
	}
	return errors.Is(err, errMoved) || missingDay(err)
}

// missingDay tells whether a row was to go where another node has given the day
// up.
func missingDay(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23514" && pg.ConstraintName == ""
}
