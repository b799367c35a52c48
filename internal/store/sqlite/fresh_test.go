package sqlite_test

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/internal/store/storetest"
	"github.com/seawall-dev/seawall/seawall"
)

// freshModel is what a store should hold of deliveries that come, end and wait at
// random, while the process dies now and then. Nothing reads the store in between:
// that would give all their rows.
type freshModel struct {
	*testing.T
	s     *sqlite.Store
	clock *storetest.Clock
	dice  *mathrand.Rand
	lease store.Lease
	died  int
	open  []settled // that have not ended
	all   map[seawall.DeliveryID]*seawall.Delivery
}

type settled struct {
	id  seawall.DeliveryID
	seq int64
}

func TestG1_FreshDeliveriesOutliveTheProcess(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := &freshModel{T: t, clock: storetest.NewClock(), dice: mathrand.New(mathrand.NewPCG(seed, 3)),
		all: map[seawall.DeliveryID]*seawall.Delivery{}}
	path := filepath.Join(t.TempDir(), "seawall.db")
	m.start(path)
	for range 4 {
		for range 20 + m.dice.IntN(60) {
			m.accept(1 + m.dice.IntN(40))
			m.settle(m.dice.IntN(len(m.open)))
		}
		path = copyStore(t, path)
		m.start(path)
		m.compare()
		if problems, err := sqlite.Check(t.Context(), path); err != nil || len(problems) > 0 {
			t.Errorf("the store is not sound: %q, %v", problems, err)
		}
	}
}

func (m *freshModel) start(path string) {
	m.Helper()
	m.s = open(m, path, sqlite.Options{Now: m.clock.Now, Exclusive: true})
	m.died++
	ls, err := m.s.Acquire(m.Context(), fmt.Sprint("n", m.died), []store.Lane{{System: "shop"}}, time.Minute)
	if err != nil || len(ls) != 1 {
		m.Fatalf("acquired %v, %v", ls, err)
	}
	m.lease = ls[0]
}

func (m *freshModel) accept(n int) {
	m.Helper()
	m.clock.Advance(time.Millisecond)
	now := m.clock.Now()
	batch := make([]store.Acceptance, n)
	for i := range batch {
		e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "app", ReceivedAt: now, Revision: 7, Entity: "order/1"}
		e.SourceID = e.ID.String()
		ds := make([]seawall.Delivery, []int{1, 1, 1, 2, 12}[m.dice.IntN(5)])
		for j := range ds {
			ds[j] = seawall.Delivery{Route: "r", Revision: 7, Destination: []string{"a", "b"}[m.dice.IntN(2)], System: "shop", Pinned: m.dice.IntN(2) == 0}
			switch m.dice.IntN(6) {
			case 0:
				ds[j].Entity = e.Entity
			case 1:
				ds[j].Due = now.Add(time.Hour)
			case 2:
				ds[j].State, ds[j].Reason = seawall.Held, seawall.ReasonUnknown
			}
		}
		batch[i] = store.Acceptance{Event: e, Expires: now.Add(time.Hour), Deliveries: ds}
	}
	if _, err := m.s.Accept(m.Context(), batch); err != nil {
		m.Fatal(err)
	}
	for _, a := range batch {
		for _, d := range a.Deliveries {
			m.all[d.ID] = &d
			m.open = append(m.open, settled{d.ID, a.Event.Seq})
		}
	}
}

// settle has some end, and some tried again later.
func (m *freshModel) settle(n int) {
	m.Helper()
	m.dice.Shuffle(len(m.open), func(i, j int) { m.open[i], m.open[j] = m.open[j], m.open[i] })
	now := m.clock.Now()
	ss := make([]store.Settlement, n)
	var rest []settled
	for i, d := range m.open[:n] {
		state := []seawall.State{seawall.Delivered, seawall.Delivered, seawall.Delivered, seawall.Dead, seawall.Pending}[m.dice.IntN(5)]
		ss[i] = store.Settlement{Lease: m.lease, Delivery: d.id, Seq: d.seq, State: state, At: now, Attempt: &seawall.Attempt{At: now}}
		if state == seawall.Pending {
			ss[i].Due = now.Add(time.Minute)
			rest = append(rest, d)
		}
		m.all[d.id].State, m.all[d.id].Due = state, ss[i].Due
		m.all[d.id].Attempts++
	}
	m.open = append(rest, m.open[n:]...)
	done, err := m.s.Settle(m.Context(), ss)
	if err != nil {
		m.Fatal(err)
	}
	for i, d := range done {
		if d != store.Done {
			m.Fatalf("%s: settled %v", ss[i].Delivery, d)
		}
	}
}

// compare holds what the store has beside what it should have.
func (m *freshModel) compare() {
	m.Helper()
	pending := map[string]int64{}
	for id, want := range m.all {
		d, err := m.s.Delivery(m.Context(), id)
		if err != nil {
			m.Errorf("%s, which should be %s: %v", id, want.State, err)
			continue
		}
		if want.State == seawall.Pending {
			pending[d.Destination]++
			if want.Due.IsZero() {
				want.Due = d.Created
			}
			if !d.Due.Equal(want.Due) {
				m.Errorf("%s is due at %s, and should be at %s", id, d.Due, want.Due)
			}
		}
		if d.State != want.State || d.Attempts != want.Attempts || d.Destination != want.Destination || d.Route != "r" ||
			d.Revision != 7 || d.Pinned != want.Pinned || d.Entity != want.Entity || d.Created.IsZero() {
			m.Errorf("got %+v, want %+v", d, want)
		}
	}
	depths, err := m.s.Depths(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	for _, d := range depths {
		if d.Pending != pending[d.Destination] {
			m.Errorf("%d are pending for %s, and %d are counted", pending[d.Destination], d.Destination, d.Pending)
		}
	}
}
