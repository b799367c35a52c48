package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// memory is a store of pending deliveries, just enough for runners.
type memory struct {
	mu      sync.Mutex
	nodes   map[string]alive
	runners map[string]*Runner // who hears signals
	told    []store.Signal
	deaf    bool            // signals are lost
	cut     map[string]bool // nodes that do not reach the store
	rescans map[string]int
	token   int64
	owner   map[store.Lane]store.Lease
	pending map[string][]store.Claimed
	gates   map[string]seawall.Gate
	settled []store.Settlement
	settles int
	sending map[seawall.DeliveryID]store.Lane // begun, not settled
	unknown []seawall.DeliveryID              // that a takeover found begun
	intents map[seawall.DeliveryID]bool       // ever begun
	begins  int
	unbegun error         // what Begin fails with, after it has committed
	slowly  chan struct{} // not nil: Begin waits for this
	claims  map[string]int
	broken  error              // what Settle fails with
	refuse  seawall.DeliveryID // Settle fails for good where this is among them
	unread  error              // what Claim fails with
	late    time.Duration      // how long the answer of Acquire takes
	lost    bool               // leases are not renewed
	slow    chan struct{}      // not nil: a claim reads its snapshot, and goes on only after this
	arrives chan struct{}      // not nil: a claim has its answer, which arrives only after this
	wrote   func()             // not nil: is called once a settlement is committed, before its answer arrives
	lines
}

func newMemory() *memory {
	return &memory{
		lines: newLines(),
		owner: map[store.Lane]store.Lease{}, pending: map[string][]store.Claimed{},
		gates: map[string]seawall.Gate{}, claims: map[string]int{},
		nodes: map[string]alive{}, runners: map[string]*Runner{}, sending: map[seawall.DeliveryID]store.Lane{}, intents: map[seawall.DeliveryID]bool{}, cut: map[string]bool{}, rescans: map[string]int{},
	}
}

func (m *memory) Acquire(ctx context.Context, node string, lanes []store.Lane, ttl time.Duration) (out []store.Lease, err error) {
	defer func() {
		if m.late > 0 { // the answer is; whoever stops waiting does not hear it
			select {
			case <-time.After(m.late):
			case <-ctx.Done():
				out, err = nil, ctx.Err()
			}
		}
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range lanes {
		lease, held := m.owner[l]
		if held && lease.Node != node && lease.Until.After(time.Now()) {
			continue
		}
		if !held || lease.Node != node {
			m.token++
			lease = store.Lease{Lane: l, Node: node, Token: m.token, Unclean: held}
			m.takeOver(l)
		}
		lease.Until = time.Now().Add(ttl)
		m.owner[l] = lease
		lease.Until = lease.Until.Add(-margin)
		out = append(out, lease)
	}
	return out, nil
}

// takeOver holds what an owner before began.
func (m *memory) takeOver(l store.Lane) {
	for id, in := range m.sending {
		if in == l {
			delete(m.sending, id)
			m.unknown = append(m.unknown, id)
		}
	}
}

func (m *memory) Begin(_ context.Context, l store.Lease, ids []seawall.DeliveryID) (begun []seawall.DeliveryID, _ error) {
	m.mu.Lock()
	m.begins++
	slowly := m.slowly
	m.mu.Unlock()
	if slowly != nil {
		<-slowly
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if w := m.byID(id); w != nil && w.State != seawall.Pending {
			continue
		}
		if _, already := m.sending[id]; m.owner[l.Lane].Token == l.Token && !already {
			m.sending[id], m.intents[id] = l.Lane, true
			begun = append(begun, id)
		}
	}
	return begun, m.unbegun
}

// margin is how long before its lease runs out an owner must stop.
const margin = 2 * time.Second

// alive is a node until its beat runs out.
type alive struct {
	store.Node
	until time.Time
}

func (m *memory) Beat(_ context.Context, n store.Node, ttl time.Duration) (out []store.Node, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return nil, errors.New("the store is away")
	}
	m.nodes[n.Name] = alive{n, time.Now().Add(ttl)}
	for _, name := range slices.Sorted(maps.Keys(m.nodes)) {
		if a := m.nodes[name]; a.until.After(time.Now()) {
			out = append(out, a.Node)
		}
	}
	return out, nil
}

func (m *memory) Leave(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, name)
	return nil
}

func (m *memory) Renew(_ context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return nil, errors.New("the store is away")
	}
	var out []store.Lease
	for _, l := range leases {
		if m.owner[l.Lane].Token == l.Token {
			l.Until = time.Now().Add(ttl)
			m.owner[l.Lane] = l
			l.Until = l.Until.Add(-margin)
			out = append(out, l)
		}
	}
	return out, nil
}

func (m *memory) Release(_ context.Context, leases []store.Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range leases {
		if m.owner[l.Lane].Token == l.Token {
			delete(m.owner, l.Lane)
		}
	}
	return nil
}

func (m *memory) Claim(_ context.Context, l store.Lease, c store.Claim) (out []store.Claimed, next time.Time, _ error) {
	m.mu.Lock()
	snapshot, slow := slices.Clone(m.pending[c.Destination]), m.slow
	m.claims[c.Destination]++
	if c.Rescan {
		m.rescans[c.Destination]++
	}
	unread := m.unread
	m.mu.Unlock()
	if unread != nil {
		return nil, next, unread
	}
	if slow != nil {
		<-slow
	}
	m.mu.Lock()
	arrives := m.arrives
	m.mu.Unlock()
	defer func() {
		if arrives != nil {
			<-arrives
		}
	}()
	bytes := 0
	for _, p := range snapshot {
		switch {
		case laneOf(&p.Delivery) != l.Lane:
		case c.Busy != nil && c.Busy(p.Delivery.ID), m.begun(p.Delivery.ID):
		case p.Delivery.Due.After(c.Now) || len(out) == c.Limit || c.Bytes > 0 && bytes > c.Bytes:
			if next.IsZero() || p.Delivery.Due.Before(next) {
				next = p.Delivery.Due
			}
		default:
			out = append(out, p)
			bytes += len(p.Event.Body)
		}
	}
	return out, next, nil
}

// begun tells that a delivery is not pending because someone began it.
func (m *memory) begun(id seawall.DeliveryID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, sending := m.sending[id]
	return sending || slices.Contains(m.unknown, id)
}

func (m *memory) Settle(_ context.Context, ss []store.Settlement) ([]store.Settled, error) {
	m.mu.Lock()
	wrote := m.wrote
	defer func() {
		m.mu.Unlock()
		if wrote != nil {
			wrote()
		}
	}()
	if m.settles++; m.broken != nil {
		return nil, m.broken
	}
	for _, s := range ss {
		if s.Delivery == m.refuse {
			return nil, errors.New("refused for what it is")
		}
	}
	out := make([]store.Settled, len(ss))
	for i, s := range ss {
		if m.owner[s.Lease.Lane].Token != s.Lease.Token {
			out[i] = store.Fenced
			continue
		}
		m.settled = append(m.settled, s)
		delete(m.sending, s.Delivery)
		if w := m.byID(s.Delivery); w != nil {
			out[i] = m.settleLine(&ss[i], w)
			continue
		}
		for d, ps := range m.pending {
			if k := slices.IndexFunc(ps, func(p store.Claimed) bool { return p.Delivery.ID == s.Delivery }); k >= 0 {
				if s.State == seawall.Pending {
					ps[k].Delivery.Due = s.Due
				} else {
					m.pending[d] = slices.Delete(ps, k, k+1)
				}
			}
		}
	}
	return out, nil
}

func (m *memory) Gates(context.Context) (out []store.GateState, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d, g := range m.gates {
		out = append(out, store.GateState{Destination: d, Gate: g})
	}
	return out, nil
}

func (m *memory) Delivery(_ context.Context, id seawall.DeliveryID) (*seawall.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ps := range m.pending {
		for _, p := range ps {
			if p.Delivery.ID == id {
				return &p.Delivery, nil
			}
		}
	}
	return &seawall.Delivery{ID: id, State: seawall.Canceled}, nil
}

func (m *memory) add(dest string, n int) (ids []seawall.DeliveryID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		c := fresh(dest)
		m.pending[dest] = append(m.pending[dest], c)
		ids = append(ids, c.Delivery.ID)
	}
	return ids
}

func (m *memory) count(state seawall.State) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.settled {
		if s.State == state {
			n++
		}
	}
	return n
}

var serial uint32

func fresh(dest string) store.Claimed {
	serial++
	seed := [10]byte{9: 0}
	binary.BigEndian.PutUint32(seed[4:], serial)
	ev := &seawall.Event{ID: seawall.NewEventID(time.Now(), &fixed{seed[:]}), Body: []byte("{}")}
	return store.Claimed{
		Delivery: seawall.Delivery{ID: ev.ID.Delivery(1), Destination: dest, System: dest, Due: time.Now()},
		Event:    ev,
	}
}

type fixed struct{ b []byte }

func (f *fixed) Read(p []byte) (int, error) { return copy(p, f.b), nil }

func keyFor(dest string) key { return key{store.Lane{System: dest}, dest} }

func delivered(context.Context, *store.Claimed, Pass) store.Settlement {
	return store.Settlement{State: seawall.Delivered}
}

// start runs a runner over targets of concurrency 2; stop ends it and waits.
func start(m *memory, deliver func(context.Context, *store.Claimed, Pass) store.Settlement, names ...string) (r *Runner, stop func()) {
	return startWith(m, deliver, func() (ts []Target) {
		for _, n := range names {
			ts = append(ts, Target{Name: n, Lane: store.Lane{System: n}, Concurrency: 2})
		}
		return ts
	})
}

func startWith(m *memory, deliver func(context.Context, *store.Claimed, Pass) store.Settlement, targets func() []Target) (r *Runner, stop func()) {
	return startNode(m, "n1", Options{Deliver: deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: targets()} }})
}

// startNode runs a runner as a node of its own.
func startNode(m *memory, name string, o Options) (r *Runner, stop func()) {
	o.Store, o.Node, o.Log, o.Now = node{m, name}, name, slog.New(slog.DiscardHandler), time.Now
	o.Poll, o.Drain, o.Bytes = 5*time.Second, 30*time.Second, 64<<20
	r = New(o)
	m.mu.Lock()
	m.runners[name] = r
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	return r, func() {
		cancel()
		<-done
		m.mu.Lock()
		delete(m.runners, name)
		m.mu.Unlock()
	}
}
