// Package call takes calls over from the product: it makes each durable before
// it says so, recognises the same call under the same idempotency key, and gives
// its answer to whoever asks and waits. What becomes of a call in between is the
// path of every event (docs/decisions/calls.md).
package call

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Store is what calls need of the store.
type Store interface {
	Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error)
	Event(ctx context.Context, id seawall.EventID) (*seawall.Event, error)
	Delivery(ctx context.Context, id seawall.DeliveryID) (*seawall.Delivery, error)
	Answers(ctx context.Context, ids []seawall.DeliveryID) (map[seawall.DeliveryID]*seawall.Answer, error)
	Cancel(ctx context.Context, ids []seawall.DeliveryID, reason string, a seawall.Action) ([]seawall.DeliveryID, error)
}

// Current is the running configuration, as far as calls need it.
type Current struct {
	Config   *config.Config
	Revision int64
	System   func(name string) *config.System // declared ones only; nil if there is none
	// Plan plans the event of a call onto the routes that want to know of calls.
	Plan func(ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery)
}

// Options are what Calls works with. All are needed, but Reserve and Stopping.
type Options struct {
	Current func() *Current
	Store   Store
	// Reserve tells the queues what is about to be accepted, and accepted what
	// became of it: nil if the batch failed.
	Reserve func(batch []store.Acceptance) (accepted func(done []store.Accepted))
	// Wake tells all nodes that a queue has changed.
	Wake   func(destination string)
	Log    *slog.Logger
	Now    func() time.Time
	Random io.Reader // for ids; safe for concurrent use
	Shared bool      // other nodes may settle what waits here
	// Stopping is closed when the process is about to stop: who waits is let go.
	// It may be nil.
	Stopping <-chan struct{}
}

// Calls takes over calls. Run must run beside it.
type Calls struct {
	Options
	waits waits
}

// New makes Calls.
func New(o Options) *Calls {
	if o.Reserve == nil {
		o.Reserve = func([]store.Acceptance) func([]store.Accepted) { return func([]store.Accepted) {} }
	}
	return &Calls{Options: o, waits: waits{by: map[seawall.DeliveryID]map[chan struct{}]bool{}}}
}

// Horizon is how long an idempotency key is remembered, or for as long as events
// are kept, if that is less.
const Horizon = 7 * 24 * time.Hour

// Call is a call and what is known of it.
type Call struct {
	Event    *seawall.Event
	Delivery *seawall.Delivery
	Answer   *seawall.Answer // nil: none, or none yet
	System   string
	By       string // whose call it is
	Key      string // under which it was posted
}

// ID is the call's id, call_….
func (c *Call) ID() string { return c.Event.ID.Call() }

// Settled tells whether waiting longer is of no use: there is an answer, or there
// will be none unless a person does something.
func (c *Call) Settled() bool {
	return c.Answer != nil || c.Delivery.State.Final() || c.Delivery.State == seawall.Held
}

// Get returns a call; [seawall.ErrNotFound].
func (c *Calls) Get(ctx context.Context, id seawall.EventID) (*Call, error) {
	ev, err := c.Store.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	if ev.Source != seawall.SourceCalls {
		return nil, seawall.Errorf(seawall.ErrNotFound, "%s is not a call, but an event of the source %s", id, ev.Source)
	}
	return c.of(ctx, ev)
}

// of adds to a call's event what became of it.
func (c *Calls) of(ctx context.Context, ev *seawall.Event) (*Call, error) {
	out := &Call{Event: ev}
	out.System, out.By, out.Key = splitID(ev.SourceID)
	id := ev.ID.Delivery(1)
	var err error
	// An answer is written together with the state. Read in this order, a settled
	// call is never seen without the answer that it has; and where the answer came
	// between the two, the state is read anew.
	if out.Delivery, err = c.Store.Delivery(ctx, id); err != nil {
		return nil, err
	}
	answers, err := c.Store.Answers(ctx, []seawall.DeliveryID{id})
	if err != nil {
		return nil, err
	}
	if out.Answer = answers[id]; out.Answer != nil && !out.Delivery.State.Final() {
		out.Delivery, err = c.Store.Delivery(ctx, id)
	}
	return out, err
}

// Cancel ends a call that has not been made; [seawall.ErrConflict] if it has
// ended otherwise, or may have been made.
func (c *Calls) Cancel(ctx context.Context, call *Call, reason string, a seawall.Action) (*Call, error) {
	d := call.Delivery
	if d.State == seawall.Sending || d.State.Final() && d.State != seawall.Canceled {
		return nil, seawall.Errorf(seawall.ErrConflict, "%s cannot be canceled: it is %s", call.ID(), d.State)
	}
	ended, err := c.Store.Cancel(ctx, []seawall.DeliveryID{d.ID}, reason, a)
	if err != nil {
		return nil, err
	}
	now, err := c.of(ctx, call.Event)
	if err != nil {
		return nil, err
	}
	if len(ended) == 0 && now.Delivery.State != seawall.Canceled {
		return nil, seawall.Errorf(seawall.ErrConflict, "%s cannot be canceled: it is %s", call.ID(), now.Delivery.State)
	}
	c.waits.tell(d.ID)
	c.Wake(d.Destination)
	return now, nil
}
