// Package sqlite keeps the gateway's state in one SQLite file, without a C
// compiler. It implements the contract of package store for one serving
// process; short-lived commands may use the same file beside it.
//
// One goroutine writes (writer.go): whatever waits when it is ready becomes one
// transaction and one fsync. Readers have connections of their own and never
// wait for it. The layout of the file is in migrations/, the reasons for it in
// docs/decisions/store-sqlite.md.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	driver "modernc.org/sqlite"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Options say how a store is opened. The zero value is fine.
type Options struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: nothing is logged

	// Cache bounds the memory that the pages of all connections together take, in
	// bytes; 0: as they are opened. It lies outside what Go counts.
	Cache int64

	// Exclusive makes this process the one that serves: a second one is
	// refused with seawall.ErrConflict, and the lanes that a predecessor left
	// behind are free at once, because the lock proves that it is gone.
	Exclusive bool
}

// Store is an open file. It implements store.Store.
type Store struct {
	path  string
	now   func() time.Time
	log   *slog.Logger
	lock  *os.File
	queue *opQueue

	names  *names
	depths *depths
	fresh  freshCount
	stats  stats

	holdsBack bool // deliveries may be fresh: this is the process that serves

	nodesMu sync.Mutex
	nodes   map[string]alive
	shares  map[string]map[string]store.Sharer // by system and node

	readers chan *conn
	opened  int // readers that exist
	writer  *writer
	written chan struct{} // closed when the writer has ended

	failed    chan struct{}
	failOnce  sync.Once
	closeOnce sync.Once
	closed    chan struct{} // closed when reads are no longer taken
}

var _ store.Store = (*Store)(nil)

// readers is how many connections serve reads: claims of some destinations
// beside a list or two.
const readers = 4

// Open opens the file at path, creating it where there is none, and brings its
// layout up to this version.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{
		path: path, now: o.Now, log: o.Log,
		queue:   &opQueue{wake: make(chan struct{}, 1)},
		names:   &names{texts: map[int64]string{}, ids: map[string]int64{}, lines: map[int64]line{}, byLine: map[line]int64{}},
		depths:  &depths{queues: map[int64]*depth{}},
		fresh:   freshCount{queues: map[int64]int{}},
		nodes:   map[string]alive{},
		shares:  map[string]map[string]store.Sharer{},
		readers: make(chan *conn, readers),
		written: make(chan struct{}),
		failed:  make(chan struct{}),
		closed:  make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	// The same promise as fsync for what SQLite writes, at half the price.
	if _, err := driver.Fdatasync(true); err != nil {
		s.log.Debug("fdatasync is not available, using fsync", "error", err)
	}
	err := s.open(ctx, o.Exclusive)
	if err == nil && o.Cache > 0 {
		err = s.bound(o.Cache)
	}
	if err != nil {
		if s.writer != nil && s.writer.mover != nil {
			s.writer.mover.closeConns()
		}
		s.closeConns()
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	go s.writer.mover.run()
	go s.writeLoop(s.writer)
	return s, nil
}

// few is the memory for pages of the two connections that move the log: what they
// move does not come by their pages.
const few = 256 << 10

// bound keeps all connections' pages within bytes: half of them the readers', and
// most of the rest the writer's.
func (s *Store) bound(bytes int64) error {
	w, m := s.writer, s.writer.mover
	if err := errors.Join(w.cache(bytes/2-2*few), m.c.cache(few), m.keeper.cache(few)); err != nil {
		return err
	}
	for range s.opened {
		c := <-s.readers
		err := c.cache(bytes / (2 * readers))
		s.readers <- c
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) open(ctx context.Context, exclusive bool) (err error) {
	if exclusive {
		if s.lock, err = lockFile(s.path + ".lock"); err != nil {
			return err
		}
	}
	create(s.path)
	c, err := openConn(s.path, false)
	if err != nil {
		return err
	}
	s.writer = &writer{conn: c, s: s, version: -1, fresh: freshOnes{rows: map[int64]fresh{}}}
	s.holdsBack = exclusive
	if _, err := migrate(ctx, s.path, migrations); err != nil {
		return err
	}
	for range readers {
		r, err := openConn(s.path, true)
		if err != nil {
			return err
		}
		s.readers <- r
		s.opened++
	}
	c.watchLog()
	if s.writer.mover, err = openMover(s.path); err != nil {
		return err
	}
	errs := make([]error, 1)
	_, err = s.writer.transact([]*op{{run: func(t *txn) error {
		if !exclusive {
			return nil
		}
		if err := t.use(qFreeLanes).exec(); err != nil {
			return err
		}
		if err := t.loadLanes(); err != nil {
			return err
		}
		return t.recoverFresh()
	}}}, errs)
	if err == nil {
		err = errs[0]
	}
	if err == nil {
		err = s.writer.joinWrites()
	}
	return err
}

// create makes an empty file where there is none. Payloads are nobody else's
// business; the log gets the file's mode. An existing file is not opened here:
// closing it would drop SQLite's locks.
func create(path string) {
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
		f.Close()
	}
}

var (
	qLastSeq = newQuery("SELECT max(ifnull((SELECT max(seq) FROM event), 0), ifnull((SELECT value FROM memo WHERE key = 'seq'), 0))")
)

// load reads what the writer keeps in memory.
func (w *writer) load() error {
	w.seen = seen{}
	for _, f := range []func() error{w.loadNames, w.loadLanes, w.loadDepths, w.loadRefused} {
		if err := f(); err != nil {
			return err
		}
	}
	var err error
	if w.seq, err = one(w.use(qLastSeq)); err != nil {
		return err
	}
	w.fresh.mark, err = one(w.use(qMemo).word(memoFresh))
	return err
}

// read runs f on a connection of its own. While a statement of it is open, all
// others read the same snapshot.
func (s *Store) read(ctx context.Context, f func(*conn) error) error {
	select {
	case <-s.closed:
		return errClosed
	default:
	}
	select {
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		err := f(c)
		if code(err) != 0 {
			return seawall.Errorf(seawall.ErrUnavailable, "store: %w", err)
		}
		return err
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close runs the writes that wait, lets reads end, and closes the file.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.queue.close()
		<-s.written
		s.writer.mover.close()
		s.closeConns()
	})
	return nil
}

func (s *Store) closeConns() {
	close(s.closed)
	for range s.opened {
		(<-s.readers).close()
	}
	if s.writer != nil {
		if s.poisoned() { // what of the file is durable is not known: the log stays
			s.writer.leaveLog()
		}
		s.writer.close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
}
