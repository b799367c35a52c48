package systems

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/seawall-dev/seawall/test/rows"
)

// bank is several systems that charge, by the first segment of the path: it counts
// the requests and the effects of each order. The first request for an order is
// not answered: it is told of, and then waits for what becomes of its round.
type bank struct {
	*httptest.Server

	mu       sync.Mutex
	round    *round
	asked    map[string]int
	effects  map[string]int
	keys     map[string]string // the order that came with a key
	cut      map[string]bool   // orders whose first request ended without an answer
	replaced int               // answers given once more under a key
}

// round is what was posted between two kills.
type round struct {
	reached chan struct{} // one for each request whose effect, if any, is done
	release chan struct{} // closed when they are answered
}

func newRound(most int) *round {
	return &round{make(chan struct{}, most), make(chan struct{})}
}

func newBank(t *testing.T) *bank {
	b := &bank{asked: map[string]int{}, effects: map[string]int{}, keys: map[string]string{}, cut: map[string]bool{}}
	b.Server = rows.Serve(t, b.charge)
	return b
}

func (b *bank) begin(r *round) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.round = r
}

// charge takes effect before it is known whether it can be answered. What says
// "lost" got lost on its way, as far as its first request goes.
func (b *bank) charge(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		b.mu.Lock()
		defer b.mu.Unlock()
		order := r.URL.Query().Get("order")
		fmt.Fprintf(w, `{"order":%q,"charges":%d}`, order, b.effects[order])
		return
	}
	var body struct {
		Order string
		Lost  bool
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := r.Header.Get("Bank-Key")
	b.mu.Lock()
	b.asked[body.Order]++
	first, now := b.asked[body.Order] == 1, b.round
	lost := body.Lost && first
	known, again := b.keys[key]
	again = again && strings.HasPrefix(body.Order, "keyed") && known == body.Order
	switch {
	case again:
		b.replaced++
	case !lost:
		b.effects[body.Order]++
		b.keys[key] = body.Order
	}
	b.mu.Unlock()
	if first {
		now.reached <- struct{}{}
		answered := false
		select {
		case <-now.release:
			answered = !lost
		case <-r.Context().Done():
		}
		if !answered {
			b.mu.Lock()
			b.cut[body.Order] = true
			b.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
	}
	fmt.Fprintf(w, `{"order":%q,"charged":true}`, body.Order)
}
