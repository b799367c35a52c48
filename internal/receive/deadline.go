package receive

import (
	"context"
	"sync"
	"time"
)

// acceptTimeout bounds the wait for a commit. Providers give up after 3 s at
// the earliest; a commit that takes longer is better retried than waited for.
const acceptTimeout = 10 * time.Second

// deadlineStep is by how much the wait may be longer: whoever comes within such a
// time shares a context, and with it one timer.
const deadlineStep = time.Second

// deadline gives out contexts that end after acceptTimeout, or deadlineStep later.
type deadline struct {
	mu    sync.Mutex
	ctx   context.Context
	until time.Time
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.ctx == nil || d.until.Sub(now) < acceptTimeout {
		d.until = now.Add(acceptTimeout + deadlineStep)
		ctx, cancel := context.WithDeadline(context.Background(), d.until)
		context.AfterFunc(ctx, cancel) // others may wait by it until then
		d.ctx = ctx
	}
	return d.ctx
}
