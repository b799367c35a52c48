package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seawall-dev/seawall/seawall"
)

// judge turns an error of the driver into what callers are told. Trouble with
// the connection or the server passes: it is seawall.ErrUnavailable, and whether
// a write took effect is then not known.
func judge(err error) error {
	var of *seawall.Error
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, errReadOnly):
		return errReadOnly // whatever each of the hosts said
	case err == nil, errors.As(err, &of), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &pg):
		return judgeServer(pg)
	default:
		hint := "is PostgreSQL running, and does the URL of the store name its host and port?"
		if strings.Contains(err.Error(), "server refused TLS connection") {
			hint = "the server speaks no TLS: turn ssl on there, or say sslmode=disable in the URL where the network is trusted"
		}
		return seawall.Errorf(seawall.ErrUnavailable, "store: %w", &plain{err}).WithHint("%s", hint)
	}
}

// plain is an error of the driver in one line: it lists each address that it
// tried, with and without TLS, in a line of its own, and often the same twice.
type plain struct{ error }

func (e *plain) Unwrap() error { return e.error }

func (e *plain) Error() string {
	var said []string
	for line := range strings.SplitSeq(e.error.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return ""
	}
	if first, ok := strings.CutSuffix(said[0], ":"); ok && len(said) > 1 {
		return first + ": " + strings.Join(said[1:], "; ")
	}
	return strings.Join(said, "; ")
}

// judgeServer judges by SQLSTATE (PostgreSQL, appendix A).
func judgeServer(e *pgconn.PgError) error {
	say := func(kind error, hint string) error {
		err := seawall.Errorf(kind, "store: %w", e)
		if hint != "" {
			err = err.WithHint("%s", hint)
		}
		return err
	}
	switch {
	case e.Code == "28P01", e.Code == "28000":
		return say(seawall.ErrInvalid, "check user and password in the URL of the store, and pg_hba.conf")
	case e.Code == "3D000":
		return say(seawall.ErrInvalid, "create it first: createdb --owner=USER NAME")
	case e.Code == "42501":
		return say(seawall.ErrInvalid, "the role may not do this: see docs/postgres.md for the rights that it needs, and run seawall migrate up as the owner of the tables")
	case e.Code == "53100":
		return say(seawall.ErrUnavailable, "free space where PostgreSQL keeps its data, or shorten the retention")
	case e.Code == "53300":
		return say(seawall.ErrUnavailable, "raise max_connections, or run fewer nodes: each needs up to 11")
	// Connection, resources, intervention, system, rollback, read-only: all pass.
	case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "57"),
		strings.HasPrefix(e.Code, "58"), strings.HasPrefix(e.Code, "40"), strings.HasPrefix(e.Code, "XX"),
		e.Code == readOnlyTransaction, e.Code == "55P03":
		return say(seawall.ErrUnavailable, "")
	default:
		return fmt.Errorf("store: %w", e)
	}
}

func badURL(err error) error {
	// The driver's message quotes the URL, the password struck out.
	return seawall.Errorf(seawall.ErrInvalid, "store: %w", err).
		WithHint("for example postgres://seawall@db.internal:5432/seawall?sslmode=verify-full")
}
