package app

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// closers are named clean-ups, run once, last first.
type closers struct {
	mu   sync.Mutex
	list []closer
}

type closer struct {
	name  string
	close func() error
}

func (c *closers) add(name string, f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, closer{name, f})
}

func (c *closers) run(log *slog.Logger) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for len(c.list) > 0 {
		last := c.list[len(c.list)-1]
		c.list = c.list[:len(c.list)-1]
		if err := last.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}

// notice tells any number of waiters that something happened, by closing a
// channel that the next wait replaces.
type notice struct {
	mu sync.Mutex
	ch chan struct{}
}

// changed returns a channel that is closed by the next tell.
func (n *notice) changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
