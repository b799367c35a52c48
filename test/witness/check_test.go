package witness

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The checker is only worth something if it sees what it is there for: each
// case plants one broken promise in a sound history.
func TestCheckerSeesPlantedViolations(t *testing.T) {
	epoch := time.Unix(1_800_000_000, 0)
	got := func(life, seq int, id string, at int) Received {
		began := epoch.Add(time.Duration(at) * time.Second)
		return Received{
			Life: life, Seq: seq, Intact: true, ID: id, Key: id, Event: "evt_" + id,
			Began: began, Ended: began.Add(time.Millisecond), Answer: http.StatusOK,
		}
	}
	sound := func() *History {
		h := NewHistory(2)
		h.Kills = 2
		for seq := 1; seq <= 4; seq++ {
			h.Try(seq)
			h.Ack(seq)
		}
		h.Try(3) // sent again, and acknowledged again
		h.Ack(3)
		h.Try(5) // never answered, yet delivered: allowed
		refused := got(0, 2, "b", 1)
		refused.Answer = http.StatusServiceUnavailable
		for _, r := range []Received{
			got(0, 1, "a", 1), refused, got(0, 2, "b", 7), got(0, 3, "c", 8),
			got(1, 3, "c", 20), got(1, 4, "d", 21), // c: answered, not recorded before the crash
			got(2, 4, "d", 30), got(2, 5, "e", 31),
		} {
			h.Receive(r)
		}
		return h
	}
	if vs := Check(sound()); len(vs) > 0 {
		t.Fatalf("a sound history: %v", vs)
	}
	if n := sound().Missing(); n != 0 {
		t.Fatalf("a sound history misses %d", n)
	}

	tests := []struct {
		name      string
		guarantee string
		says      string
		plant     func(h *History)
	}{
		{"lost", "G1", "never delivered", func(h *History) { h.Try(6); h.Ack(6) }},
		{"only refused", "G1", "never delivered", func(h *History) {
			h.Try(6)
			h.Ack(6)
			r := got(2, 6, "f", 40)
			r.Answer = http.StatusInternalServerError
			h.Receive(r)
		}},
		{"only a damaged copy", "G1", "never delivered", func(h *History) { h.received[0].Intact = false }},
		{"damaged", "G1", "not the one that was sent", func(h *History) { h.received[4].Intact = false }},
		{"invented", "G1", "never sent", func(h *History) { h.Receive(got(2, 99, "z", 40)) }},
		{"forged", "G4", "does not match", func(h *History) { h.received[3].Forged = "webhook-signature does not match" }},
		{"other key", "G4", "Idempotency-Key", func(h *History) { h.received[3].Key = "other" }},
		{"new id on a retry", "G3", "came as", func(h *History) { h.Receive(got(2, 1, "a2", 40)) }},
		{"two events of one id", "G3", "came as", func(h *History) { h.received[4].Event = "evt_other" }},
		{"one id for two events", "G3", "carried events", func(h *History) { h.received[0].ID, h.received[0].Key = "c", "c" }},
		{"again without a crash", "G4", "in the life", func(h *History) { h.Receive(got(2, 5, "e", 40)) }},
		{"twice at once", "G4", "twice at once", func(h *History) { h.received[2].Began = epoch.Add(time.Second) }},
		{"more than were in flight", "G4", "more than were in flight", func(h *History) {
			h.Slots = 1
			h.Receive(got(2, 1, "a", 40))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := sound()
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
