package witness

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// epoch is when the histories of these tests begin; at is seconds after it.
var epoch = time.Unix(1_800_000_000, 0)

func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// reached is a good delivery that took a second.
func reached(seq int, id string, began float64) Received {
	return Received{
		Queue: "a", Seq: seq, Intact: true, ID: id, Key: id, Event: "evt_" + id,
		Began: at(began), Ended: at(began + 1), Answer: http.StatusOK,
	}
}

// ofNodes is a sound history of two nodes: one is killed at 10 s, one is paused
// from 100 s to 130 s.
func ofNodes() *History {
	h := NewHistory(2)
	h.Nodes = 2
	h.sent = map[int]Sent{
		1: {Tries: 1, Acks: 1, Tried: at(0), Acked: at(1)},
		2: {Tries: 1, Acks: 1, Tried: at(2), Acked: at(3)},
		3: {Tries: 1, Acks: 1, Tried: at(4), Acked: at(99)},
		4: {Tries: 2, Acks: 1, Tried: at(5), Acked: at(99)},
	}
	h.faults = []Fault{
		{What: "killed", From: at(10), To: at(10)},
		{What: "paused", From: at(100), To: at(130), Freezes: true},
	}
	for _, r := range []Received{
		reached(1, "a", 2), reached(2, "b", 9.5), reached(2, "b", 25), // in flight when its node was killed
		reached(3, "c", 99.9), reached(3, "c", 115), // not recorded when its node was paused
		reached(4, "d", 129.5), reached(4, "d", 130), // by the successor, and what the paused one had begun
	} {
		h.Receive(r)
	}
	return h
}

// The checker of several nodes is only worth something if it sees what it is
// there for.
func TestCheckerOfNodesSeesPlantedViolations(t *testing.T) {
	if vs := Check(ofNodes()); len(vs) > 0 {
		t.Fatalf("a sound history: %v", vs)
	}
	if n := ofNodes().Repeated(); n != 3 {
		t.Errorf("%d repeats in a sound history, want 3", n)
	}
	tests := []struct {
		name      string
		guarantee string
		says      string
		plant     func(h *History)
	}{
		{"lost", "G1", "never delivered", func(h *History) { h.Try(6); h.Ack(6) }},
		{"two ids", "G3", "came as", func(h *History) { h.Receive(reached(1, "a2", 50)) }},
		{"again for no reason", "G4", "nothing had happened", func(h *History) {
			h.sent[5] = Sent{Tries: 1}
			h.Receive(reached(5, "e", 50))
			h.Receive(reached(5, "e", 60))
		}},
		{"again before the fault", "G4", "nothing had happened", func(h *History) { h.received[2].Began, h.received[2].Ended = at(9.6), at(9.7) }},
		{"twice at once after a kill", "G4", "twice at once, and nobody was paused", func(h *History) {
			h.received[2].Began = at(10.1)
		}},
		{"more than were in flight", "G4", "more than were in flight", func(h *History) { h.Slots = 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := ofNodes()
			tt.plant(h)
			for _, v := range Check(h) {
				if v.Guarantee == tt.guarantee && strings.Contains(v.What, tt.says) {
					return
				}
			}
			t.Errorf("want a violation of %s saying %q, got %v", tt.guarantee, tt.says, Check(h))
		})
	}
}

func TestInvertedCountsWhatWasOvertaken(t *testing.T) {
	one := func(int) int { return 0 }
	h := ofNodes()
	if n := h.Inverted(one); n != 0 {
		t.Errorf("%d inverted in order", n)
	}
	h.received[0].Began, h.received[0].Ended = at(11), at(12) // 1, acknowledged before 2 was sent, after it
	if n := h.Inverted(one); n != 1 {
		t.Errorf("%d inverted, want 1", n)
	}
	if n := h.Inverted(func(seq int) int { return seq }); n != 0 {
		t.Errorf("%d inverted of entities with one event each", n)
	}
	s := h.sent[2]
	s.Tried = at(0.5) // while 1 was under way: neither is before the other
	h.sent[2] = s
	if n := h.Inverted(one); n != 0 {
		t.Errorf("%d inverted of concurrent ones", n)
	}
}

func TestSilencesAreThoseOfEachQueue(t *testing.T) {
	h := ofNodes()
	r := reached(1, "a", 105)
	r.Queue = "b"
	h.Receive(r)
	got := h.Silences(at(24), at(120))
	if len(got) != 2 || got[0].Queue != "b" || got[0].To.Sub(got[0].From) != 81*time.Second || got[1].To.Sub(got[1].From) != 74900*time.Millisecond {
		t.Errorf("got %v", got)
	}
}
