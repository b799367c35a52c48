// Package system stands before every outside system: what is sent to one, by
// whichever route, goes through one object that asks its breaker, its limits and
// its own wishes first, adds its credentials, and learns from its answers.
//
// What the nodes must agree on, the store holds: permits of the rate, shares of
// the concurrency, the breaker and how long a system asked to be left alone.
package system

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/egress"
	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
)

// Store is what systems need of the store.
type Store interface {
	SystemStates(ctx context.Context) ([]store.SystemState, error)
	SetSystem(ctx context.Context, next store.SystemState, outcomes []store.Acceptance) (now store.SystemState, done bool, err error)
	Take(ctx context.Context, system string, r store.Rate, want int) (permits int, wait time.Duration, err error)
	Share(ctx context.Context, node string, wants []store.Share, ttl time.Duration) ([]int, error)
	Tell(s store.Signal)
	Vault
}

// Vault is what refresh tokens are kept in.
type Vault interface {
	Sealed(ctx context.Context, name string) (*store.Sealed, error)
	PutSealed(ctx context.Context, s store.Sealed) (done bool, err error)
	Hold(ctx context.Context, name, node string, ttl time.Duration) (held bool, err error)
}

// Options are what systems work with. Store, Node, Now and Log are needed.
type Options struct {
	Store Store
	Node  string
	Alone bool // no other node serves the store: nothing need be shared out
	Agent string
	Now   func() time.Time
	Log   *slog.Logger
	// Emit makes the events of what happened to a system, to be accepted with the
	// change itself, and Accepted hears of those that were. Both may be nil.
	Emit     func(kind, system string, data map[string]any) []store.Acceptance
	Accepted func([]store.Acceptance)
}

// The kinds of events that systems emit.
const (
	Opened = "breaker.opened"
	Closed = "breaker.closed"
)

const (
	renewEvery = 3 * time.Second // shares, and what other nodes changed
	shareTTL   = 15 * time.Second
	margin     = 2 * time.Second // that a share ends before the store takes it back
	storeTime  = 5 * time.Second // for what the store is asked at a time
)

// Systems are the outside systems of the running configuration.
type Systems struct {
	Options
	by      atomic.Pointer[map[string]*System]
	heard   chan struct{} // another node changed something
	wanting chan struct{} // a share is wanted
	writes  sync.WaitGroup

	using   sync.Mutex // of Use
	senders []*send.Sender
	mu      sync.Mutex
	states  map[string]store.SystemState // newest known, of systems not in the configuration too
	said    map[string]time.Time
}

// New makes Systems; there are none before Use.
func New(o Options) *Systems {
	s := &Systems{
		Options: o,
		heard:   make(chan struct{}, 1), wanting: make(chan struct{}, 1),
		states: map[string]store.SystemState{}, said: map[string]time.Time{},
	}
	s.by.Store(&map[string]*System{})
	return s
}

// Use makes a configuration the running one. A system of the same name goes on
// where it is; requests under way end as they began.
func (s *Systems) Use(c *config.Config) {
	s.using.Lock()
	defer s.using.Unlock()
	policy := egress.New(c.Egress)
	shared := send.New(send.Options{Policy: policy})
	old, senders := s.senders, []*send.Sender{shared}
	var keys []seal.Key
	for _, k := range c.Seal {
		keys = append(keys, seal.Key(k))
	}
	box := seal.New(keys)

	before, next := *s.by.Load(), map[string]*System{}
	for _, sys := range named(c) {
		sender := shared
		if sys.TLS != nil {
			sender = send.New(send.Options{Policy: policy, TLS: sys.TLS})
			senders = append(senders, sender)
		}
		y := before[sys.Name]
		if y == nil {
			y = s.system(sys.Name)
		}
		y.use(sys, sender, box)
		next[sys.Name] = y
	}
	s.senders = senders
	s.by.Store(&next)
	for name, y := range before {
		if next[name] == nil {
			y.retire()
		}
	}
	for _, o := range old {
		o.Close() // idle connections
	}
}

// named are the systems of a configuration, each destination's own included.
func named(c *config.Config) []*config.System {
	out := slices.Clone(c.Systems)
	known := map[string]bool{}
	for _, y := range out {
		known[y.Name] = true
	}
	for _, d := range c.Destinations {
		if name := Name(d); !known[name] {
			known[name] = true
			out = append(out, &config.System{Name: name})
		}
	}
	return out
}

// Name is the name of a destination's system.
func Name(d *config.Destination) string {
	if d.System != "" {
		return d.System
	}
	return d.Name
}

// Of returns a system; nil if the configuration has none of that name.
func (s *Systems) Of(name string) *System { return (*s.by.Load())[name] }

// Run renews what this node has of each system's limits, and learns what others
// changed, until ctx ends. It goes on for as long as anything may be sent.
func (s *Systems) Run(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		if err := s.Learn(ctx); err != nil && ctx.Err() == nil {
			s.complain("what other nodes know of systems is not known", "error", err)
		}
		s.share(ctx)
		select {
		case <-ctx.Done():
			s.giveBack(context.WithoutCancel(ctx))
			s.writes.Wait()
			return nil
		case <-tick.C:
		case <-s.heard:
		case <-s.wanting:
			s.share(ctx)
			select { // whoever else wants something may want it now
			case <-ctx.Done():
			case <-time.After(shareAgain):
			}
		}
	}
}

// Learn reads what all nodes know of each system. It is called before anything is
// sent, so that what was asked of us before a restart is heeded after it.
func (s *Systems) Learn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	states, err := s.Store.SystemStates(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, st := range states {
		s.states[st.System] = st
	}
	s.mu.Unlock()
	for _, st := range states {
		if y := s.Of(st.System); y != nil {
			y.adopt(st)
		}
	}
	return nil
}

// Hear takes in a signal of another node.
func (s *Systems) Hear(sig store.Signal) {
	if sig.Destination == "" {
		poke(s.heard)
	}
}

// tell tells the other nodes that something of a system changed.
func (s *Systems) tell(name string) {
	if !s.Alone {
		s.Store.Tell(store.Signal{Lane: store.Lane{System: name}})
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// spawn runs what writes to the store beside the path. Run waits for it.
func (s *Systems) spawn(f func()) { s.writes.Go(f) }

// sayEvery is how often the same trouble is logged.
const sayEvery = 30 * time.Second

func (s *Systems) complain(what string, args ...any) {
	s.mu.Lock()
	now, last := s.Now(), s.said[what]
	again := last.IsZero() || now.Sub(last).Abs() >= sayEvery
	if again {
		s.said[what] = now
	}
	s.mu.Unlock()
	if again {
		s.Log.Warn(what, args...)
	}
}

// Status is how a system stands, on this node.
type Status struct {
	Name    string
	State   store.SystemState // of all nodes
	Off     bool              // the breaker is
	Waiting int               // for leave to send
	Flight  int               // requests under leave of a limit; 0 where there is none
	Share   int               // this node's of the requests at a time; 0 where there is no such limit
	Limit   config.Limit
	Pace    float64 // requests a second that this node allows itself; 0: what is configured
}

// Status lists all systems by name.
func (s *Systems) Status() []Status {
	by := *s.by.Load()
	out := make([]Status, 0, len(by))
	for _, name := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[name].status())
	}
	return out
}

// agent is the user-agent of requests that are ours alone.
func (s *Systems) agent() http.Header {
	name := s.Agent
	if name == "" {
		name = "seawall"
	}
	return http.Header{"User-Agent": {name}}
}
