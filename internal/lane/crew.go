package lane

import "sync"

// crew keeps goroutines that have nothing to do for whoever needs one next. An
// attempt needs a deep stack, and a new goroutine would grow it in steps, copying
// it each time: that, its start and its end cost a twentieth of an event. The
// zero value is ready.
type crew struct {
	mu        sync.Mutex
	idle      []chan func() // the last one to become so is the next to work: its memory is still at hand
	dismissed bool
}

// crewSize bounds how many are kept.
const crewSize = 128

// do runs f in a goroutine of its own.
func (c *crew) do(f func()) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		next := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		next <- f
		return
	}
	c.mu.Unlock()
	go c.work(f)
}

func (c *crew) work(f func()) {
	next := make(chan func(), 1)
	for ok := true; ok; {
		f()
		if !c.rest(next) {
			return
		}
		f, ok = <-next
	}
}

// rest keeps a goroutine that has nothing to do, unless there are enough.
func (c *crew) rest(next chan func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dismissed || len(c.idle) >= crewSize {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// dismiss ends those that have nothing to do, and keeps nobody from then on.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismissed = true
	for _, next := range c.idle {
		close(next)
	}
	c.idle = nil
}
