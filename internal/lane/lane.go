package lane

import (
	"context"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
)

// lane is a lease we hold. Its context ends when the lease does, whichever way:
// whatever is being sent under it is cut off before anyone else may start.
type lane struct {
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer

	idle chan struct{} // not nil: we are giving it up; closed once nothing is in flight. The runner's lock guards it.
	duty *running      // what runs in it instead of queues; likewise

	unclean bool // its owner before died, or stood still

	mu    sync.Mutex
	lease store.Lease
}

func newLane(work context.Context, s store.Lease) *lane {
	l := &lane{lease: s, unclean: s.Unclean}
	l.ctx, l.cancel = context.WithCancel(work)
	l.timer = time.AfterFunc(time.Until(s.Until), l.cancel)
	return l
}

func (l *lane) current() store.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lease
}

// extend prolongs the lane, unless it has just run out: then its work is being
// cut off, and false says that another lane must take its place.
func (l *lane) extend(s store.Lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.timer.Stop() {
		return false
	}
	l.lease = s
	l.timer.Reset(time.Until(s.Until))
	return true
}

// stands tells whether the lease has not run out. The timer says so too, but a
// process that was paused may get to its work before it gets to its timers.
func (l *lane) stands() bool {
	l.mu.Lock()
	until := l.lease.Until
	l.mu.Unlock()
	if time.Now().Before(until) {
		return true
	}
	l.cancel()
	return false
}

// vacant tells that we gave it up and nothing is in flight; the caller has the
// runner's lock.
func (l *lane) vacant() bool {
	if l.idle == nil {
		return false
	}
	select {
	case <-l.idle:
		return true
	default:
		return false
	}
}

func (l *lane) drop() {
	l.timer.Stop()
	l.cancel()
}
