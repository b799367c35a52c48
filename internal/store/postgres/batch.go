package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Bounds of one commit and of what may wait for the next.
const (
	maxBatchCalls = 256
	maxBatchBytes = 4 << 20
	maxWaiting    = 8192
	maxWaitBytes  = 64 << 20

	// flushFor bounds one batch: after that the connection is given up, and
	// whether it was committed is not known.
	flushFor   = 10 * time.Second
	flushLeast = 2 * time.Second
)

// batcher makes one commit of whatever waits when one of its writers is ready.
// There is no timer: a lone call goes at once, and under load the next batch
// gathers while others are on their way.
type batcher[T any] struct {
	mu     sync.Mutex
	calls  []*waiting[T]
	bytes  int
	closed bool
	more   *sync.Cond
	ended  sync.WaitGroup
}

type waiting[T any] struct {
	call  T
	size  int
	since time.Time
	taken atomic.Bool
	done  chan error // holds one answer
}

// writer writes batches, one at a time.
type writer[T any] interface {
	flush(ctx context.Context, calls []T) []error // one answer for each
	close()
}

func newBatcher[T any](writers ...writer[T]) *batcher[T] {
	b := &batcher[T]{}
	b.more = sync.NewCond(&b.mu)
	for _, w := range writers {
		b.ended.Go(func() { b.run(w) })
	}
	return b
}

var errClosed = seawall.Errorf(seawall.ErrUnavailable, "store: closed")

// do has a call of about size bytes written and returns what came of it. A call
// whose ctx ends before its batch began is left out; after that it is waited for.
func (b *batcher[T]) do(ctx context.Context, call T, size int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiting[T]{call: call, size: size, since: time.Now(), done: make(chan error, 1)}
	if err := b.push(w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if w.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-w.done
	}
}

func (b *batcher[T]) push(w *waiting[T]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return errClosed
	case len(b.calls) >= maxWaiting || b.bytes+w.size > maxWaitBytes && len(b.calls) > 0:
		return seawall.Errorf(seawall.ErrUnavailable, "store: %d writes wait already", len(b.calls))
	}
	b.calls = append(b.calls, w)
	b.bytes += w.size
	b.more.Signal()
	return nil
}

var errWaited = seawall.Errorf(seawall.ErrUnavailable, "store: waited %s for the writes before it", flushFor)

// run is one writer: it ends when the batcher is closed and nothing waits.
func (b *batcher[T]) run(to writer[T]) {
	defer to.close()
	var batch []*waiting[T]
	var calls []T
	for {
		batch = b.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		calls = calls[:0]
		n, now, oldest := 0, time.Now(), time.Time{}
		for _, w := range batch {
			switch {
			case !w.taken.CompareAndSwap(false, true):
			case now.Sub(w.since) > flushFor:
				w.done <- errWaited
			default:
				if n == 0 {
					oldest = w.since
				}
				batch[n] = w
				n++
				calls = append(calls, w.call)
			}
		}
		if n > 0 {
			// A call is answered within about flushFor, waiting included.
			until := oldest.Add(flushFor)
			if least := now.Add(flushLeast); until.Before(least) {
				until = least
			}
			ctx, cancel := context.WithDeadline(context.Background(), until)
			errs := to.flush(ctx, calls)
			cancel()
			for i, w := range batch[:n] {
				w.done <- errs[i]
			}
		}
		clear(batch)
		clear(calls)
	}
}

// take waits until something waits and returns as much as one commit may hold;
// nothing once the batcher is closed and empty.
func (b *batcher[T]) take(batch []*waiting[T]) []*waiting[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.calls) == 0 && !b.closed {
		b.more.Wait()
	}
	n, bytes := 0, 0
	for n < len(b.calls) && n < maxBatchCalls && (n == 0 || bytes+b.calls[n].size <= maxBatchBytes) {
		bytes += b.calls[n].size
		n++
	}
	batch = append(batch, b.calls[:n]...)
	rest := copy(b.calls, b.calls[n:])
	clear(b.calls[rest:])
	b.calls = b.calls[:rest]
	b.bytes -= bytes
	if rest > 0 {
		b.more.Signal()
	}
	return batch
}

func (b *batcher[T]) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.calls)
}

// close refuses further calls, and returns when those that wait are answered.
func (b *batcher[T]) close() {
	b.mu.Lock()
	b.closed = true
	b.more.Broadcast()
	b.mu.Unlock()
	b.ended.Wait()
}
