package app

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestSweepEvery(t *testing.T) {
	for _, c := range []struct{ events, dead, want time.Duration }{
		{720 * time.Hour, 2160 * time.Hour, time.Minute},
		{time.Minute, time.Hour, 15 * time.Second},
		{time.Second, time.Hour, time.Second},
	} {
		if got := sweepEvery(config.Retention{Events: c.events, Dead: c.dead}); got != c.want {
			t.Errorf("kept for %v: swept every %v, want %v", c.events, got, c.want)
		}
	}
}

// What was delivered goes when its retention is over; what waits stays.
func TestRetentionIsKept(t *testing.T) {
	shop := newConsumer(t)
	var down atomic.Bool
	shop.status = func(*http.Request) int {
		if down.Load() {
			return 503
		}
		return 200
	}
	c := configuration(t, t.TempDir(), shop.URL+"/hooks")
	r := run(t, c)
	r.send(1)
	done := shop.next(t).Header.Get("Seawall-Event")
	down.Store(true)
	r.send(2)
	l, err := r.store.ListEvents(t.Context(), store.EventFilter{}, store.Page{})
	if err != nil || len(l.Items) != 2 {
		t.Fatalf("%d events: %v", len(l.Items), err)
	}
	r.stop()

	short := *c
	short.Retention = config.Retention{Events: time.Nanosecond, Dead: time.Nanosecond, Dedupe: time.Nanosecond}
	later := time.Now().Add(1000 * time.Hour) // past the horizon that the events were accepted under
	a, err := Open(t.Context(), Options{Config: &short, Now: func() time.Time { return later }, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	a.expire(t.Context())
	for _, e := range l.Items {
		_, err := a.store.Event(t.Context(), e.ID)
		switch {
		case e.ID.String() == done && !errors.Is(err, seawall.ErrNotFound):
			t.Errorf("the delivered event is still there: %v", err)
		case e.ID.String() != done && err != nil:
			t.Errorf("the event that waits is gone: %v", err)
		}
	}
}
