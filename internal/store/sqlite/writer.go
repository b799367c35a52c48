package sqlite

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Bounds of one commit and of what may wait for the next.
const (
	maxBatchOps   = 512
	maxBatchBytes = 4 << 20
	maxWaiting    = 8192
	maxWaitBytes  = 64 << 20
)

// op is one method's share of a commit.
type op struct {
	run    func(*txn) error
	size   int  // bytes it will write, roughly
	along  bool // deliveries may be fresh while it runs; before all others they get their rows
	urgent bool // it is not refused, however many wait
	taken  atomic.Bool
	done   chan error // holds one answer
}

// queue is what waits for the writer. It is bounded in number and bytes, so
// that overload is refused before it takes memory.
type opQueue struct {
	mu     sync.Mutex
	ops    []*op
	bytes  int
	closed bool
	wake   chan struct{} // holds one signal
}

func (q *opQueue) push(o *op) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	if !o.urgent && (len(q.ops) >= maxWaiting || q.bytes+o.size > maxWaitBytes && len(q.ops) > 0) {
		return seawall.Errorf(seawall.ErrUnavailable, "store: %d writes wait already", len(q.ops))
	}
	q.ops = append(q.ops, o)
	q.bytes += o.size
	if len(q.ops) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// take moves what waits to batch, as much as one commit may hold.
func (q *opQueue) take(batch []*op) []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes, n := 0, 0
	for n < len(q.ops) && n < maxBatchOps && (n == 0 || bytes+q.ops[n].size <= maxBatchBytes) {
		bytes += q.ops[n].size
		n++
	}
	batch = append(batch, q.ops[:n]...)
	rest := copy(q.ops, q.ops[n:])
	clear(q.ops[rest:])
	q.ops = q.ops[:rest]
	q.bytes -= bytes
	return batch
}

// close refuses further ops; those that wait are still run.
func (q *opQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	close(q.wake)
}

var errClosed = seawall.Errorf(seawall.ErrUnavailable, "store: closed")

// write runs f in the writer's next transaction and returns once that is
// durable. f may be run again, from the start, if the transaction was rolled
// back for a neighbour's sake; it must set its results, never add to them.
func (s *Store) write(ctx context.Context, size int, f func(*txn) error) error {
	return s.do(ctx, &op{run: f, size: size})
}

// writeAlong is write for what needs no row of a delivery that may be fresh.
func (s *Store) writeAlong(ctx context.Context, size int, f func(*txn) error) error {
	return s.do(ctx, &op{run: f, size: size, along: true})
}

func (s *Store) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.done = make(chan error, 1)
	if err := s.queue.push(o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			return ctx.Err() // the writer will skip it
		}
		return <-o.done
	}
}

// writer is the state of the one goroutine that writes.
type writer struct {
	*conn
	s          *Store
	version    int64 // of the data, as other processes change it
	seq        int64 // last accept sequence given
	names      map[string]int64
	queues     map[line]int64
	linesByID  map[int64]line
	lanes      map[laneKey]laneState
	seen       seen
	fresh      freshOnes
	sweep      sweep
	refused    map[kind]int64
	refusedAll int64
	logLength  int64 // frames in the write-ahead log
	logBegun   int64 // its length when the writer last moved the rest
	shrink     bool  // the next checkpoint is due at once
	mover      *mover
	batch      []*op
	run        []*op
	errs       []error
	txn        txn // the one under way; its memory is used again
}

func (s *Store) writeLoop(w *writer) {
	defer close(s.written)
	for range s.queue.wake {
		for {
			// Whoever is ready to write gets to do so first: their calls share
			// this commit. Where nobody is, this costs nothing.
			runtime.Gosched()
			w.batch = s.queue.take(w.batch[:0])
			if len(w.batch) == 0 {
				break
			}
			w.commit()
			clear(w.batch)
			w.checkpoint()
		}
	}
	// Closed: run what came before, and leave nothing to whoever opens it next.
	for {
		if w.batch = s.queue.take(w.batch[:0]); len(w.batch) == 0 {
			break
		}
		w.commit()
	}
	if len(w.fresh.rows) > 0 {
		w.batch = append(w.batch, &op{run: (*txn).clearFresh, done: make(chan error, 1)})
		w.commit()
	}
}

// commit runs a batch in one transaction and answers all. An op that fails
// after it wrote something would take its neighbours along: then everything is
// rolled back and each runs on its own.
func (w *writer) commit() {
	w.run = w.run[:0]
	for _, o := range w.batch {
		if o.taken.CompareAndSwap(false, true) {
			w.run = append(w.run, o)
		}
	}
	if len(w.run) == 0 {
		return
	}
	if w.s.poisoned() {
		for _, o := range w.run {
			o.done <- errFailed
		}
		return
	}
	begin := time.Now()
	w.errs = append(w.errs[:0], make([]error, len(w.run))...)
	again, err := w.transact(w.run, w.errs)
	switch {
	case err != nil:
		err = w.s.judge(err)
		for i := range w.errs {
			w.errs[i] = err
		}
	case again && len(w.run) == 1:
		// its error is in place, nothing was written
	case again:
		for i := range w.run {
			if w.s.poisoned() { // by the one before
				w.errs[i] = errFailed
				continue
			}
			if _, err := w.transact(w.run[i:i+1], w.errs[i:i+1]); err != nil {
				w.errs[i] = w.s.judge(err)
			}
		}
	}
	w.s.stats.committed(len(w.run), time.Since(begin))
	for i, o := range w.run {
		o.done <- w.errs[i]
	}
	clear(w.run)
}

var (
	qBegin       = newQuery("BEGIN IMMEDIATE")
	qCommit      = newQuery("COMMIT")
	qRollback    = newQuery("ROLLBACK")
	qDataVersion = newQuery("PRAGMA data_version")
)

// transact runs ops in one transaction and puts their own errors into errs. It
// returns again if an op failed half-way, so that nothing was kept, and an
// error if SQLite failed, which is every op's error.
func (w *writer) transact(ops []*op, errs []error) (again bool, err error) {
	if err := w.use(qBegin).exec(); err != nil {
		return false, err
	}
	t := w.txn.begin(w)
	if err := t.prepare(); err != nil {
		w.rollback(t)
		return false, err
	}
	for i, o := range ops {
		if !o.along {
			if err := t.makeRows(everyQueue); err != nil {
				w.rollback(t)
				return false, err
			}
		}
		before, mark := w.totalChanges(), t.mark()
		errs[i] = t.try(o.run)
		if errs[i] == nil {
			continue
		}
		if code(errs[i]) != 0 && !constraint(errs[i]) {
			w.rollback(t)
			return false, errs[i]
		}
		if w.totalChanges() != before {
			w.rollback(t)
			return true, nil
		}
		t.reset(mark)
	}
	if err := w.use(qCommit).exec(); err != nil {
		w.rollback(t)
		return false, err
	}
	w.logged()
	t.publish()
	return false, nil
}

func (w *writer) rollback(t *txn) {
	if w.inTransaction() {
		w.use(qRollback).exec()
	}
	t.undo()
}

// prepare begins a transaction: it reads the writer's own knowledge anew if another
// process changed the store since it was read.
func (t *txn) prepare() error {
	st := t.use(qDataVersion)
	st.next()
	v := st.getInt()
	if err := st.done(); err != nil {
		return err
	}
	if v == t.version {
		return t.age()
	}
	if err := t.makeRows(everyQueue); err != nil { // what is counted is rows
		return err
	}
	if err := t.load(); err != nil {
		return err
	}
	t.onUndo(t.forget) // what became a row is fresh again
	t.version, t.start.seq = v, t.seq
	return nil
}
