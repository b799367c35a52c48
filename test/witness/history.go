// Package witness is what the fault tests share: a steady sender, a destination,
// the gateway as a process between them, and a checker that holds what was
// promised against what both ends saw. It never looks into the gateway's tables.
package witness

import (
	"slices"
	"sync"
	"time"
)

// Sent is the sender's log of one event.
type Sent struct {
	Tries int       // requests made
	Acks  int       // those answered 2xx
	Tried time.Time // the first of them began
	Acked time.Time // the first answer came
}

// Received is one request at the destination.
type Received struct {
	Queue  string // which of the destinations
	Life   int    // how often the gateway had been killed when its connection was made
	Seq    int    // number of the event, as the body says
	Intact bool
	Forged string // why the signature is none; "" if it is good
	ID     string // webhook-id
	Key    string // Idempotency-Key
	Event  string // seawall-event
	Began  time.Time
	Ended  time.Time // before the answer was written
	Answer int
}

// Delivered tells whether the destination has said that it has the event.
func (r Received) Delivered() bool { return r.Answer/100 == 2 }

// History is what both ends saw of a run. Its methods may be called
// concurrently.
type History struct {
	Kills int
	Slots int // deliveries that the gateway may have in flight at once
	Nodes int // gateways that share the work; 0: one, which is killed and started again

	mu        sync.Mutex
	sent      map[int]Sent
	received  []Received
	faults    []Fault
	delivered map[int]bool
}

func NewHistory(slots int) *History {
	return &History{Slots: slots, sent: map[int]Sent{}, delivered: map[int]bool{}}
}

// Try notes that an event is about to be sent.
func (h *History) Try(seq int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sent[seq]
	if s.Tries == 0 {
		s.Tried = time.Now()
	}
	s.Tries++
	h.sent[seq] = s
}

// Ack notes that it was answered with a 2xx.
func (h *History) Ack(seq int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sent[seq]
	if s.Acks == 0 {
		s.Acked = time.Now()
	}
	s.Acks++
	h.sent[seq] = s
}

// Receive notes a request at the destination, once it has been decided what to
// answer.
func (h *History) Receive(r Received) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received = append(h.received, r)
	if r.Delivered() {
		h.delivered[r.Seq] = true
	}
}

// Received returns what the destination saw so far, in the order of its answers.
func (h *History) Received() []Received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.received)
}

// Missing counts the events that were acknowledged and have not been delivered.
func (h *History) Missing() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for seq, s := range h.sent {
		if s.Acks > 0 && !h.delivered[seq] {
			n++
		}
	}
	return n
}

// Counts sums the run up.
func (h *History) Counts() (sent, acked, requests, delivered int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sent {
		if s.Acks > 0 {
			acked++
		}
	}
	return len(h.sent), acked, len(h.received), len(h.delivered)
}

// Failed counts the requests of senders that were not answered with a 2xx.
func (h *History) Failed() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sent {
		n += s.Tries - s.Acks
	}
	return n
}
