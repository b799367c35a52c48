package lane

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store"
)

// lane is what whoever does the duty holds. No system can be called so.
func (d Duty) lane() store.Lane { return store.Lane{System: "duty:" + d.Name} }

// running is a duty being done.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// begin does a duty for as long as we hold its lane; the caller has the lock.
func (r *Runner) begin(d Duty, l *lane) {
	ctx, cancel := context.WithCancel(l.ctx)
	do := &running{cancel, make(chan struct{})}
	l.duty = do
	r.workers.Add(1)
	go func() {
		defer r.workers.Done()
		defer close(do.done)
		defer cancel()
		d.Do(ctx)
	}()
}
