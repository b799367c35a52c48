package witness

import "sync"

// Once remembers which ids it has been asked about.
type Once struct {
	mu   sync.Mutex
	seen map[string]bool
}

func NewOnce() *Once { return &Once{seen: map[string]bool{}} }

// First tells whether this is the first time.
func (o *Once) First(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[id] {
		return false
	}
	o.seen[id] = true
	return true
}
