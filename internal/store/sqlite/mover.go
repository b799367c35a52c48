package sqlite

import (
	"errors"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// mover moves pages of the log into the file beside the commits, on a connection
// of its own that syncs nothing: a sync of the file would hold up those of the
// log, and there would be one for every few pages.
//
// That loses nothing as long as no page in the log is given up before the file
// has it for good, and SQLite gives the log up only when all of it was moved. So
// the mover must never move the last of it. A snapshot sees to that, held from
// one pass to the next, which SQLite moves nothing beyond: when a pass begins, the
// log has grown past it. It is the writer's own checkpoint, with its sync, that
// reaches the end. All of this stays true when the process dies, since then
// nothing more is moved, and whoever comes next finds a log that is not moved
// whole.
//
// The snapshot spares work as well: pages that were written again since are left
// for later, and so are those that nearly every commit writes.
type mover struct {
	c      *conn
	keeper *conn      // holds the snapshot
	keeps  bool       // it does
	want   chan bool  // whether to sync; holds one
	done   chan error // holds one
	end    chan struct{}

	// The writer's:
	busy  bool  // a pass is under way
	seen  int64 // length of the log when the last one was known to have ended
	syncs int   // passes with a sync since the log was begun
}

// openMover opens both connections.
func openMover(path string) (*mover, error) {
	m := &mover{want: make(chan bool, 1), done: make(chan error, 1), end: make(chan struct{})}
	var err error
	if m.c, err = openConn(path, false); err != nil {
		return nil, err
	}
	m.c.leaveLog()
	if err = m.c.exec("PRAGMA synchronous = OFF"); err == nil {
		m.keeper, err = openConn(path, true)
	}
	if err != nil {
		m.c.close()
		return nil, err
	}
	return m, nil
}

func (m *mover) run() {
	defer close(m.end)
	for sync := range m.want {
		m.done <- m.pass(sync)
	}
}

// pass moves the log up to the snapshot, and takes the next one. Where there is
// none yet, nothing is moved.
func (m *mover) pass(sync bool) error {
	if m.keeps {
		if err := m.c.use(qCheckpoint).exec(); err != nil {
			return err
		}
		if sync {
			if err := m.c.sync(); err != nil {
				return err
			}
		} else {
			m.c.writeBack()
		}
	}
	if err := m.release(); err != nil {
		return err
	}
	return m.keep()
}

var (
	qKeep    = newQuery("BEGIN")
	qLook    = newQuery("SELECT value FROM memo WHERE key = ''")
	qRelease = newQuery("COMMIT")
)

func (m *mover) keep() error {
	if err := m.keeper.use(qKeep).exec(); err != nil {
		return err
	}
	// A transaction reads from its first statement on: without that there is no
	// snapshot, and nothing may be moved.
	if err := m.keeper.use(qLook).exec(); err != nil {
		return errors.Join(err, m.keeper.use(qRelease).exec())
	}
	m.keeps = true
	return nil
}

// release lets the snapshot go, after which the writer's checkpoint reaches the
// end.
func (m *mover) release() error {
	if !m.keeps {
		return nil
	}
	m.keeps = false
	return m.keeper.use(qRelease).exec()
}

// close lets a pass under way end. What it moved is not synced yet, but the log is
// still there: the last connection to be closed moves the rest and syncs.
func (m *mover) close() {
	close(m.want)
	<-m.end
	m.closeConns()
}

func (m *mover) closeConns() {
	m.keeper.close()
	m.c.close()
}

// leaveLog has the connection, should it be the last to be closed, leave the log
// as it is, for whoever opens the store next.
func (c *conn) leaveLog() {
	args := libc.NewVaList(int32(1), uintptr(0))
	defer libc.Xfree(c.tls, args)
	lib.Xsqlite3_db_config(c.tls, c.db, lib.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, args)
}

// file is SQLite's own handle on the store's file. One of ours would, when
// closed, drop the locks of the whole process.
func (c *conn) file() (uintptr, error) { return c.handle(lib.SQLITE_FCNTL_FILE_POINTER) }

// handle is one of SQLite's own handles: on the file or on its log.
func (c *conn) handle(which int32) (uintptr, error) {
	name, err := libc.CString("main")
	if err != nil {
		return 0, err
	}
	defer libc.Xfree(c.tls, name)
	out := libc.Xcalloc(c.tls, 1, types.Size_t(unsafe.Sizeof(uintptr(0))))
	defer libc.Xfree(c.tls, out)
	if rc := lib.Xsqlite3_file_control(c.tls, c.db, name, which, out); rc != lib.SQLITE_OK {
		return 0, c.err(rc)
	}
	return *(*uintptr)(pointer(out)), nil
}

// sync makes durable what was written to the file.
func (c *conn) sync() error {
	f, err := c.file()
	if err != nil {
		return err
	}
	methods := (*lib.Tsqlite3_io_methods)(pointer((*lib.Tsqlite3_file)(pointer(f)).FpMethods))
	if rc := called[syncCall](methods.FxSync)(c.tls, f, lib.SQLITE_SYNC_NORMAL); rc != lib.SQLITE_OK {
		return &sqlError{code: rc, msg: libc.GoString(lib.Xsqlite3_errstr(c.tls, rc))}
	}
	return nil
}
