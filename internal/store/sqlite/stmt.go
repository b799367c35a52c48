package sqlite

import (
	"time"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// stmt is a prepared statement. Arguments are bound in their order by the
// methods int, text, blob and so on; then exec runs it, or next steps through
// its rows, whose columns are read in their order by the methods whose names
// begin with get. exec and done make it ready for use again.
type stmt struct {
	c     *conn
	p     uintptr
	arg   int32
	col   int32
	holds bool      // some of the connection's scratch memory
	extra []uintptr // arguments that did not fit there
	err   error
}

func (s *stmt) int(v int64) *stmt {
	s.arg++
	if s.err == nil {
		s.check(lib.Xsqlite3_bind_int64(s.c.tls, s.p, s.arg, v))
	}
	return s
}

func (s *stmt) bool(v bool) *stmt {
	if v {
		return s.int(1)
	}
	return s.int(0)
}

func (s *stmt) null() *stmt {
	s.arg++
	if s.err == nil {
		s.check(lib.Xsqlite3_bind_null(s.c.tls, s.p, s.arg))
	}
	return s
}

// orNull binds v, or NULL for 0.
func (s *stmt) orNull(v int64) *stmt {
	if v == 0 {
		return s.null()
	}
	return s.int(v)
}

// time binds microseconds since 1970, or NULL for the zero time.
func (s *stmt) time(t time.Time) *stmt {
	if t.IsZero() {
		return s.null()
	}
	return s.int(t.UnixMicro())
}

// text binds a string, or NULL for "".
func (s *stmt) text(v string) *stmt {
	if v == "" {
		return s.null()
	}
	s.arg++
	if s.err != nil {
		return s
	}
	p := s.memory(len(v))
	copy(bytesAt(p, len(v)), v)
	s.check(lib.Xsqlite3_bind_text(s.c.tls, s.p, s.arg, p, int32(len(v)), lib.SQLITE_STATIC))
	return s
}

// word binds a string, "" as well.
func (s *stmt) word(v string) *stmt {
	if v != "" {
		return s.text(v)
	}
	s.arg++
	if s.err == nil {
		s.check(lib.Xsqlite3_bind_text(s.c.tls, s.p, s.arg, s.c.scratch, 0, lib.SQLITE_STATIC))
	}
	return s
}

// blob binds bytes, or NULL for none.
func (s *stmt) blob(v []byte) *stmt {
	if len(v) == 0 {
		return s.null()
	}
	s.arg++
	if s.err != nil {
		return s
	}
	p := s.memory(len(v))
	copy(bytesAt(p, len(v)), v)
	s.check(lib.Xsqlite3_bind_blob(s.c.tls, s.p, s.arg, p, int32(len(v)), lib.SQLITE_STATIC))
	return s
}

// memory returns n bytes that live until the statement has run.
func (s *stmt) memory(n int) uintptr {
	if s.c.used+n <= scratchSize {
		p := s.c.scratch + uintptr(s.c.used)
		s.c.used += n
		if !s.holds {
			s.holds = true
			s.c.holders++
		}
		return p
	}
	p := libc.Xmalloc(s.c.tls, types.Size_t(n))
	s.extra = append(s.extra, p)
	return p
}

func (s *stmt) check(rc int32) {
	if rc != lib.SQLITE_OK {
		s.err = s.c.err(rc)
	}
}

// exec runs a statement that gives no rows.
func (s *stmt) exec() error {
	for s.next() {
	}
	return s.done()
}

// next steps to the next row; false at the end or at an error, which done
// returns.
func (s *stmt) next() bool {
	if s.err != nil {
		return false
	}
	s.col = 0
	switch rc := lib.Xsqlite3_step(s.c.tls, s.p); rc {
	case lib.SQLITE_ROW:
		return true
	case lib.SQLITE_DONE:
	default:
		s.err = s.c.err(rc)
	}
	return false
}

// done ends the run and returns its error. Calling it twice is harmless.
func (s *stmt) done() error {
	err := s.err
	if s.p != 0 {
		lib.Xsqlite3_reset(s.c.tls, s.p)
		s.err = nil
	}
	for _, p := range s.extra {
		libc.Xfree(s.c.tls, p)
	}
	s.arg, s.col, s.extra = 0, 0, s.extra[:0]
	if s.holds {
		s.holds = false
		if s.c.holders--; s.c.holders == 0 {
			s.c.used = 0
		}
	}
	return err
}

// work counts the steps that SQLite's virtual machine took since it was asked
// last.
func (s *stmt) work() int {
	return int(lib.Xsqlite3_stmt_status(s.c.tls, s.p, lib.SQLITE_STMTSTATUS_VM_STEP, 1))
}

func (s *stmt) finalize() {
	s.done()
	if s.p != 0 {
		lib.Xsqlite3_finalize(s.c.tls, s.p)
		s.p = 0
	}
}

func (s *stmt) getInt() int64 {
	s.col++
	return lib.Xsqlite3_column_int64(s.c.tls, s.p, s.col-1)
}

func (s *stmt) getTime() time.Time {
	if us := s.getInt(); us != 0 {
		return time.UnixMicro(us).UTC()
	}
	return time.Time{}
}

func (s *stmt) getText() string { return string(s.peek()) }

func (s *stmt) getBlob() []byte {
	b := s.peek()
	if len(b) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// peek views a column's bytes; they are gone with the next step.
func (s *stmt) peek() []byte {
	s.col++
	p := lib.Xsqlite3_column_blob(s.c.tls, s.p, s.col-1)
	if p == 0 {
		return nil
	}
	return bytesAt(p, int(lib.Xsqlite3_column_bytes(s.c.tls, s.p, s.col-1)))
}
