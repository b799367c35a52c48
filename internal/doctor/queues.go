package doctor

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// overdue is how long the oldest delivery may have been due.
const overdue = 5 * time.Minute

// queues looks at what waits, by the store itself: it need not be served.
func (e *examination) queues(ctx context.Context) {
	const check = "queues"
	ctx, cancel := context.WithTimeout(ctx, 3*patience) // counting may take long
	defer cancel()
	s, err := engine.Open(ctx, e.Node.Store, engine.Options{Now: e.Now})
	if err != nil {
		e.failed(check, err)
		return
	}
	defer func() {
		if err := s.Close(); err != nil {
			e.failed(check, err)
		}
	}()
	depths, err := s.Depths(ctx)
	if err != nil {
		e.failed(check, err)
		return
	}
	gates, err := s.Gates(ctx)
	if err != nil {
		e.failed(check, err)
		return
	}
	closed := e.gates(gates)
	pending, dead := int64(0), int64(0)
	for _, d := range depths {
		pending += d.Pending
		dead += d.Dead
		if age := e.Now().Sub(d.OldestDue); !d.OldestDue.IsZero() && age > overdue && !closed[d.Destination] {
			e.warn(check, "is a gateway running, and the destination up? seawall destinations list",
				"%s: the oldest delivery has been due for %s", d.Destination, age.Round(time.Second))
		}
		if d.Dead > 0 {
			e.warn(check, "seawall deliveries list --state dead, and seawall replay once the cause is gone", "%s: %d dead letters", d.Destination, d.Dead)
		}
	}
	e.ok(check, "%d deliveries pending, %d dead, %d destinations", pending, dead, len(depths))
}

// gates names the destinations that nothing is sent to, and returns them.
func (e *examination) gates(gs []store.GateState) map[string]bool {
	closed := map[string]bool{}
	for _, g := range gs {
		if g.Gate == seawall.Open {
			continue
		}
		closed[g.Destination] = true
		do := "seawall destinations resume " + g.Destination
		if g.Gate == seawall.Disabled {
			do += ", if it is not gone for good"
		}
		e.warn("gates", do, "%s is %s since %s: %s", g.Destination, g.Gate, g.At.Format(time.RFC3339), g.Reason)
	}
	return closed
}
