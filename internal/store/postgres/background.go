package postgres

import (
	"context"
	"sync"
)

// background is work that nobody waits for. It ends with the store.
type background struct {
	mu    sync.Mutex
	ctx   context.Context
	end   context.CancelFunc // nil: not open
	works sync.WaitGroup
}

func (b *background) open(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ctx, b.end = context.WithCancel(context.WithoutCancel(ctx))
}

// do runs f beside its caller, while the store is open.
func (b *background) do(f func(context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == nil || b.ctx.Err() != nil {
		return
	}
	ctx := b.ctx
	b.works.Go(func() { f(ctx) })
}

// close cuts off what runs.
func (b *background) close() {
	b.mu.Lock()
	if b.end != nil {
		b.end()
	}
	b.mu.Unlock()
	b.works.Wait()
}
