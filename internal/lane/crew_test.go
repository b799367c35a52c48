package lane

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Whoever is free is asked before another is taken on, and nobody stays on who is
// not kept: at most crewSize while there is work, none after it. The bubble does
// not end while one of them waits.
func TestCrewIsKeptAndDismissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		var done atomic.Int64
		gate := make(chan bool)
		work := func(n int) {
			for range n {
				c.do(func() { <-gate; done.Add(1) })
			}
		}
		work(crewSize + 20)
		close(gate)
		synctest.Wait()
		if n := len(c.idle); n != crewSize {
			t.Errorf("%d are kept, want %d", n, crewSize)
		}
		gate = make(chan bool)
		work(crewSize - 1)
		if n := len(c.idle); n != 1 {
			t.Errorf("%d are free while %d work, want 1", n, crewSize-1)
		}
		c.dismiss() // those that work end by themselves
		work(1)
		close(gate)
		synctest.Wait()
		if n := done.Load(); n != 2*crewSize+20 {
			t.Errorf("%d done, want %d", n, 2*crewSize+20)
		}
	})
}
