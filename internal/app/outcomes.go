package app

import (
	"github.com/seawall-dev/seawall/internal/outcome"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// outcomes is the running configuration as outcomes see it.
func (p *path) outcomes() outcome.Current {
	l := p.now()
	return outcome.Current{Routes: l.plan, Revision: l.revision, Keep: l.config.Retention.Dedupe}
}

// announce tells the queues of events that were accepted with something else.
func (a *App) announce(batch []store.Acceptance) {
	for i := range batch {
		for j := range batch[i].Deliveries {
			d := &batch[i].Deliveries[j]
			a.lanes.Announce(store.Lane{System: d.System, Shard: d.Shard}, d.Destination)
		}
	}
	if len(batch) > 0 {
		a.accepted.tell()
	}
}

// settled passes on what was written of deliveries to who waits for calls, for links,
// and who follows along. The queues know already.
func (a *App) settled(ss []store.Settlement, done []store.Settled) {
	a.calls.Settled(ss)
	for i := range ss {
		if ss[i].State == seawall.Held && ss[i].Reason == seawall.ReasonUnresolved && done[i] == store.Done {
			a.resolver.Again(ss[i].Delivery.Event())
		}
	}
	for i := range ss {
		if len(ss[i].Links) > 0 && done[i] == store.Done {
			a.resolver.Learned()
			break
		}
	}
	for i := range ss {
		if len(ss[i].Outcomes) > 0 && done[i] == store.Done {
			a.accepted.tell()
			return
		}
	}
}
