package witness

import (
	"context"
	"fmt"
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

// Sender sends numbered events at a steady rate, whether or not anyone listens,
// and each of them until it is acknowledged.
type Sender struct {
	history  *History
	work     chan int
	answered func(status int, took time.Duration)
	wg       sync.WaitGroup
	open     atomic.Int64 // in work or in the hands of a worker

	mu    sync.Mutex
	again []int // to be sent once more
}

// NewSender makes a sender to the source of a [Setup] at one or several gateways;
// of those each of its hands has one that it asks first, and asks another one after
// each failure: a gateway that stands still stops its own hands only. Its queue takes most events;
// what is unsent when ctx ends is given up. answered sees every answer, 0 for
// none, and may be nil.
func NewSender(ctx context.Context, h *History, most int, answered func(status int, took time.Duration), addrs ...string) *Sender {
	if answered == nil {
		answered = func(int, time.Duration) {}
	}
	s := &Sender{history: h, work: make(chan int, most), answered: answered}
	for i := range senders {
		s.wg.Go(func() {
			c := caller{home: i, source: load.NewSource(Path, SourceSecret, "witness")}
			for _, addr := range addrs {
				c.conns = append(c.conns, load.NewConn(addr))
			}
			defer c.close()
			for seq := range s.work {
				s.send(ctx, &c, seq)
				s.open.Add(-1)
			}
		})
	}
	return s
}

// caller is one of a sender's hands: one request at a time.
type caller struct {
	conns  []*load.Conn
	home   int
	source *load.Source
}

func (c *caller) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

func (s *Sender) send(ctx context.Context, c *caller, seq int) {
	for at := c.home; ctx.Err() == nil; at++ {
		s.history.Try(seq)
		began := time.Now()
		status, err := c.conns[at%len(c.conns)].Do(c.source.Request(seq))
		if err != nil {
			status = 0
		}
		s.answered(status, time.Since(began))
		if status/100 == 2 {
			s.history.Ack(seq)
			return
		}
		Pause(ctx, retryAfter)
	}
}

// Open counts the events that are queued or being sent.
func (s *Sender) Open() int { return int(s.open.Load()) }

// Queue has an event sent; it does not wait.
func (s *Sender) Queue(seq int) {
	s.open.Add(1)
	s.work <- seq
}

// Run queues new events at a rate until ctx ends.
func (s *Sender) Run(ctx context.Context, rate int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for seq := 0; ; {
		for due := int(time.Since(began).Seconds() * float64(rate)); seq < due && len(s.work) < cap(s.work)/2; seq++ {
			s.Queue(seq)
			switch seq % repeatEvery {
			case 0:
				s.Queue(seq)
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

// Repeat sends once more what was kept for it.
func (s *Sender) Repeat() {
	s.mu.Lock()
	seqs := s.again
	s.again = nil
	s.mu.Unlock()
	for _, seq := range seqs {
		s.Queue(seq)
	}
}

// Close waits for what is queued.
func (s *Sender) Close() {
	close(s.work)
	s.wg.Wait()
}

// Settle waits until everything sent has been acknowledged, and everything
// acknowledged delivered; then it closes the sender. What is missing at the end
// of its patience is for the checker to name.
func (s *Sender) Settle(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.Open() > 0 || s.history.Missing() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if n := s.Open(); n > 0 {
				return fmt.Errorf("%d requests still unanswered at the end", n)
			}
			return nil
		}
	}
	s.Close()
	return nil
}

// Pause waits d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
