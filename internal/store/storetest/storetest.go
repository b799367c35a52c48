// Package storetest is the conformance suite of package store: what every
// implementation must do, with the guarantee in the name of each test. An
// implementation's own test is one call of Run.
package storetest

import (
	"crypto/sha256"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Harness is one empty store to test.
type Harness struct {
	Store store.Store
	Clock *Clock // the store's and the test's

	// Reopen closes the store and opens it again, as a restart would.
	Reopen func(t *testing.T) store.Store

	// Second opens the same data for another node, beside Store; nil if one
	// process has the store to itself.
	Second func(t *testing.T) store.Store

	// Crash opens what a kill at this moment would have left. From then on that
	// is the store which Reopen and Crash are about.
	Crash func(t *testing.T) store.Store

	// Another opens another empty store of the same engine, on the same clock.
	Another func(t *testing.T) store.Store
}

// Clock is a clock that only a test moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a fixed time.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

// Now returns where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Run runs the suite; open makes a new, empty store for each test and closes it
// at the test's end.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	groups := [][]test{acceptTests, listTests, laneTests, claimTests, settleTests, divertTests, systemTests, vaultTests, secondTests, orderTests, upkeepTests, modelTests, transferTests, lineTests, lineModelTests, yieldTests, linkTests}
	for _, group := range groups {
		run(t, open, group)
	}
}

func run(t *testing.T, open func(t *testing.T) Harness, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, &suite{Harness: open(t), random: rand.NewChaCha8([32]byte{1})})
		})
	}
}

type test struct {
	name string
	run  func(*testing.T, *suite)
}

// suite is what one test works with.
type suite struct {
	Harness
	mu     sync.Mutex
	random *rand.ChaCha8
}

// horizon is the dedupe horizon of the events that tests make.
const horizon = 30 * 24 * time.Hour

// event makes an event as receive would.
func (s *suite) event(source, id, body string) *seawall.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	return &seawall.Event{ID: seawall.NewEventID(now, s.random), Source: source, SourceID: id, Type: "order.paid",
		ReceivedAt: now, Method: "POST", URL: "https://hooks.example.com/in/" + source,
		Headers: map[string][]string{"Content-Type": {"application/json"}}, Body: []byte(body), Remote: "192.0.2.1:1234",
		Proof: "none", Revision: 1}
}

// acceptance plans an event onto one delivery for each destination.
func (s *suite) acceptance(e *seawall.Event, destinations ...string) store.Acceptance {
	sum := sha256.Sum256(e.Body)
	a := store.Acceptance{Event: e, Expires: e.ReceivedAt.Add(horizon)}
	copy(a.BodyHash[:], sum[:])
	for i, d := range destinations {
		a.Deliveries = append(a.Deliveries, seawall.Delivery{ID: e.ID.Delivery(i + 1), Route: e.Source + " to " + d,
			Destination: d, System: d, State: seawall.Pending, Due: e.ReceivedAt, Revision: 1})
		e.Decisions = append(e.Decisions, seawall.Decision{Route: e.Source + " to " + d, Matched: true})
	}
	if len(destinations) == 0 {
		e.Routing = seawall.Unmatched
	}
	return a
}

// accept accepts one event and returns it.
func (s *suite) accept(t *testing.T, id string, destinations ...string) *seawall.Event {
	t.Helper()
	e := s.event("shop", id, `{"id":"`+id+`"}`)
	out, err := s.Store.Accept(t.Context(), []store.Acceptance{s.acceptance(e, destinations...)})
	must(t, err)
	if out[0].Verdict != seawall.New || out[0].Event != e.ID {
		t.Fatalf("accept %s: got %v, want a new event", id, out[0])
	}
	return e
}

// lease acquires the lane of a destination with a url of its own.
func (s *suite) lease(t *testing.T, node, destination string) store.Lease {
	t.Helper()
	ls, err := s.Store.Acquire(t.Context(), node, []store.Lane{{System: destination}}, time.Minute)
	must(t, err)
	if len(ls) != 1 {
		t.Fatalf("acquire %s for %s: got %d leases, want 1", destination, node, len(ls))
	}
	return ls[0]
}

// claim claims what is due now, from the oldest on.
func (s *suite) claim(t *testing.T, l store.Lease, limit int) []store.Claimed {
	t.Helper()
	due, _, err := s.Store.Claim(t.Context(), l, store.Claim{Destination: l.System, Now: s.Clock.Now(), Rescan: true, Limit: limit})
	must(t, err)
	return due
}

// ended is the settlement of a delivery that one attempt ended in state.
func (s *suite) ended(l store.Lease, d seawall.Delivery, state seawall.State) store.Settlement {
	now := s.Clock.Now()
	a := &seawall.Attempt{N: d.Attempts + 1, At: now, Took: 5 * time.Millisecond, Node: l.Node, Revision: 1,
		Request: seawall.Request{Method: "POST", URL: "https://" + d.Destination + ".internal/", Original: true, BodySize: 7}}
	if state == seawall.Delivered {
		a.Response = &seawall.Response{Status: 200, Proto: "HTTP/1.1", Body: []byte("ok")}
	} else {
		a.Outcome, a.Error = seawall.Refused, "HTTP 500"
	}
	return store.Settlement{Lease: l, Delivery: d.ID, Attempt: a, State: state, At: now}
}

// settle settles one delivery and checks what became of it.
func (s *suite) settle(t *testing.T, in store.Settlement, want store.Settled) {
	t.Helper()
	out, err := s.Store.Settle(t.Context(), []store.Settlement{in})
	must(t, err)
	if out[0] != want {
		t.Fatalf("settle %s: got %d, want %d", in.Delivery, out[0], want)
	}
}

// delivery reads a delivery and checks its state.
func (s *suite) delivery(t *testing.T, id seawall.DeliveryID, want seawall.State) *seawall.Delivery {
	t.Helper()
	d, err := s.Store.Delivery(t.Context(), id)
	must(t, err)
	if d.State != want {
		t.Fatalf("%s is %s, want %s", id, d.State, want)
	}
	return d
}

// depth returns what waits for a destination.
func (s *suite) depth(t *testing.T, destination string) store.Depth {
	t.Helper()
	ds, err := s.Store.Depths(t.Context())
	must(t, err)
	for _, d := range ds {
		if d.Destination == destination {
			return d
		}
	}
	return store.Depth{Destination: destination}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
