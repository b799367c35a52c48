package call

import (
	"context"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// lookEvery is how often the store is asked, once for all who wait, for
	// answers that another node may have written.
	lookEvery = 100 * time.Millisecond
	// ponderEvery is how often, beside that, each call that is waited for is
	// looked at as a whole: it may have ended without an answer.
	ponderEvery = time.Second
)

// waits are those who wait for calls.
type waits struct {
	mu sync.Mutex
	by map[seawall.DeliveryID]map[chan struct{}]bool
}

// begin registers who waits for a delivery; end must be called.
func (w *waits) begin(id seawall.DeliveryID) (told chan struct{}, end func()) {
	told = make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[id] == nil {
		w.by[id] = map[chan struct{}]bool{}
	}
	w.by[id][told] = true
	return told, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.by[id], told); len(w.by[id]) == 0 {
			delete(w.by, id)
		}
	}
}

// tell lets those look who wait for a delivery.
func (w *waits) tell(ids ...seawall.DeliveryID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		for told := range w.by[id] {
			select {
			case told <- struct{}{}:
			default:
			}
		}
	}
}

func (w *waits) all() (ids []seawall.DeliveryID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.by {
		ids = append(ids, id)
	}
	return ids
}

// Settled tells those who wait what has just been committed.
func (c *Calls) Settled(ss []store.Settlement) {
	for i := range ss {
		if s := &ss[i]; s.State != seawall.Pending || s.Answer != nil {
			c.waits.tell(s.Delivery)
		}
	}
}

// Wait returns a call as soon as it is settled, or as it stands when ctx ends
// or the process is about to stop.
func (c *Calls) Wait(ctx context.Context, call *Call) (*Call, error) {
	if call.Settled() {
		return call, nil
	}
	told, end := c.waits.begin(call.Delivery.ID)
	defer end()
	ponder := time.NewTicker(ponderEvery)
	defer ponder.Stop()
	for {
		// It may have been settled before we were registered, or its answer may
		// just be in: what is read is what counts.
		now, err := c.of(context.WithoutCancel(ctx), call.Event)
		if err != nil || now.Settled() {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, nil
		case <-c.Stopping:
			return now, nil
		case <-told:
		case <-ponder.C:
		}
	}
}

// Run looks for answers that other nodes have written, until ctx ends.
func (c *Calls) Run(ctx context.Context) error {
	if !c.Shared {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		ids := c.waits.all()
		if len(ids) == 0 {
			continue
		}
		answers, err := c.Store.Answers(ctx, ids)
		if err != nil {
			if !failed && ctx.Err() == nil {
				c.Log.Warn("answers to calls not read", "error", err)
			}
			failed = true
			continue
		}
		failed = false
		for id := range answers {
			c.waits.tell(id)
		}
	}
}
