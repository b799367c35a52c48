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

	mu    sync.Mutex
	lease store.Lease
}

func newLane(work context.Context, s store.Lease) *lane {
	l := &lane{lease: s}
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

func (l *lane) drop() {
	l.timer.Stop()
	l.cancel()
}
