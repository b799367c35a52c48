package call

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var yes = &seawall.Answer{Status: 200, Body: []byte("{}")}

func TestWhoWaitsIsToldAtOnceByTheNodeThatSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := newCalls(t, m)
		p, err := c.Post(t.Context(), charge("k"))
		if err != nil {
			t.Fatal(err)
		}
		start, id := time.Now(), p.Delivery.ID
		go func() {
			time.Sleep(300 * time.Millisecond)
			m.settle(id, seawall.Delivered, "", yes)
			c.Settled([]store.Settlement{{Delivery: id, State: seawall.Delivered, Answer: yes}})
		}()
		got, err := c.Wait(t.Context(), p.Call)
		if err != nil || got.Answer != yes {
			t.Fatalf("%+v, %v", got, err)
		}
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("told after %s", took)
		}
	})
}

func TestWhoWaitsIsToldWithin100msOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := newCalls(t, m, func(o *Options) { o.Shared = true })
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		go c.Run(ctx)
		posts := make([]*Posted, 3)
		for i, key := range []string{"a", "b", "c"} {
			var err error
			if posts[i], err = c.Post(t.Context(), charge(key)); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for _, p := range posts[1:] {
			go c.Wait(ctx, p.Call)
		}
		go func() {
			time.Sleep(350 * time.Millisecond)
			m.settle(posts[0].Delivery.ID, seawall.Dead, "HTTP 402", yes)
		}()
		got, err := c.Wait(t.Context(), posts[0].Call)
		if took := time.Since(start); err != nil || got.Answer == nil || took > 450*time.Millisecond {
			t.Errorf("%+v, %v after %s", got, err, took)
		}
		if m.looks > 3+4+3 { // three begin to wait, four looks for all of them, and what follows
			t.Errorf("%d looks at answers: it is not one for all", m.looks)
		}
	})
}

// A call that ends without an answer ends the wait too.
func TestWaitEndsWithTheCall(t *testing.T) {
	for _, state := range []seawall.State{seawall.Dead, seawall.Canceled, seawall.Held} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			c := newCalls(t, m)
			p, err := c.Post(t.Context(), charge("k"))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			go func() {
				time.Sleep(100 * time.Millisecond)
				m.settle(p.Delivery.ID, state, "why", nil)
			}()
			got, err := c.Wait(t.Context(), p.Call)
			if err != nil || got.Delivery.State != state || time.Since(start) > time.Second {
				t.Errorf("%s: %+v, %v after %s", state, got, err, time.Since(start))
			}
		})
	}
}

func TestWaitEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := newCalls(t, m)
		p, err := c.Post(t.Context(), charge("k"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		got, err := c.Wait(ctx, p.Call)
		if err != nil || got.Settled() || time.Since(start) != 10*time.Second {
			t.Errorf("%+v, %v after %s", got, err, time.Since(start))
		}
		if left := len(c.waits.by); left != 0 {
			t.Errorf("%d still wait", left)
		}
	})
}

func TestCancel(t *testing.T) {
	m := newMemory()
	woken := ""
	c := newCalls(t, m, func(o *Options) { o.Wake = func(d string) { woken = d } })
	p, err := c.Post(t.Context(), charge("k"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Cancel(t.Context(), p.Call, "by shop", seawall.Action{})
	if err != nil || got.Delivery.State != seawall.Canceled || woken != "calls:payments" {
		t.Errorf("%+v, %v, woken %q", got, err, woken)
	}
	if _, err := c.Cancel(t.Context(), got, "by shop", seawall.Action{}); err != nil {
		t.Errorf("again: %v", err)
	}
	for _, state := range []seawall.State{seawall.Sending, seawall.Delivered, seawall.Dead} {
		m.settle(p.Delivery.ID, state, "", nil)
		now, err := c.Get(t.Context(), p.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Cancel(t.Context(), now, "", seawall.Action{}); !errors.Is(err, seawall.ErrConflict) {
			t.Errorf("%s: %v", state, err)
		}
	}
}
