package receive

import (
	"testing"
	"testing/synctest"
	"time"
)

// Whoever comes has all of the time there is for a commit, and little more.
func TestADeadlineIsSharedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadline
		first := d.context()
		time.Sleep(deadlineStep)
		if d.context() != first {
			t.Error("it is not shared")
		}
		time.Sleep(time.Millisecond)
		began, second := time.Now(), d.context()
		if second == first {
			t.Error("what comes later has less time")
		}
		<-second.Done()
		if took := time.Since(began); took != acceptTimeout+deadlineStep {
			t.Errorf("it ended after %s", took)
		}
		if first.Err() == nil {
			t.Error("the first has not ended")
		}
	})
}
