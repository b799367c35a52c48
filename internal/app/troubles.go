package app

import "sync"

// troubles remembers what is wrong with each destination, so that a failure
// that repeats a thousand times is logged when it begins, when it changes and
// when it ends. The zero value is ready.
type troubles struct {
	mu   sync.Mutex
	last map[string]string // destination → its error; none while all is well
}

// turn is what an attempt changed.
type turn uint8

const (
	same turn = iota
	began
	ended
)

// note takes in an attempt's error, "" if it went well.
func (t *troubles) note(destination, err string) turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, failing := t.last[destination]
	switch {
	case err == "" && failing:
		delete(t.last, destination)
		return ended
	case err == "" || failing && before == err:
		return same
	}
	if t.last == nil {
		t.last = map[string]string{}
	}
	t.last[destination] = err
	return began
}
