package lane

import (
	"context"
	"errors"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// node is the store as one node has it: it may be cut off, and what it tells the
// others hear.
type node struct {
	*memory
	name string
}

var errCut = errors.New("the store is not reached")

func (n node) reach() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[n.name] {
		return errCut
	}
	return nil
}

// via is a call of the store by one node.
func via[T any](n node, f func() (T, error)) (out T, err error) {
	if err := n.reach(); err != nil {
		return out, err
	}
	return f()
}

func (n node) Beat(ctx context.Context, me store.Node, ttl time.Duration) ([]store.Node, error) {
	return via(n, func() ([]store.Node, error) { return n.memory.Beat(ctx, me, ttl) })
}

func (n node) Acquire(ctx context.Context, name string, ls []store.Lane, ttl time.Duration) ([]store.Lease, error) {
	return via(n, func() ([]store.Lease, error) { return n.memory.Acquire(ctx, name, ls, ttl) })
}

func (n node) Renew(ctx context.Context, ls []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	return via(n, func() ([]store.Lease, error) { return n.memory.Renew(ctx, ls, ttl) })
}

func (n node) Settle(ctx context.Context, ss []store.Settlement) ([]store.Settled, error) {
	return via(n, func() ([]store.Settled, error) { return n.memory.Settle(ctx, ss) })
}

func (n node) Gates(ctx context.Context) ([]store.GateState, error) {
	return via(n, func() ([]store.GateState, error) { return n.memory.Gates(ctx) })
}

func (n node) Release(ctx context.Context, ls []store.Lease) error {
	_, err := via(n, func() (int, error) { return 0, n.memory.Release(ctx, ls) })
	return err
}

func (n node) Leave(ctx context.Context, name string) error {
	_, err := via(n, func() (int, error) { return 0, n.memory.Leave(ctx, name) })
	return err
}

func (n node) Begin(ctx context.Context, l store.Lease, ids []seawall.DeliveryID) ([]seawall.DeliveryID, error) {
	return via(n, func() ([]seawall.DeliveryID, error) { return n.memory.Begin(ctx, l, ids) })
}

func (n node) Claim(ctx context.Context, l store.Lease, c store.Claim) ([]store.Claimed, time.Time, error) {
	if err := n.reach(); err != nil {
		return nil, time.Time{}, err
	}
	return n.memory.Claim(ctx, l, c)
}

func (n node) Tell(s store.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, s)
	for name, r := range n.runners {
		if name == n.name || n.deaf || n.cut[n.name] || n.cut[name] {
			continue
		}
		go r.Wake(s)
		if s.System == "" {
			go r.Refresh()
		}
	}
}
