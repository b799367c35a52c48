package sqlite

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// conn is one connection, driven by one goroutine at a time. It speaks to the
// library below modernc.org/sqlite's database/sql driver: the statements of the
// path run tens of thousands of times a second, and the driver's allocations
// for every argument, result and column name would cost as much as SQLite.
type conn struct {
	tls     *libc.TLS
	db      uintptr
	stmts   []*stmt
	scratch uintptr    // text and blobs that statements are bound to
	used    int        // bytes of it
	holders int        // statements that hold some; at none it is free again
	frames  uintptr    // *int32: frames in the write-ahead log after the last commit
	log     *logBuffer // the writer's
}

// scratchSize holds the arguments of a usual statement; larger ones get memory
// of their own for the length of the statement.
const scratchSize = 64 << 10

// sqlError is a result code of SQLite with its message.
type sqlError struct {
	code  int32 // extended
	errno int32 // of the operating system, where there was one
	msg   string
}

func (e *sqlError) Error() string { return fmt.Sprintf("sqlite: %s (%d)", e.msg, e.code) }

// code returns the extended result code in err's chain, 0 if there is none.
func code(err error) int32 {
	var e *sqlError
	if errors.As(err, &e) {
		return e.code
	}
	return 0
}

// openConn opens the store's file, to write or to read.
func openConn(path string, readOnly bool) (*conn, error) {
	c, err := dial(path)
	if err != nil {
		return nil, err
	}
	settings := writerSettings
	if readOnly {
		settings = readerSettings
	}
	if err := c.exec(settings); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// dial opens a file as it is.
func dial(path string) (*conn, error) {
	c := &conn{tls: libc.NewTLS(), stmts: make([]*stmt, len(queries))}
	c.scratch = libc.Xmalloc(c.tls, scratchSize)
	c.frames = libc.Xcalloc(c.tls, 1, types.Size_t(unsafe.Sizeof(int32(0))))
	name, err := libc.CString(path)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	out := libc.Xcalloc(c.tls, 1, types.Size_t(unsafe.Sizeof(uintptr(0))))
	defer libc.Xfree(c.tls, out)
	// A connection never leaves the goroutine that holds it, so SQLite need not
	// lock it.
	rc := lib.Xsqlite3_open_v2(c.tls, name, out,
		lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE|lib.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(pointer(out))
	if rc != lib.SQLITE_OK {
		err := c.err(rc)
		c.close()
		return nil, err
	}
	lib.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return c, nil
}

// auto_vacuum counts only for a file that has no table yet. Checkpoints are the
// writer's: see checkpoint.go.
const (
	writerSettings = `PRAGMA busy_timeout = 5000; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
		PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;`
	readerSettings = `PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;
		PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;`
)

// pageTakes is how many times what SQLite counts for a page it takes of memory: a
// page of 4 KiB with its header is handed out as 8 KiB.
const pageTakes = 2

// mostPages is what a connection keeps at most of what SQLite counts, however much
// there may be.
const mostPages = 8 << 20

// cache bounds the memory that the connection's pages take.
func (c *conn) cache(bytes int64) error {
	return c.exec(fmt.Sprintf("PRAGMA cache_size = -%d", min(bytes/pageTakes, mostPages)>>10))
}

// exec runs SQL text without arguments or results.
func (c *conn) exec(sql string) error {
	text, err := libc.CString(sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, text)
	if rc := lib.Xsqlite3_exec(c.tls, c.db, text, 0, 0, 0); rc != lib.SQLITE_OK {
		return c.err(rc)
	}
	return nil
}

// query is a statement that every connection prepares at most once.
type query struct {
	n   int
	sql string
}

// queries are all of them, in the order of their numbers.
var queries []*query

func newQuery(sql string) *query {
	q := &query{n: len(queries), sql: sql}
	queries = append(queries, q)
	return q
}

// use returns the statement of q, ready to be bound.
func (c *conn) use(q *query) *stmt {
	if s := c.stmts[q.n]; s != nil {
		return s
	}
	s := c.prepare(q.sql)
	if s.err == nil {
		c.stmts[q.n] = s
	}
	return s
}

// prepare makes a statement; an error is kept in it until it is run. The caller
// finalizes it.
func (c *conn) prepare(sql string) *stmt {
	s := &stmt{c: c}
	text, err := libc.CString(sql)
	if err != nil {
		s.err = err
		return s
	}
	defer libc.Xfree(c.tls, text)
	out := libc.Xcalloc(c.tls, 1, types.Size_t(unsafe.Sizeof(uintptr(0))))
	defer libc.Xfree(c.tls, out)
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, lib.SQLITE_PREPARE_PERSISTENT, out, 0)
	if rc != lib.SQLITE_OK {
		s.err = fmt.Errorf("%w in %q", c.err(rc), sql)
		return s
	}
	s.p = *(*uintptr)(pointer(out))
	return s
}

// changes counts the rows that the last statement changed.
func (c *conn) changes() int64 { return lib.Xsqlite3_changes64(c.tls, c.db) }

// totalChanges counts the rows changed since the connection was opened.
func (c *conn) totalChanges() int64 { return lib.Xsqlite3_total_changes64(c.tls, c.db) }

// lastID is the rowid that the last INSERT gave.
func (c *conn) lastID() int64 { return lib.Xsqlite3_last_insert_rowid(c.tls, c.db) }

// inTransaction tells whether BEGIN is still in force: some errors end it.
func (c *conn) inTransaction() bool { return lib.Xsqlite3_get_autocommit(c.tls, c.db) == 0 }

func (c *conn) err(rc int32) error {
	e := &sqlError{code: rc, msg: libc.GoString(lib.Xsqlite3_errstr(c.tls, rc))}
	if c.db != 0 {
		e.errno = lib.Xsqlite3_system_errno(c.tls, c.db)
		e.msg = libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db))
	}
	return e
}

func (c *conn) close() {
	for _, s := range c.stmts {
		if s != nil {
			s.finalize()
		}
	}
	c.stmts = nil
	if c.db != 0 {
		lib.Xsqlite3_close_v2(c.tls, c.db)
		c.db = 0
	}
	if c.log != nil {
		libc.Xfree(c.tls, c.log.methods)
	}
	libc.Xfree(c.tls, c.scratch)
	libc.Xfree(c.tls, c.frames)
	c.tls.Close()
}

// bytesAt views n bytes of memory that Go does not own.
func bytesAt(p uintptr, n int) []byte {
	return unsafe.Slice((*byte)(pointer(p)), n)
}

// pointer makes a pointer of an address that the library gave: memory from its
// own allocator, which the garbage collector neither moves nor frees.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }
