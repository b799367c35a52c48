package system

import (
	"context"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Memory is a store of what nodes share about systems.
type Memory struct {
	now func() time.Time

	mu     sync.Mutex
	states map[string]store.SystemState
	rates  map[string]time.Time // when the bucket is full again
	parts  map[string]map[string]part
	sealed map[string]store.Sealed
	holds  map[string]hold

	Events []store.Acceptance
	Told   []store.Signal
	Calls  map[string]int // of each method
	Fail   error          // what everything fails with
}

type part struct {
	n, want, used int
	until         time.Time
}

type hold struct {
	node  string
	until time.Time
}

// NewMemory makes one that goes by now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{
		now: now, states: map[string]store.SystemState{}, rates: map[string]time.Time{}, parts: map[string]map[string]part{},
		sealed: map[string]store.Sealed{}, holds: map[string]hold{}, Calls: map[string]int{},
	}
}

func (m *Memory) begin(what string) (func(), error) {
	m.mu.Lock()
	m.Calls[what]++
	return m.mu.Unlock, m.Fail
}

func (m *Memory) SystemStates(context.Context) (out []store.SystemState, err error) {
	end, err := m.begin("SystemStates")
	defer end()
	for _, st := range m.states {
		out = append(out, st)
	}
	return out, err
}

func (m *Memory) SetSystem(_ context.Context, next store.SystemState, outcomes []store.Acceptance) (store.SystemState, bool, error) {
	end, err := m.begin("SetSystem")
	defer end()
	now := m.states[next.System]
	now.System = next.System
	if err != nil || now.Version != next.Version {
		return now, false, err
	}
	next.Version++
	m.states[next.System] = next
	m.Events = append(m.Events, outcomes...)
	return next, true, nil
}

func (m *Memory) Take(_ context.Context, system string, r store.Rate, want int) (n int, wait time.Duration, err error) {
	end, err := m.begin("Take")
	defer end()
	if err != nil {
		return 0, 0, err
	}
	now, full := m.now(), m.rates[system]
	if full.Before(now) {
		full = now
	}
	for n < want && full.Sub(now)+r.Every <= time.Duration(r.Burst)*r.Every {
		full = full.Add(r.Every)
		n++
	}
	m.rates[system] = full
	if n == 0 {
		wait = full.Sub(now) - time.Duration(r.Burst-1)*r.Every
	}
	return n, wait, nil
}

func (m *Memory) Share(_ context.Context, node string, wants []store.Share, ttl time.Duration) ([]int, error) {
	end, err := m.begin("Share")
	defer end()
	if err != nil {
		return nil, err
	}
	out := make([]int, len(wants))
	for i, w := range wants {
		if m.parts[w.System] == nil {
			m.parts[w.System] = map[string]part{}
		}
		parts := m.parts[w.System]
		others, taken, short := 0, 0, false
		for n, p := range parts {
			if !m.now().Before(p.until) {
				delete(parts, n)
			} else if n != node {
				others += min(p.want, 1)
				taken += max(p.n, p.used)
				short = short || p.n < p.want
			}
		}
		if w.Want == 0 {
			parts[node] = part{0, 0, w.Used, m.now().Add(ttl)}
			continue
		}
		n := min(w.Want, w.Limit-taken)
		if short {
			n = min(n, max(w.Limit/(others+1), 1))
		}
		parts[node] = part{max(n, 0), w.Want, w.Used, m.now().Add(ttl)}
		out[i] = max(n, 0)
	}
	return out, nil
}

func (m *Memory) Tell(s store.Signal) {
	end, _ := m.begin("Tell")
	defer end()
	m.Told = append(m.Told, s)
}

func (m *Memory) Sealed(_ context.Context, name string) (*store.Sealed, error) {
	end, err := m.begin("Sealed")
	defer end()
	s, ok := m.sealed[name]
	if err == nil && !ok {
		err = seawall.Errorf(seawall.ErrNotFound, "nothing is sealed as %q", name)
	}
	return &s, err
}

func (m *Memory) PutSealed(_ context.Context, s store.Sealed) (bool, error) {
	end, err := m.begin("PutSealed")
	defer end()
	if err != nil || m.sealed[s.Name].Version != s.Version {
		return false, err
	}
	s.Version++
	m.sealed[s.Name] = s
	return true, nil
}

func (m *Memory) Hold(_ context.Context, name, node string, ttl time.Duration) (bool, error) {
	end, err := m.begin("Hold")
	defer end()
	h := m.holds[name]
	if err != nil || h.node != node && m.now().Before(h.until) {
		return false, err
	}
	m.holds[name] = hold{node, m.now().Add(ttl)}
	return true, nil
}
