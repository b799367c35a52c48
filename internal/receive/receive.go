// Package receive takes webhooks in: it bounds what a stranger can make us hold,
// verifies and identifies the request, plans and accepts its events, and only
// then answers 2xx. Everything that it turns away gets a problem document
// (RFC 9457) and leaves a visible arrival.
package receive

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Current is the running configuration, as far as receiving needs it.
type Current struct {
	Config   *config.Config
	Revision int64
	Source   func(name string) *config.Source // nil if there is none
	Plan     func(ev *seawall.Event, now time.Time, known plan.Known) plan.Planned
}

// Store is where arrivals end up.
type Store interface {
	Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error)
	Refuse(ctx context.Context, a seawall.Arrival) error
}

// Metrics counts arrivals. Result is a verdict or, of a rejection, its reason;
// source is "" where it is not one of ours.
type Metrics interface {
	Arrival(source, result string, took time.Duration)
}

// Options are what a Receiver works with. All are needed.
type Options struct {
	Current func() *Current
	Store   Store
	// Reserve tells the queues what is about to be accepted, and accepted what
	// became of it: nil if the batch failed.
	Reserve func(batch []store.Acceptance) (accepted func(done []store.Accepted))
	// Known plans an event, which ask does, with what is known of its entity.
	Known   func(ctx context.Context, ask func(plan.Known) plan.Planned) plan.Planned
	Metrics Metrics
	Log     *slog.Logger
	Now     func() time.Time
	Random  io.Reader // for event ids; must be safe for concurrent use
}

// Receiver is the handler of the public listener.
type Receiver struct {
	Options
	requests atomic.Int64 // being received now
	bytes    atomic.Int64 // of bodies held now
	refusals chan seawall.Arrival
	deadline deadline // for a commit
}

// New makes a Receiver. Run must run beside it.
func New(o Options) *Receiver {
	return &Receiver{Options: o, refusals: make(chan seawall.Arrival, 256)}
}

// ServeHTTP answers /in/{source}; anything else on the public listener is 404.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{rc: rc, cur: rc.Current(), w: w, r: r, start: rc.Now()}
	v.receive()
}

// Vouched takes an event in for which its sender's token vouches: proof says whose.
// The source need not verify it.
func (rc *Receiver) Vouched(w http.ResponseWriter, r *http.Request, proof string) {
	v := &visit{rc: rc, cur: rc.Current(), w: w, r: r, start: rc.Now(), proof: proof}
	v.receive()
}
