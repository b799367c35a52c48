package lane

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/store"
)

// share divides lanes among nodes: the same way on every node that knows the
// same of both, so that nobody needs to be asked. No node gets more than its
// part, rounded up; the shards of one system are spread first. Each lane has its
// own order of the nodes (rendezvous hashing), so when a node comes or goes few
// others' lanes move.
func share(lanes []store.Lane, nodes []string) map[store.Lane]string {
	out := make(map[store.Lane]string, len(lanes))
	if len(nodes) == 0 {
		return out
	}
	d := division{nodes: nodes, out: out, has: map[string]int{}, most: part(len(lanes), len(nodes))}
	bySystem := map[string][]store.Lane{}
	for _, l := range lanes {
		bySystem[l.System] = append(bySystem[l.System], l)
	}
	var single []store.Lane
	systems := slices.SortedFunc(maps.Keys(bySystem), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(bySystem[b]), len(bySystem[a])), strings.Compare(a, b))
	})
	for _, s := range systems {
		shards := bySystem[s]
		if len(shards) == 1 {
			single = append(single, shards[0])
			continue
		}
		d.deal(shards, part(len(shards), len(nodes)))
		d.deal(shards, len(shards)) // what found no room where it would be spread best
	}
	d.deal(single, len(single))
	return out
}

// part is one of n equal parts, rounded up.
func part(whole, n int) int { return (whole + n - 1) / n }

// division is work being shared out.
type division struct {
	nodes []string
	out   map[store.Lane]string
	has   map[string]int
	most  int // lanes of one node
}

// deal gives each of the lanes that has no node yet to the one that it prefers
// most and that still has room: at most so many of these, and most in all. Who
// prefers whom most goes first, so the order of the lanes does not matter.
func (d *division) deal(lanes []store.Lane, ofThese int) {
	type wish struct {
		weight uint64
		lane   store.Lane
		node   string
	}
	wishes := make([]wish, 0, len(lanes)*len(d.nodes))
	these := map[string]int{}
	for _, l := range lanes {
		if n, dealt := d.out[l]; dealt {
			these[n]++
			continue
		}
		for _, n := range d.nodes {
			wishes = append(wishes, wish{weight(l, n), l, n})
		}
	}
	slices.SortFunc(wishes, func(a, b wish) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), strings.Compare(a.node, b.node),
			strings.Compare(a.lane.System, b.lane.System), cmp.Compare(a.lane.Shard, b.lane.Shard))
	})
	for _, w := range wishes {
		if _, dealt := d.out[w.lane]; dealt || d.has[w.node] >= d.most || these[w.node] >= ofThese {
			continue
		}
		d.out[w.lane] = w.node
		d.has[w.node]++
		these[w.node]++
	}
}

// favourite is the node that a lane prefers, whatever that one has already.
func favourite(l store.Lane, nodes []string) (best string) {
	var most uint64
	for _, n := range nodes {
		if w := weight(l, n); best == "" || w > most {
			best, most = n, w
		}
	}
	return best
}

// weight is how much a lane prefers a node: FNV-1a over both, stirred.
func weight(l store.Lane, node string) uint64 {
	h := uint64(14695981039346656037)
	add := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	for i := range len(l.System) {
		add(l.System[i])
	}
	add(0)
	add(byte(l.Shard))
	add(byte(l.Shard >> 8))
	for i := range len(node) {
		add(node[i])
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
