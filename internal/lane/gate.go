package lane

import (
	"context"

	"github.com/seawall-dev/seawall/seawall"
)

// Regate reads the gates anew and applies them to the queues of this node before
// it returns: when a person hears that a destination is paused, nothing more is
// begun here. Others come to know of it by word of the store.
func (r *Runner) Regate(ctx context.Context) error {
	r.gating.Lock()
	defer r.gating.Unlock()
	gates, err := r.gates(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, q := range r.queues {
		q.setGate(gates[k.destination])
	}
	return nil
}

// gates reads what people have said of each destination.
func (r *Runner) gates(ctx context.Context) (map[string]seawall.Gate, error) {
	gates, err := r.Store.Gates(ctx)
	if err != nil {
		return nil, err
	}
	by := make(map[string]seawall.Gate, len(gates))
	for _, g := range gates {
		by[g.Destination] = g.Gate
	}
	return by, nil
}
