package lane

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
)

func singles(n int) (ls []store.Lane) {
	for i := range n {
		ls = append(ls, store.Lane{System: fmt.Sprint("system-", i)})
	}
	return ls
}

func shardsOf(system string, n int) (ls []store.Lane) {
	for i := range n {
		ls = append(ls, store.Lane{System: system, Shard: i})
	}
	return ls
}

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("node-", i))
	}
	return out
}

// Every lane has a node that lives, no node more than its part, whatever the
// order in which a node learned of them.
func TestG2_EveryLaneHasANode(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		lanes, nodes := singles(rnd.IntN(40)), names(1+rnd.IntN(9))
		for i := range rnd.IntN(4) {
			lanes = append(lanes, shardsOf(fmt.Sprint("hot-", i), 2+rnd.IntN(20))...)
		}
		got := share(lanes, nodes)
		has := map[string]int{}
		for _, l := range lanes {
			if !slices.Contains(nodes, got[l]) {
				t.Fatalf("%d lanes, %d nodes: %v is with %q", len(lanes), len(nodes), l, got[l])
			}
			has[got[l]]++
		}
		for n, c := range has {
			if c > part(len(lanes), len(nodes)) {
				t.Fatalf("%d of %d lanes are with %s of %d nodes", c, len(lanes), n, len(nodes))
			}
		}
		rnd.Shuffle(len(lanes), func(i, j int) { lanes[i], lanes[j] = lanes[j], lanes[i] })
		rnd.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		again := share(lanes, nodes)
		for _, l := range lanes {
			if again[l] != got[l] {
				t.Fatalf("%v: %s for one node, %s for another", l, got[l], again[l])
			}
		}
	}
}

func TestShardsOfOneSystemAreSpread(t *testing.T) {
	for _, c := range []struct{ shards, others, nodes, most int }{
		{2, 0, 2, 1}, {4, 0, 2, 2}, {8, 0, 3, 3}, {2, 20, 2, 1}, {8, 50, 4, 2}, {3, 1, 5, 1},
	} {
		lanes := append(singles(c.others), shardsOf("hot", c.shards)...)
		has := map[string]int{}
		for l, n := range share(lanes, names(c.nodes)) {
			if l.System == "hot" {
				has[n]++
			}
		}
		for n, got := range has {
			if got > c.most {
				t.Errorf("%+v: %d shards with %s", c, got, n)
			}
		}
	}
}

// When a node comes or goes, what has to move does, and little else: a lane that
// moves is delivered by nobody for a moment.
func TestFewLanesMove(t *testing.T) {
	for _, c := range []struct{ lanes, nodes int }{{12, 2}, {12, 3}, {100, 3}, {100, 5}, {1000, 4}, {1000, 10}} {
		lanes, nodes := singles(c.lanes), names(c.nodes+1)
		few, many := share(lanes, nodes[:c.nodes]), share(lanes, nodes)
		moved := 0
		for _, l := range lanes {
			if few[l] != many[l] {
				moved++
			}
		}
		must := c.lanes / (c.nodes + 1)
		if most := must + c.lanes/4; moved < must || moved > most {
			t.Errorf("%d lanes, from %d nodes to one more: %d move, %d have to, want at most %d", c.lanes, c.nodes, moved, must, most)
		}
		t.Logf("%d lanes, from %d nodes to one more: %d move, %d have to", c.lanes, c.nodes, moved, must)
	}
}

func TestStrayLanesHaveANode(t *testing.T) {
	has := map[string]int{}
	for _, l := range singles(100) {
		n := favourite(l, names(3))
		has[n]++
		for _, fewer := range [][]string{names(3)[1:], names(3)[:2]} {
			if slices.Contains(fewer, n) && favourite(l, fewer) != n {
				t.Errorf("%v moved from %s, which still lives", l, n)
			}
		}
	}
	if len(has) != 3 || favourite(store.Lane{}, nil) != "" {
		t.Errorf("%v", has)
	}
}
