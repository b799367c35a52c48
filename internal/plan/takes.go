package plan

import "github.com/seawall-dev/seawall/seawall"

// Takes tells whether a route takes events of a source and type, whatever they
// say; and named, whether one names that type itself, without a star.
func (p *Planner) Takes(source, kind string) (taken, named bool) {
	for i := range p.routes[source] {
		r := &p.routes[source][i]
		taken = taken || matchAny(r.types, kind)
		for _, g := range r.types {
			named = named || len(g) == 1 && g[0] == kind
		}
	}
	return taken, named
}

// Shard is where among n queues an event's deliveries wait.
func Shard(ev *seawall.Event, n int) int { return shard(ev, n) }
