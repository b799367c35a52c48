package witness

import (
	"cmp"
	"slices"
	"time"
)

// repeatsOfNodes is G4 where several nodes share the work, so that no request
// tells which of them it came from: a delivery is never in flight twice, but for
// what a paused node had begun; and once the destination has said that it has
// it, it comes again only because of a fault after it had been sent, at most one
// for each slot and fault.
func (c *checker) repeatsOfNodes() {
	repeated := 0
	for id, rs := range c.byID {
		slices.SortFunc(rs, func(a, b Received) int { return a.Began.Compare(b.Began) })
		for i, r := range rs[1:] {
			before := rs[i]
			if r.Began.Before(before.Ended) {
				c.twice++
				if !c.h.explains(before.Began, before.Ended, true) {
					c.fail("G4", "%s was in flight twice at once, and nobody was paused", id)
				}
			}
			if !before.Delivered() {
				continue
			}
			repeated++
			if !c.h.explains(before.Began, r.Began, false) {
				c.fail("G4", "%s was sent again %s after it had been delivered, and nothing had happened meanwhile",
					id, r.Began.Sub(before.Ended).Round(time.Millisecond))
			}
		}
	}
	if most := c.h.Slots * len(c.h.faults); repeated > most {
		c.fail("G4", "%d deliveries repeated after %d faults with %d slots: more than were in flight", repeated, len(c.h.faults), c.h.Slots)
	}
	// What a node had already sent when it was paused may overlap with its
	// successor's attempt: of each slot one.
	if most := c.h.Slots * len(c.h.faults); c.twice > most {
		c.fail("G4", "%d deliveries in flight twice after %d faults with %d slots", c.twice, len(c.h.faults), c.h.Slots)
	}
}

// Repeated counts the requests for a delivery that the destination already had.
func (h *History) Repeated() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := map[string]bool{}
	for _, r := range h.received {
		if have[r.ID] {
			n++
		}
		have[r.ID] = have[r.ID] || r.Delivered()
	}
	return n
}

// Inverted counts the events that came to the destination before another one of
// the same entity that had been acknowledged before they were even sent. Without
// an order on the route nothing is promised about it; it is measured all the
// same. entity says whose an event is.
func (h *History) Inverted(entity func(seq int) int) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[int]time.Time{} // when an event was delivered
	for _, r := range h.received {
		if at, ok := first[r.Seq]; r.Delivered() && (!ok || r.Ended.Before(at)) {
			first[r.Seq] = r.Ended
		}
	}
	of := map[int][]int{}
	for seq, s := range h.sent {
		if _, ok := first[seq]; ok && s.Acks > 0 {
			of[entity(seq)] = append(of[entity(seq)], seq)
		}
	}
	for _, seqs := range of {
		// By when they were acknowledged, so that the last delivery among those
		// acknowledged before an event was sent is known by going along.
		byAck := slices.Clone(seqs)
		slices.SortFunc(byAck, func(a, b int) int { return h.sent[a].Acked.Compare(h.sent[b].Acked) })
		slices.SortFunc(seqs, func(a, b int) int { return h.sent[a].Tried.Compare(h.sent[b].Tried) })
		var last time.Time
		for _, seq := range seqs {
			for len(byAck) > 0 && h.sent[byAck[0]].Acked.Before(h.sent[seq].Tried) {
				last = later(last, first[byAck[0]])
				byAck = byAck[1:]
			}
			if first[seq].Before(last) {
				n++
			}
		}
	}
	return n
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Silence is a time in which a queue delivered nothing.
type Silence struct {
	Queue    string
	From, To time.Time
}

// Silences returns, for every queue, the longest time without a delivery that
// began within a span, longest first. Under a steady load a queue is silent
// because nobody has it.
func (h *History) Silences(from, to time.Time) []Silence {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := map[string][]time.Time{}
	for _, r := range h.received {
		at[r.Queue] = append(at[r.Queue], r.Began)
	}
	var longest []Silence
	for queue, times := range at {
		slices.SortFunc(times, time.Time.Compare)
		s := Silence{Queue: queue, From: from, To: from}
		last := from
		for _, t := range append(times, to) {
			if t.Before(from) {
				continue
			}
			if t.After(to) {
				t = to
			}
			if t.Sub(last) > s.To.Sub(s.From) {
				s.From, s.To = last, t
			}
			last = later(last, t)
		}
		longest = append(longest, s)
	}
	slices.SortFunc(longest, func(a, b Silence) int { return cmp.Compare(b.To.Sub(b.From), a.To.Sub(a.From)) })
	return longest
}

// Waited is the longest that an event waited between its acknowledgement and
// the destination, of those acknowledged since a time.
func (h *History) Waited(since time.Time) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[int]time.Time{}
	for _, r := range h.received {
		if at, ok := first[r.Seq]; !ok || r.Began.Before(at) {
			first[r.Seq] = r.Began
		}
	}
	for seq, s := range h.sent {
		if at, ok := first[seq]; ok && s.Acks > 0 && s.Acked.After(since) {
			longest = max(longest, at.Sub(s.Acked))
		}
	}
	return longest
}

// FirstSince is when each queue's first delivery after a time began.
func (h *History) FirstSince(since time.Time) map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[string]time.Time{}
	// They are noted as they end, which is soon after they began.
	for i := len(h.received) - 1; i >= 0 && !h.received[i].Ended.Before(since); i-- {
		if r := h.received[i]; !r.Began.Before(since) {
			first[r.Queue] = r.Began
		}
	}
	return first
}

// AckedSince counts the events first acknowledged after a time.
func (h *History) AckedSince(since time.Time) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sent {
		if s.Acks > 0 && s.Acked.After(since) {
			n++
		}
	}
	return n
}
