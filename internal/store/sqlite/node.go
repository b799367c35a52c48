package sqlite

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
)

// Beat keeps the nodes in memory: one process has the file, so nobody else
// could read of them, and none outlives it.
func (s *Store) Beat(_ context.Context, node store.Node, ttl time.Duration) ([]store.Node, error) {
	s.nodesMu.Lock()
	defer s.nodesMu.Unlock()
	now := s.now()
	s.nodes[node.Name] = alive{node, now.Add(ttl)}
	maps.DeleteFunc(s.nodes, func(_ string, a alive) bool { return !a.until.After(now) })
	out := make([]store.Node, 0, len(s.nodes))
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		out = append(out, s.nodes[name].Node)
	}
	return out, nil
}

// alive is a node until its beat runs out.
type alive struct {
	store.Node
	until time.Time
}

// Leave forgets a node.
func (s *Store) Leave(_ context.Context, node string) error {
	s.nodesMu.Lock()
	defer s.nodesMu.Unlock()
	delete(s.nodes, node)
	return nil
}

// Tell does nothing: there is no other node.
func (s *Store) Tell(store.Signal) {}

// Listen waits for ctx: nobody tells anything.
func (s *Store) Listen(ctx context.Context, _ func(store.Signal)) error {
	<-ctx.Done()
	return nil
}
