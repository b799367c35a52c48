package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seawall-dev/seawall/seawall"
)

// request is a statement with its columns, one of several that go to the server at
// once: they are carried out one after the other, each by a snapshot of its own, and
// cost one round trip together.
type request struct {
	st   *statement
	fill func(*columns)       // nil: it takes none
	read func(pgx.Rows) error // nil: what it returns is not wanted
}

var (
	beginTx  = &statement{name: "seawall_begin", sql: "BEGIN"}
	commitTx = &statement{name: "seawall_commit", sql: "COMMIT"}
)

// wire is the connection that the session is on.
func (s *session) wire() *pgconn.PgConn {
	if s.lent != nil {
		return s.lent.PgConn()
	}
	return s.conn.Conn().PgConn()
}

// within is a session on the connection of a transaction, for its length. Nothing
// stays prepared on it.
func (s *Store) within(tx pgx.Tx) *session { return &session{s: s, lent: tx.Conn()} }

// prepare makes a statement known to the connection. On one that is only lent it
// is sent as it is.
func (s *session) prepare(ctx context.Context, st *statement) error {
	if s.lent != nil || s.prepared[st.name] {
		return nil
	}
	if _, err := s.wire().Prepare(ctx, st.name, st.sql, st.oids()); err != nil {
		return err
	}
	s.prepared[st.name] = true
	return nil
}

func (st *statement) oids() []uint32 {
	oids := make([]uint32, len(st.types))
	for i, t := range st.types {
		oids[i] = arrayOf[t]
	}
	return oids
}

// send carries out requests on the connection as it is, perhaps within a
// transaction. The first that fails ends it.
func (s *session) send(ctx context.Context, rs ...request) (err error) {
	if len(rs) == 0 {
		return nil
	}
	for _, r := range rs {
		if err := s.prepare(ctx, r.st); err != nil {
			return err
		}
	}
	p := s.wire().StartPipeline(ctx)
	for _, r := range rs {
		s.columns.reset(len(r.st.types))
		if r.fill != nil {
			r.fill(&s.columns)
		}
		values, formats := s.columns.finish(r.st.types)
		if s.lent != nil {
			p.SendQueryParams(r.st.sql, values, r.st.oids(), formats, binaryFormat)
		} else {
			p.SendQueryPrepared(r.st.name, values, formats, binaryFormat)
		}
	}
	err = p.Sync()
	for i := 0; i < len(rs) && err == nil; i++ {
		err = s.answer(p, rs[i])
	}
	if e := p.Close(); err == nil {
		err = e
	}
	if err == nil {
		s.used = time.Now()
	}
	return err
}

// answer reads what came of one.
func (s *session) answer(p *pgconn.Pipeline, r request) error {
	result, err := p.GetResults()
	if err != nil {
		return err
	}
	rr, ok := result.(*pgconn.ResultReader)
	if !ok {
		return errRows
	}
	if r.read == nil {
		_, err := rr.Close()
		return err
	}
	rows := pgx.RowsFromResultReader(s.types(), rr)
	err = r.read(rows)
	rows.Close()
	if e := rows.Err(); err == nil {
		err = e
	}
	return err
}

// atomic runs f, which sends its own BEGIN and COMMIT, on the session's connection,
// and once more where another transaction was in its way.
func (s *session) atomic(ctx context.Context, f func() error) (err error) {
	for range tries {
		if err = s.connect(ctx); err == nil {
			if err = f(); err == nil {
				return confirmed(s.wire())
			}
			s.rollback(ctx)
		}
		if ctx.Err() != nil || !pgconn.SafeToRetry(err) && !passing(err) || missingDay(err) {
			return err
		}
	}
	return err
}

// rollback leaves a transaction that failed, if there is one.
func (s *session) rollback(ctx context.Context) {
	pg := s.wire()
	if pg.IsClosed() || pg.TxStatus() == 'I' {
		return
	}
	if _, err := pg.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
		pg.Close(ctx) // it is connected to anew
	}
}

// errMoved is that something is not where it was looked for: another transaction
// took it away meanwhile, and it is to be looked for again.
var errMoved = seawall.Errorf(seawall.ErrUnavailable, "store: what was read is not there any more")
