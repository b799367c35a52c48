package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// statement is one that takes columns of rows.
type statement struct {
	name, sql string
	types     []uint32 // of each column's elements
}

// session is a connection that one writer has to itself, with what is prepared
// on it. It is connected when it is first used, and again after it broke.
type session struct {
	s        *Store
	conn     *pgxpool.Conn
	lent     *pgx.Conn // in its place: one that is another's, within a transaction
	prepared map[string]bool
	used     time.Time // when the server last answered
	columns  columns
	keyed    []*acceptance // those of a batch that have a key
	busy     bool          // in lines of the batch before others had the turn, or waited
}

// idle is how long a connection may have been unused before it is tried: one
// that a restart or a firewall closed would take a statement and not say
// whether it was carried out.
const idle = 100 * time.Millisecond

// connect makes sure of the connection.
func (s *session) connect(ctx context.Context) error {
	if s.conn != nil {
		pg := s.conn.Conn().PgConn()
		if !pg.IsClosed() && (time.Since(s.used) < idle || pg.Ping(ctx) == nil) {
			return nil
		}
		s.close()
	}
	conn, err := s.s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	s.conn, s.prepared, s.used = conn, map[string]bool{}, time.Now()
	return nil
}

// close gives the connection back; the pool closes it if it is broken.
func (s *session) close() {
	if s.conn != nil {
		s.conn.Release()
		s.conn = nil
	}
}

// types are what values are read by.
func (s *session) types() *pgtype.Map {
	if s.lent != nil {
		return s.lent.TypeMap()
	}
	return s.conn.Conn().TypeMap()
}

// end gives back a connection that was only for one transaction: others may
// prepare the same on it.
func (s *session) end(ctx context.Context) {
	if s.conn == nil {
		return
	}
	pg := s.conn.Conn().PgConn()
	for name := range s.prepared {
		if err := pg.Deallocate(ctx, name); err != nil {
			pg.Close(ctx) // the pool makes another
			break
		}
	}
	s.close()
}

// run runs a statement with the columns that were filled for it and returns its
// one row. What failed before anything was sent is tried once more, on another
// connection.
func (s *session) run(ctx context.Context, st *statement) (row [][]byte, err error) {
	for again := range 2 {
		if err = s.connect(ctx); err == nil {
			if row, err = s.exec(ctx, st); err == nil {
				return row, nil
			}
		}
		if again > 0 || ctx.Err() != nil || !pgconn.SafeToRetry(err) {
			break
		}
	}
	return nil, err
}

// exec runs a statement on the connection as it is, perhaps within a
// transaction.
func (s *session) exec(ctx context.Context, st *statement) (row [][]byte, err error) {
	if err := s.prepare(ctx, st); err != nil {
		return nil, err
	}
	pg := s.wire()
	values, formats := s.columns.finish(st.types)
	var r *pgconn.Result
	if s.lent != nil {
		r = pg.ExecParams(ctx, st.sql, values, st.oids(), formats, binaryFormat).Read()
	} else {
		r = pg.ExecPrepared(ctx, st.name, values, formats, binaryFormat).Read()
	}
	if r.Err != nil {
		return nil, r.Err
	}
	s.used = time.Now()
	if len(r.Rows) != 1 {
		return nil, errRows
	}
	return r.Rows[0], confirmed(pg)
}

var (
	binaryFormat = []int16{1}
	errRows      = errors.New("the server's answer is not the one row that was asked for")
)

// transaction runs f in a transaction on this connection. f may run more than once:
// it sets its results and never adds to them.
func (s *session) transaction(ctx context.Context, f func(querier) error) (err error) {
	for again := range tries {
		if err = s.connect(ctx); err == nil {
			err = pgx.BeginFunc(ctx, s.conn.Conn(), func(tx pgx.Tx) error { return f(tx) })
			if err == nil {
				err = confirmed(s.conn.Conn().PgConn())
			}
			s.used = time.Now()
		}
		if err == nil || ctx.Err() != nil || !passing(err) && (again > 0 || !pgconn.SafeToRetry(err)) {
			break
		}
	}
	return err
}
