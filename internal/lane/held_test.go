package lane

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// What a queue holds counts against what all may hold. One that ends, at a reload
// or because its lane goes to another node, has more in hand than is in flight: if
// that went on counting, the others would have room for ever less.
func TestG8_AQueueThatEndsGivesBackWhatItHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var gone atomic.Bool
		target := Target{Name: "a", Lane: store.Lane{System: "a"}, Concurrency: 4}
		r, stop := startNode(m, "n1", Options{
			Deliver: func(_ context.Context, _ *store.Claimed, p Pass) store.Settlement {
				defer p.Leave()
				time.Sleep(time.Second)
				return store.Settlement{State: seawall.Delivered}
			},
			Wanted: func(context.Context) Wanted {
				if gone.Load() {
					return Wanted{}
				}
				return Wanted{Targets: []Target{target}}
			},
		})
		defer stop()
		for range 20 {
			gone.Store(false)
			m.add("a", 100)
			r.Refresh()
			for n := 0; r.held.Load() == 0; n++ {
				if time.Sleep(700 * time.Millisecond); n > 100 {
					t.Fatal("nothing is in hand")
				}
			}
			gone.Store(true)
			r.Refresh()
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := r.held.Load(); n != 0 {
				t.Fatalf("%d bytes are held by nobody", n)
			}
		}
	})
}
