package system

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
)

func TestRetryAfterHoldsAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]struct {
			reply func() send.Reply
			want  time.Duration
		}{
			"seconds": {func() send.Reply { return status(429, "Retry-After", "90") }, 90 * time.Second},
			"a date": {func() send.Reply {
				return status(503, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			}, time.Hour},
			"much too long": {func() send.Reply { return status(503, "Retry-After", "999999999") }, 24 * time.Hour},
			"none left": {func() send.Reply {
				return status(200, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().Add(10*time.Minute).Unix()))
			}, 10 * time.Minute},
			"none left, drafts before": {func() send.Reply { return status(200, "RateLimit-Remaining", "0", "RateLimit-Reset", "30") }, 30 * time.Second},
			"none left, drafts since":  {func() send.Reply { return status(200, "RateLimit", `"day";r=100;t=5, "hour";r=0;t=60`) }, time.Minute},
			"some left":                {func() send.Reply { return status(200, "X-RateLimit-Remaining", "1", "X-RateLimit-Reset", "30") }, 0},
			"not ours to heed":         {func() send.Reply { return status(200, "Retry-After", "30") }, 0},
			"nonsense":                 {func() send.Reply { return status(200, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "soon") }, 0},
		} {
			m := NewMemory(time.Now)
			a, b := node(t, m, "a", config.System{}), node(t, m, "b", config.System{})
			stop := run(b)
			start := time.Now()
			asks(t, a.Of("crm"), c.reply())
			synctest.Wait()
			b.Hear(store.Signal{})
			synctest.Wait()
			for name, s := range map[string]*Systems{"a": a, "b": b} {
				p, err := s.Of("crm").Enter(t.Context(), "q")
				if err != nil {
					t.Fatal(err)
				}
				// The node that was told so goes on more slowly, beside.
				if took := time.Since(start); took < c.want || took > c.want+3*time.Second {
					t.Errorf("%s: node %s waited for %v, want %v", what, name, took, c.want)
				}
				p.Leave()
			}
			stop()
			again := node(t, m, "c", config.System{})
			if err := again.Learn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Without a time, we ask half as often, and then more often again.
func TestBusySystemIsAskedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := node(t, NewMemory(time.Now), "n", config.System{}).Of("crm")
		count := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); time.Now().Before(end); n++ {
				asks(t, y, status(200))
				time.Sleep(10 * time.Millisecond)
			}
			return n
		}
		count(10 * time.Second) // 100 a second
		for range 10 {
			asks(t, y, status(429)) // of what was under way already: one cut
		}
		after := count(time.Second)
		if after < 40 || after > 65 {
			t.Errorf("%d a second after a 429, of 100", after)
		}
		count(time.Minute)
		if back := count(time.Second); back < 98 || y.status().Pace != 0 {
			t.Errorf("%d a second after a minute", back)
		}
		for range 40 {
			asks(t, y, status(429))
			time.Sleep(2 * time.Second)
		}
		if p := y.status().Pace; p < slowest || p > 0.5 {
			t.Errorf("a system that always says so is asked %v times a second", p)
		}
	})
}

// A 503 without a time is a failure, and no word about how fast we are.
func TestG7_ASystemThatNowAndThenFailsIsAskedAsOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := node(t, NewMemory(time.Now), "n", config.System{}).Of("crm")
		for i := range 2000 {
			asks(t, y, status(map[bool]int{true: 503, false: 200}[i%50 == 0]))
			time.Sleep(10 * time.Millisecond)
		}
		if p := y.status().Pace; p != 0 {
			t.Errorf("a system that refuses one in fifty is asked %v times a second", p)
		}
	})
}
