package order

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
)

// consumer is a destination that does what it is told, in whatever order, and that
// has troubles of its own.
type consumer struct {
	mu                 sync.Mutex
	dice               *rand.Rand
	effects            map[string][]effect // by path and entity, in their order
	flying             map[string]int
	troubles, overlaps int
}

// effect is one version that the consumer took on.
type effect struct {
	version int
	late    bool
}

// newConsumer serves one; it returns its address.
func newConsumer(t *testing.T, stream uint64) (*consumer, string) {
	c := &consumer{dice: rows.Random(stream), effects: map[string][]effect{}, flying: map[string]int{}}
	return c, rows.Serve(t, c.serve).URL
}

// The troubles of a consumer.
const (
	none = iota
	refuses
	cutBefore // the connection, before the effect
	cutAfter
	slow
	troubles
)

func (c *consumer) serve(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Order string
		V     int
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := r.URL.Path + " " + event.Order
	trouble := c.begin(key)
	defer c.end(key)
	switch trouble {
	case refuses:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case cutBefore:
		panic(http.ErrAbortHandler)
	case slow:
		pause(r, 150*time.Millisecond)
	}
	c.mu.Lock()
	c.effects[key] = append(c.effects[key], effect{event.V, r.Header.Get("Seawall-Late") == "true"})
	c.mu.Unlock()
	if trouble == cutAfter {
		panic(http.ErrAbortHandler)
	}
}

// pause lets a request take its time.
func pause(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// begin notes a request, and chooses its trouble: three in ten have some.
func (c *consumer) begin(key string) (trouble int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flying[key]++; c.flying[key] > 1 {
		c.overlaps++
	}
	if c.dice.IntN(10) > 2 {
		return none
	}
	c.troubles++
	return 1 + c.dice.IntN(troubles-1)
}

func (c *consumer) end(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying[key]--
}

// took is what the consumer has taken on for an entity.
func (c *consumer) took(path, entity string) []effect {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]effect{}, c.effects[path+" "+entity]...)
}
