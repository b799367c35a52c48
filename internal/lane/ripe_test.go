package lane

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Six versions in every order of arrival, within the window: delivered in theirs.
func TestG5_SequenceWithinItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 10*time.Millisecond)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		var all [][]int
		permute([]int{1, 2, 3, 4, 5, 6}, 0, func(p []int) { all = append(all, slices.Clone(p)) })
		for i := range 6 {
			for n, p := range all {
				d := lined("a", fmt.Sprint("order/", n), seawall.Sequence, p[i])
				d.Delivery.Due = time.Now().Add(2 * time.Second)
				m.join(r, d)
			}
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for n := range all {
			c.want(fmt.Sprint("order/", n), "1", "2", "3", "4", "5", "6")
		}
		stop()
	})
}

func permute(p []int, i int, f func([]int)) {
	if i == len(p) {
		f(p)
	}
	for j := i; j < len(p); j++ {
		p[i], p[j] = p[j], p[i]
		permute(p, i+1, f)
		p[i], p[j] = p[j], p[i]
	}
}

// The window ends when it should: on its own node at once, on another's word
// before long, and if that is lost by the poll.
func TestG5_SettleWindowsEndOnTime(t *testing.T) {
	for name, late := range map[string]time.Duration{"here": 50 * time.Millisecond, "another": 300 * time.Millisecond, "lost": 5100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, c := newMemory(), newConsumer(t, 0)
				r, stop := startWith(m, c.deliver, timed("a"))
				synctest.Wait()
				began := time.Now()
				d := lined("a", "order/1", seawall.Sequence, 1)
				d.Delivery.Due = began.Add(2 * time.Second)
				switch name {
				case "here":
					m.join(r, d)
				case "another":
					m.join(nil, d)
					r.Wake(store.Signal{Lane: laneOf(&d.Delivery), Destination: "a"})
				case "lost":
					m.join(nil, d)
				}
				time.Sleep(10 * time.Second)
				c.want("order/1", "1")
				if after := c.at["order/1"][0].Sub(began); after < 2*time.Second || after > 2*time.Second+late {
					t.Errorf("delivered after %s", after)
				}
				stop()
			})
		})
	}
}

// A queue in which nothing is held for a time asks once.
func TestQueuesWithoutTimesDoNotAskForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		_, stop := start(m, delivered, "a")
		m.add("a", 20)
		time.Sleep(time.Hour)
		if n := m.asked("a"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		stop()
	})
}

// Times that are close together share one ask.
func TestTimesCloseTogetherShareAnAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		r, stop := startWith(m, c.deliver, timed("a"))
		synctest.Wait()
		asked := m.asked("a")
		for i := range 1000 {
			d := lined("a", fmt.Sprint("order/", i), seawall.Sequence, 1)
			d.Delivery.Due = time.Now().Add(time.Second)
			m.join(r, d)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := m.asked("a") - asked; n > 60 {
			t.Errorf("asked %d times in a second", n)
		}
		if got := m.count(seawall.Delivered); got != 1000 {
			t.Errorf("delivered %d", got)
		}
		stop()
	})
}

func TestRipenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		m.unripe = seawall.Errorf(seawall.ErrUnavailable, "the store is away")
		r, stop := startWith(m, c.deliver, timed("a"))
		d := lined("a", "order/1", seawall.Sequence, 1)
		d.Delivery.Due = time.Now().Add(time.Second)
		m.join(r, d)
		time.Sleep(10 * time.Second)
		if n := m.asked("a"); n > 15 {
			t.Errorf("asked %d times", n)
		}
		m.mu.Lock()
		m.unripe = nil
		m.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		c.want("order/1", "1")
		stop()
	})
}

// A dead one that is passed over in time lets the others go on then.
func TestG5_LinesArePassedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		r, stop := startWith(m, func(ctx context.Context, d *store.Claimed, p Pass) store.Settlement {
			if d.Event.Version == "1" {
				return store.Settlement{State: seawall.Dead, Pass: time.Now().Add(3300 * time.Millisecond)}
			}
			return c.deliver(ctx, d, p)
		}, timed("a"))
		synctest.Wait()
		began := time.Now()
		m.join(r, lined("a", "order/1", seawall.Sequence, 1))
		m.join(r, lined("a", "order/1", seawall.Sequence, 2))
		time.Sleep(3 * time.Second)
		c.want("order/1")
		time.Sleep(10 * time.Second)
		c.want("order/1", "2")
		if after := c.at["order/1"][0].Sub(began); after > 3400*time.Millisecond {
			t.Errorf("after %s", after)
		}
		stop()
	})
}

// What ends for lack of time is settled by its owner, with what that is, and again
// until it is written.
func TestG2_WhatEndsForLackOfTimeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, 0)
		m.broken = seawall.Errorf(seawall.ErrUnavailable, "the store is away")
		var told atomic.Int32
		r, stop := startNode(m, "n1", Options{
			Deliver: c.deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: timed("a")()} },
			Over: func(_ context.Context, d *seawall.Delivery) (store.Settlement, error) {
				if told.Add(1) == 1 {
					return store.Settlement{}, seawall.Errorf(seawall.ErrUnavailable, "its event is not to be had")
				}
				s := store.Settlement{State: seawall.Held, Reason: d.Reason, Due: order.Never}
				if d.OnWait == seawall.WaitDead {
					s.State, s.Due = seawall.Dead, time.Time{}
				}
				return s, nil
			},
		})
		synctest.Wait()
		var ids []seawall.DeliveryID
		for _, then := range []seawall.WaitPolicy{seawall.WaitDead, seawall.WaitHold, seawall.WaitDeliver} {
			d := lined("a", fmt.Sprint("order/", then), seawall.Sequence, 1)
			d.Delivery.After, d.Delivery.OnWait, d.Delivery.Due = []string{"paid"}, then, time.Now().Add(time.Minute)
			ids = append(ids, m.join(r, d)[0].ID)
		}
		time.Sleep(59 * time.Second)
		if n := told.Load(); n != 0 {
			t.Errorf("told %d before its time", n)
		}
		time.Sleep(30 * time.Second)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		time.Sleep(time.Minute)
		for i, want := range []seawall.State{seawall.Dead, seawall.Held, seawall.Delivered} {
			if w := m.member(ids[i]); w.State != want {
				t.Errorf("%s is %s, want %s", ids[i], w.State, want)
			}
		}
		if w := m.member(ids[1]); !w.Due.Equal(order.Never) {
			t.Errorf("it is told again at %s", w.Due)
		}
		c.want("order/deliver", "1")
		stop()
	})
}

// What has become late with a settlement is told before long.
func TestG2_WhatBecomesLateIsToldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMemory(), newConsumer(t, time.Second)
		var told atomic.Int64
		r, stop := startNode(m, "n1", Options{
			Deliver: c.deliver, Wanted: func(context.Context) Wanted { return Wanted{Targets: timed("a")()} },
			Over: func(_ context.Context, d *seawall.Delivery) (store.Settlement, error) {
				told.Add(1)
				return store.Settlement{State: seawall.Held, Reason: d.Reason, Due: order.Never}, nil
			},
		})
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		for _, v := range []int{2, 1} {
			d := lined("a", "order/1", seawall.Sequence, v)
			d.Delivery.OnLate = seawall.LateHold
			m.join(r, d)
		}
		time.Sleep(900 * time.Millisecond)
		if n := told.Load(); n != 0 {
			t.Errorf("told %d before it was late", n)
		}
		time.Sleep(400 * time.Millisecond)
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times", n)
		}
		time.Sleep(time.Minute)
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times", n)
		}
		c.want("order/1", "2")
		stop()
	})
}
