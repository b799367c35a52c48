package witness

import (
	"fmt"
	"slices"
)

// Violation is a broken promise. Guarantee is its number in docs/guarantees.
type Violation struct {
	Guarantee string
	What      string
}

// Check compares what was sent with what arrived, and returns every promise
// that was broken.
func Check(h *History) []Violation {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := checker{h: h, byID: map[string][]Received{}, bySeq: map[int][]Received{}}
	for _, r := range h.received {
		c.byID[r.ID] = append(c.byID[r.ID], r)
		c.bySeq[r.Seq] = append(c.bySeq[r.Seq], r)
	}
	c.lost()
	c.genuine()
	c.one()
	if h.Nodes > 0 {
		c.repeatsOfNodes()
	} else {
		c.repeats()
	}
	return c.found
}

type checker struct {
	h     *History
	byID  map[string][]Received
	bySeq map[int][]Received
	found []Violation
	twice int // deliveries in flight twice that a fault explains
}

func (c *checker) fail(guarantee, format string, args ...any) {
	c.found = append(c.found, Violation{guarantee, fmt.Sprintf(format, args...)})
}

// lost: G1 and G2. What was acknowledged has been delivered, whole.
func (c *checker) lost() {
	for seq, s := range c.h.sent {
		whole := func(r Received) bool { return r.Delivered() && r.Intact && r.Forged == "" }
		if s.Acks > 0 && !slices.ContainsFunc(c.bySeq[seq], whole) {
			c.fail("G1", "event %d was acknowledged %d times and never delivered", seq, s.Acks)
		}
	}
}

// genuine: G1. Nothing arrives that was not sent, or not as it was sent.
func (c *checker) genuine() {
	for _, r := range c.h.received {
		if _, ok := c.h.sent[r.Seq]; !ok {
			c.fail("G1", "%s: event %d was never sent", r.ID, r.Seq)
		}
		if !r.Intact {
			c.fail("G1", "%s: the body of event %d is not the one that was sent", r.ID, r.Seq)
		}
		if r.Forged != "" {
			c.fail("G4", "%s: %s", r.ID, r.Forged)
		}
		if r.Key != r.ID {
			c.fail("G4", "%s: Idempotency-Key is %q", r.ID, r.Key)
		}
	}
}

// one: G3. However often an event was sent, it is one event, with one delivery,
// and no two share a delivery.
func (c *checker) one() {
	for seq, rs := range c.bySeq {
		for _, r := range rs[1:] {
			if r.ID != rs[0].ID || r.Event != rs[0].Event {
				c.fail("G3", "event %d came as %s of %s and as %s of %s", seq, rs[0].ID, rs[0].Event, r.ID, r.Event)
				break
			}
		}
	}
	for id, rs := range c.byID {
		for _, r := range rs[1:] {
			if r.Seq != rs[0].Seq {
				c.fail("G3", "%s carried events %d and %d", id, rs[0].Seq, r.Seq)
				break
			}
		}
	}
}

// repeats: G4. A delivery is never in flight twice. Once the destination has
// said that it has it, it comes again only because a crash kept the gateway
// from recording the answer: in a later life, and at most one per slot and
// crash.
func (c *checker) repeats() {
	again := map[int]int{} // by the life in which it came again
	for id, rs := range c.byID {
		slices.SortFunc(rs, func(a, b Received) int { return a.Began.Compare(b.Began) })
		for i, r := range rs[1:] {
			before := rs[i]
			if r.Began.Before(before.Ended) {
				c.fail("G4", "%s was in flight twice at once", id)
			}
			if !before.Delivered() {
				continue
			}
			again[r.Life]++
			if r.Life == before.Life {
				c.fail("G4", "%s was sent again in the life in which it had been delivered", id)
			}
		}
	}
	sum := 0
	for life := range c.h.Kills + 1 {
		sum += again[life]
		if most := c.h.Slots * life; sum > most {
			c.fail("G4", "%d deliveries repeated after %d crashes with %d slots: more than were in flight", sum, life, c.h.Slots)
			return
		}
	}
}
