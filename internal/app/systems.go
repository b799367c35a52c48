package app

import (
	"context"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// callsAtATime is how many calls a system gets at a time that does not limit it.
const callsAtATime = 16

// enter waits until the system that a queue's deliveries go to may be asked once
// more. A queue in a stray lane waits for the system that its destination has now.
func (p *path) enter(ctx context.Context, _ store.Lane, destination string) (lane.Pass, error) {
	l := p.now()
	y := p.app.systems.Of(l.system(destination))
	if y == nil {
		return none{}, nil // a reload has just taken it away: deliver sees that too
	}
	if l.turnsAside(destination) {
		return enterOr(ctx, y, destination)
	}
	pass, err := y.Enter(ctx, destination)
	if err != nil {
		return nil, err
	}
	return pass, nil
}

// none is the pass where there is no system.
type none struct{}

func (none) Leave() {}

// system is the name of the one that a destination's deliveries go to; "" if there
// is none.
func (l *live) system(destination string) string {
	if d := l.destinations[destination]; d != nil {
		return system.Name(d)
	}
	if y := l.callee(&seawall.Delivery{Destination: destination}); y != nil {
		return y.Name
	}
	name, _ := strings.CutPrefix(destination, seawall.CallsTo(""))
	return name
}

// send makes one attempt by the leave that its queue had.
func (p *path) send(ctx context.Context, have lane.Pass, to string, record *seawall.Request, r *send.Request, limits send.Timeouts) send.Reply {
	pass, ok := have.(*system.Pass)
	if !ok || pass.System().Name() != to {
		// Shaped by an earlier configuration, in which it goes to another system.
		y := p.app.systems.Of(to)
		if y == nil {
			return send.Reply{At: p.app.Now(), Err: seawall.Errorf(seawall.ErrNotFound, "not sent: system %q is not in the configuration", to)}
		}
		have.Leave()
		var err error
		if pass, err = y.Enter(ctx, to); err != nil {
			return send.Reply{At: p.app.Now(), Err: err, Canceled: true}
		}
		defer pass.Leave()
	}
	pass.System().Veil(record)
	return pass.Do(ctx, r, limits)
}

// calls are the queues of calls, one for each system that is declared: like
// those of destinations.
func calls(c *config.Config) []*config.Destination {
	var out []*config.Destination
	for _, y := range c.Declared() {
		d := &config.Destination{
			Name: seawall.CallsTo(y.Name), System: y.Name, Shards: y.Shards, Concurrency: y.Limit.Concurrency, Unsafe: true,
		}
		if d.Concurrency == 0 {
			d.Concurrency = callsAtATime
		}
		if y.RenamedFrom != "" {
			d.RenamedFrom = seawall.CallsTo(y.RenamedFrom)
		}
		out = append(out, d)
	}
	return out
}
