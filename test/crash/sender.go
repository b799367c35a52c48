package crash

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

const (
	senders    = 32
	retryAfter = 20 * time.Millisecond // as impatient as a sender can be

	// Of so many events one is sent twice at once, and another once more after
	// the next crash, acknowledged or not.
	repeatEvery = 10
)

// sender sends numbered events at a steady rate, whether or not anyone listens,
// and each of them until it is acknowledged.
type sender struct {
	history *History
	work    chan int
	wg      sync.WaitGroup
	open    atomic.Int64 // in work or in the hands of a worker

	mu    sync.Mutex
	again []int // to be sent once more
}

func newSender(ctx context.Context, addr, secret string, h *History, most int) *sender {
	s := &sender{history: h, work: make(chan int, most)}
	for range senders {
		s.wg.Go(func() {
			conn, source := load.NewConn(addr), load.NewSource(path, secret, "crash")
			defer conn.Close()
			for seq := range s.work {
				s.send(ctx, conn, source, seq)
				s.open.Add(-1)
			}
		})
	}
	return s
}

func (s *sender) send(ctx context.Context, conn *load.Conn, source *load.Source, seq int) {
	for ctx.Err() == nil {
		s.history.Try(seq)
		if status, err := conn.Do(source.Request(seq)); err == nil && status/100 == 2 {
			s.history.Ack(seq)
			return
		}
		pause(ctx, retryAfter)
	}
}

// queue has an event sent; it does not wait.
func (s *sender) queue(seq int) {
	s.open.Add(1)
	s.work <- seq
}

// run queues new events at a rate until ctx ends.
func (s *sender) run(ctx context.Context, rate int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for seq := 0; ; {
		for due := int(time.Since(began).Seconds() * float64(rate)); seq < due && len(s.work) < cap(s.work)/2; seq++ {
			s.queue(seq)
			switch seq % repeatEvery {
			case 0:
				s.queue(seq)
			case 1:
				s.mu.Lock()
				s.again = append(s.again, seq)
				s.mu.Unlock()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// repeat sends once more what was kept for it.
func (s *sender) repeat() {
	s.mu.Lock()
	seqs := s.again
	s.again = nil
	s.mu.Unlock()
	for _, seq := range seqs {
		s.queue(seq)
	}
}

// close waits for what is queued.
func (s *sender) close() {
	close(s.work)
	s.wg.Wait()
}

// pause waits d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
