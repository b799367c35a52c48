package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/seawall-dev/seawall/test/witness"
)

// harm kills a node every few seconds and starts it again, or stops it where it
// is for a while, until shortly before ctx ends. It returns once every node
// runs.
func (r *run) harm(ctx context.Context) error {
	random := rand.New(rand.NewPCG(r.seed, 0))
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	until, _ := ctx.Deadline()
	for until = until.Add(-calm); ctx.Err() == nil; {
		wait := between(3*time.Second, 6*time.Second)
		node := random.IntN(r.nodes)
		if random.IntN(3) == 0 {
			long := between(3*time.Second, 20*time.Second)
			if time.Now().Add(wait + long).After(until) {
				break
			}
			witness.Pause(ctx, wait)
			r.say("node %d stands still for %s", node, long.Round(time.Second))
			if err := r.fleet.Pause(ctx, node, long); err != nil {
				return err
			}
			r.say("node %d goes on", node)
			continue
		}
		down := between(time.Second, 4*time.Second)
		if time.Now().Add(wait + down).After(until) {
			break
		}
		witness.Pause(ctx, wait)
		r.say("node %d is killed", node)
		if err := r.fleet.Kill(node); err != nil {
			return err
		}
		witness.Pause(ctx, down)
		r.say("node %d is started", node)
		if err := r.fleet.Nodes[node].Start(); err != nil {
			return err
		}
		r.sender.Repeat()
	}
	r.say("nothing more is done to the nodes")
	<-ctx.Done()
	return nil
}
