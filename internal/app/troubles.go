package app

import (
	"sync"
	"time"
)

// troubles remembers what was last said of each destination, so that a failure
// that repeats a thousand times is logged when it begins, when it changes and
// when it ends; and of one that comes and goes, no more than once in tellEvery.
// The zero value is ready.
type troubles struct {
	mu   sync.Mutex
	said map[string]saying
}

type saying struct {
	err string // "" if all is well
	at  time.Time
}

const tellEvery = 10 * time.Second

// turn is what an attempt changed.
type turn uint8

const (
	same turn = iota
	began
	ended
)

// note takes in an attempt's error, "" if it went well.
func (t *troubles) note(destination, err string, now time.Time) turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.said[destination]
	if err == last.err || now.Sub(last.at) < tellEvery {
		return same
	}
	if t.said == nil {
		t.said = map[string]saying{}
	}
	t.said[destination] = saying{err, now}
	if err == "" {
		return ended
	}
	return began
}
