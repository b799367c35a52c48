package app

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A destination that must not be asked twice unseen: what it may have done is
// held, a person repeats it, and what it certainly did not do is tried again.
func TestG6_UnknownIsHeldUntilAPersonRepeatsIt(t *testing.T) {
	shop := newConsumer(t)
	var asked atomic.Int32
	shop.status = func(r *http.Request) int {
		switch asked.Add(1) {
		case 1:
			return http.StatusTooManyRequests // it said no
		case 2:
			panic(http.ErrAbortHandler) // it has read all, and hangs up
		}
		return http.StatusOK
	}
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	c.Destinations[0].Unsafe = true
	r := run(t, c)
	r.send(1)
	var held *seawall.Delivery
	eventually(t, "held", func() bool {
		l, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{}, store.Page{})
		if err != nil || len(l.Items) != 1 {
			t.Fatalf("%d deliveries: %v", len(l.Items), err)
		}
		held = &l.Items[0]
		return held.State == seawall.Held
	})
	if held.Reason != seawall.ReasonUnknown || held.Attempts != 2 || !held.Replayable() {
		t.Errorf("held: %+v", held)
	}
	as, err := r.store.Attempts(t.Context(), held.ID)
	if err != nil || len(as) != 2 || as[0].Outcome != seawall.Refused || as[1].Outcome != seawall.Unknown || as[1].Next == "" {
		t.Errorf("attempts: %+v, %v", as, err)
	}
	if _, err := r.store.Replay(t.Context(), []seawall.DeliveryID{held.ID}, store.ReplayOptions{At: time.Now()}, action("replay")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake("shop")
	first, again := shop.next(t), shop.next(t) // the refusal and the repetition; the one between answered nothing
	if a, b := first.Header.Get("Webhook-Id"), again.Header.Get("Webhook-Id"); a != b {
		t.Errorf("repeated as %s, it was %s", b, a)
	}
	eventually(t, "delivered", func() bool {
		d, err := r.store.Delivery(t.Context(), held.ID)
		return err == nil && d.State == seawall.Delivered
	})
}
