package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// What a payment makes of an order, oldest first.
var states = []string{"", "created", "paid", "refunded"}

// stateOf is what an event of a type says of its order.
var stateOf = map[string]int{"payment_intent.created": 1, "payment_intent.succeeded": 2, "charge.refunded": 3}

// shop keeps orders. It does what it is told, is slow at times, and fails at times.
type shop struct {
	mu     sync.Mutex
	dice   *rand.Rand
	orders map[string]int
	back   int       // times that an order went back to what it had been
	last   time.Time // that it was told something
}

func newShop(seed uint64) *shop {
	return &shop{dice: rand.New(rand.NewPCG(seed, 2)), orders: map[string]int{}}
}

// ServeHTTP takes PUT /orders/ID with {"type": …}.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var told struct{ Type, Order string }
	if json.NewDecoder(r.Body).Decode(&told) != nil || stateOf[told.Type] == 0 || told.Order == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	slow, fails := time.Duration(s.dice.IntN(20))*time.Millisecond, s.dice.IntN(10) == 0
	s.mu.Unlock()
	time.Sleep(slow)
	if fails {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stateOf[told.Type] < s.orders[told.Order] {
		s.back++
	}
	s.orders[told.Order], s.last = stateOf[told.Type], time.Now()
	w.WriteHeader(http.StatusNoContent)
}

// wrong counts orders that are not as they should be.
func (s *shop) wrong(want map[string]int) (wrong, back int, quiet time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, state := range want {
		if s.orders[id] != state {
			wrong++
		}
	}
	return wrong, s.back, time.Since(s.last)
}
