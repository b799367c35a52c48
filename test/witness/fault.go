package witness

import "time"

// Fault is something that was done to a node, or to the database under all of
// them.
type Fault struct {
	What    string
	Freezes bool // a node stood still, and may have gone on with what it was at
	From    time.Time
	To      time.Time // zero: not over yet
}

const (
	// aftermath is how long after a fault's end it still explains something: a
	// node that was paused finds out only then, and what could not be recorded
	// is recorded only then.
	aftermath = 2 * time.Second

	// unawares is how much earlier than a fault what it explains may have begun,
	// since clocks are read before and after a thing is done, never with it.
	unawares = 50 * time.Millisecond
)

// Begin notes that a fault begins, and returns what notes its end.
func (h *History) Begin(f Fault) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := len(h.faults)
	f.From = time.Now()
	h.faults = append(h.faults, f)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.faults[i].To = time.Now()
	}
}

// Faults returns what was noted so far.
func (h *History) Faults() []Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Fault(nil), h.faults...)
}

// over tells when the fault explains nothing any more.
func (f Fault) over() time.Time {
	if f.To.IsZero() {
		return time.Now()
	}
	return f.To.Add(aftermath)
}

// explains tells whether something between two times can have come of a fault,
// or of one that froze a node.
func (h *History) explains(from, to time.Time, frozen bool) bool {
	for _, f := range h.faults {
		if (f.Freezes || !frozen) && !f.From.After(to.Add(unawares)) && !f.over().Before(from) {
			return true
		}
	}
	return false
}
