package app

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
)

const (
	upkeepEvery = time.Minute
	expireChunk = 200
	// expirePause leaves the path its turn between two chunks.
	expirePause = 20 * time.Millisecond
	// keepLines is how long it is remembered at least what a destination has seen of
	// an entity: some are quiet from one year to the next.
	keepLines = 400 * 24 * time.Hour
)

// upkeep deletes what is past its retention, until ctx ends. One node does so for
// all.
func (a *App) upkeep(ctx context.Context) {
	for {
		a.expire(ctx)
		timer := time.NewTimer(sweepEvery(a.path.now().config.Retention))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// sweepEvery is the time between two sweeps: a short retention is swept often
// enough to be seen to hold.
func sweepEvery(keep config.Retention) time.Duration {
	return min(upkeepEvery, max(min(keep.Events, keep.Dead)/4, time.Second))
}

func (a *App) expire(ctx context.Context) {
	deleted := 0
	defer func() {
		if deleted > 0 {
			a.Log.Info("retention", "deleted", deleted)
		}
	}()
	for ctx.Err() == nil {
		now, keep := a.Now(), a.path.now().config.Retention
		n, more, err := a.store.Expire(ctx, store.Expiry{
			Now: now, Events: now.Add(-keep.Events), Dead: now.Add(-keep.Dead), Lines: now.Add(-max(keepLines, keep.Events, keep.Dead)),
			Limit: expireChunk,
		})
		deleted += n
		if err != nil {
			if ctx.Err() == nil {
				a.Log.Warn("retention did not get on", "error", err)
			}
			return
		}
		if !more {
			return
		}
		pause := time.NewTimer(expirePause)
		select {
		case <-ctx.Done():
			pause.Stop()
		case <-pause.C:
		}
	}
}
