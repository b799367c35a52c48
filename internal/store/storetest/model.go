package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var modelTests = []test{
	{"TestG2_RandomOperationsFollowTheModel", func(t *testing.T, s *suite) { testModel(t, s, 1) }},
	{"TestG2_RandomOperationsFollowTheModelAgain", func(t *testing.T, s *suite) { testModel(t, s, uint64(time.Now().UnixNano())) }},
}

// model is what a store should hold, in the plainest form.
type model struct {
	*suite
	rand       *rand.Rand
	deliveries []*modelDelivery
	keys       map[string]seawall.EventID
	leases     map[string]store.Lease
	old        []store.Lease // that no longer stand
	serial     int
}

type modelDelivery struct {
	id              seawall.DeliveryID
	destination     string
	first           string // where it was before it was moved
	state           seawall.State
	step            seawall.Step
	due             time.Time
	attempts, round int
	unknown         bool // held for that
	diverted        bool
}

var modelDestinations = []string{"orders", "audit"}

// testModel does random things to a store and a model alike, restarts and
// crashes included, and compares.
func testModel(t *testing.T, s *suite, seed uint64) {
	t.Logf("seed %d", seed)
	m := &model{suite: s, rand: rand.New(rand.NewPCG(seed, 1)), keys: map[string]seawall.EventID{}, leases: map[string]store.Lease{}}
	m.takeOver(t)
	steps := []func(*testing.T){m.acceptOne, m.acceptOne, m.settleOne, m.settleOne, m.settleOne, m.begin, m.cancel, m.replay, m.advance}
	for i := range 600 {
		steps[m.rand.IntN(len(steps))](t)
		switch {
		case i%97 == 96:
			s.Store = s.Reopen(t)
			m.restarted()
		case i%151 == 150:
			s.Store = s.Crash(t)
			m.restarted()
		}
		if i%97 == 96 || i%151 == 150 {
			m.takeOver(t)
			m.check(t)
		}
		if t.Failed() {
			t.Fatalf("after step %d", i)
		}
	}
	m.check(t)
}

// restarted notes that what was begun is now nobody's.
func (m *model) restarted() {
	for d, l := range m.leases {
		m.old = append(m.old, l)
		delete(m.leases, d)
	}
}

// lease takes the lanes of all destinations, as a node of its own.
func (m *model) takeOver(t *testing.T) {
	m.serial++
	m.Clock.Advance(ttl)
	for _, d := range modelDestinations {
		if l, ok := m.leases[d]; ok {
			m.old = append(m.old, l)
		}
		ls := m.acquire(t, fmt.Sprint("n", m.serial), store.Lane{System: d})
		if len(ls) != 1 {
			t.Fatalf("the lane of %s is not to be had", d)
		}
		m.leases[d] = ls[0]
	}
	for _, d := range m.deliveries {
		if d.state == seawall.Sending {
			d.state, d.step = seawall.Pending, seawall.Doubt
			if now := m.Clock.Now(); d.due.After(now) {
				d.due = now
			}
		}
	}
}

func (m *model) acceptOne(t *testing.T) {
	key := fmt.Sprint("id-", m.rand.IntN(150))
	e := m.event("shop", key, key)
	first, known := m.keys[key]
	if known {
		m.again(t, e, seawall.Duplicate, first)
		return
	}
	to := modelDestinations[:1+m.rand.IntN(2)]
	out, err := m.Store.Accept(t.Context(), []store.Acceptance{m.acceptance(e, to...)})
	must(t, err)
	if out[0].Verdict != seawall.New {
		t.Fatalf("accept %s: %v", key, out[0])
	}
	m.keys[key] = e.ID
	for i, d := range to {
		m.deliveries = append(m.deliveries, &modelDelivery{id: e.ID.Delivery(i + 1), destination: d, first: d, due: e.ReceivedAt})
	}
}

func (m *model) any() *modelDelivery {
	if len(m.deliveries) == 0 {
		return nil
	}
	return m.deliveries[m.rand.IntN(len(m.deliveries))]
}

func (m *model) settleOne(t *testing.T) {
	d := m.any()
	if d == nil {
		return
	}
	l := m.leases[d.destination]
	want := store.Done
	if d.state.Final() {
		want = store.Ended
	}
	if len(m.old) > 0 && m.rand.IntN(5) == 0 {
		l, want = m.old[m.rand.IntN(len(m.old))], store.Fenced
	}
	state := []seawall.State{seawall.Pending, seawall.Held, seawall.Delivered, seawall.Delivered, seawall.Dead, seawall.Superseded}[m.rand.IntN(6)]
	in := m.ended(l, seawall.Delivery{ID: d.id, Destination: d.destination, Attempts: d.attempts}, state)
	if state == seawall.Held && m.rand.IntN(2) == 0 {
		in.Reason = seawall.ReasonUnknown
	}
	in.Due = m.Clock.Now().Add(time.Duration(m.rand.IntN(60)) * time.Second)
	if m.rand.IntN(4) == 0 {
		in.Attempt = nil
	}
	move := state == seawall.Pending && m.rand.IntN(3) == 0
	if state == seawall.Pending {
		in.Step = seawall.Step(m.rand.IntN(3))
	}
	if move {
		to := modelDestinations[m.rand.IntN(2)]
		in.Move = &store.Place{Lane: store.Lane{System: to}, Destination: to}
	}
	m.settle(t, in, want)
	if want == store.Fenced {
		return
	}
	if in.Attempt != nil {
		d.attempts++
		d.round++
	}
	if want == store.Done {
		d.state, d.due, d.step = state, in.Due, in.Step
		d.unknown = state == seawall.Held && in.Reason == seawall.ReasonUnknown
		if move {
			d.destination, d.round, d.diverted = in.Move.Destination, 0, true
		}
	}
}

func (m *model) begin(t *testing.T) {
	d := m.any()
	if d == nil {
		return
	}
	got, err := m.Store.Begin(t.Context(), m.leases[d.destination], []seawall.DeliveryID{d.id})
	must(t, err)
	if (len(got) == 1) != (d.state == seawall.Pending) {
		t.Fatalf("begin %s in %s: %v", d.id, d.state, got)
	}
	if len(got) == 1 {
		d.state = seawall.Sending
	}
}

func (m *model) cancel(t *testing.T) {
	d := m.any()
	if d == nil {
		return
	}
	got, err := m.Store.Cancel(t.Context(), []seawall.DeliveryID{d.id}, "", seawall.Action{What: "cancel"})
	must(t, err)
	if (len(got) == 1) == d.state.Final() {
		t.Fatalf("cancel %s in %s: %v", d.id, d.state, got)
	}
	if len(got) == 1 {
		d.state, d.step = seawall.Canceled, seawall.Send
	}
}

func (m *model) replay(t *testing.T) {
	d := m.any()
	if d == nil {
		return
	}
	at := m.Clock.Now()
	got, err := m.Store.Replay(t.Context(), []seawall.DeliveryID{d.id}, store.ReplayOptions{At: at}, seawall.Action{What: "replay"})
	must(t, err)
	if (len(got) == 1) != (d.state.Final() || d.state == seawall.Held && d.unknown) {
		t.Fatalf("replay %s in %s: %v", d.id, d.state, got)
	}
	if len(got) == 1 {
		d.state, d.round, d.due, d.step, d.destination, d.diverted = seawall.Pending, 0, at, seawall.Send, d.first, false
	}
}

func (m *model) advance(*testing.T) {
	m.Clock.Advance(time.Duration(m.rand.IntN(5000)) * time.Millisecond)
}

// check compares all that the store holds with the model.
func (m *model) check(t *testing.T) {
	t.Helper()
	pending, held, dead := map[string]int64{}, map[string]int64{}, map[string]int64{}
	ready := map[string]int{}
	for _, d := range m.deliveries {
		got := m.delivery(t, d.id, d.state)
		if got.Attempts != d.attempts || got.Round != d.round || d.state == seawall.Pending && !got.Due.Equal(d.due) {
			t.Errorf("%s: got %+v, want %+v", d.id, got, d)
		}
		if got.Destination != d.destination || got.Diverted != d.diverted || got.Step != d.step {
			t.Errorf("%s: got %+v, want %+v", d.id, got, d)
		}
		m.attempts(t, d.id, d.attempts)
		switch d.state {
		case seawall.Pending:
			pending[d.destination]++
			if !d.due.After(m.Clock.Now()) {
				ready[d.destination]++
			}
		case seawall.Held, seawall.Sending:
			held[d.destination]++
		case seawall.Dead:
			dead[d.destination]++
		}
	}
	for _, name := range modelDestinations {
		if d := m.depth(t, name); d.Pending != pending[name] || d.Held != held[name] || d.Dead != dead[name] {
			t.Errorf("%s: depth %+v, want %d, %d, %d", name, d, pending[name], held[name], dead[name])
		}
		if got := m.claim(t, m.leases[name], 10_000); len(got) != ready[name] {
			t.Errorf("%s: %d are ready, want %d", name, len(got), ready[name])
		}
	}
	all := collect(t, func(p store.Page) (store.List[seawall.Delivery], error) {
		return m.Store.ListDeliveries(t.Context(), store.DeliveryFilter{}, p)
	})
	if len(all) != len(m.deliveries) {
		t.Errorf("%d deliveries are listed, want %d", len(all), len(m.deliveries))
	}
}
