package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// children remembers the metrics of each set of labels: finding one takes no
// lock and no allocation. The zero value is ready.
type children[K comparable, V any] struct {
	mu  sync.Mutex // of those who add
	all atomic.Pointer[map[K]V]
}

func (c *children[K, V]) get(key K, make func() V) V {
	if all := c.all.Load(); all != nil {
		if v, ok := (*all)[key]; ok {
			return v
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[K]V{}
	if all := c.all.Load(); all != nil {
		next = maps.Clone(*all)
	}
	v, ok := next[key]
	if !ok {
		v = make()
		next[key] = v
		c.all.Store(&next)
	}
	return v
}
