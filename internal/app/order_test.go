package app

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// A try of a delivery in order that is not its first is begun in any case, so one
// death more is needed before it is taken for what kills.
func TestG7_PoisonInALineIsQuarantinedAsElsewhere(t *testing.T) {
	received := time.Date(2026, 11, 25, 1, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		order  seawall.Ordering
		before int // tries before the first death that was written down
		since  time.Time
		deaths int // written down, that make it dead
	}{
		{seawall.Unordered, 0, received, 2},
		{seawall.Unordered, 3, received, 2},
		{seawall.Sequence, 0, received, 2},
		{seawall.Sequence, 1, received, 3},
		{seawall.Latest, 0, received.Add(time.Hour), 3}, // replayed
	} {
		for deaths := 1; deaths <= c.deaths; deaths++ {
			d := &try{
				Claimed: &store.Claimed{
					Delivery: seawall.Delivery{Order: c.order, Since: c.since},
					Event:    &seawall.Event{ReceivedAt: received},
				},
			}
			for range c.before {
				d.past = append(d.past, seawall.Attempt{})
			}
			for range deaths - 1 {
				d.past = append(d.past, seawall.Attempt{Step: seawall.Doubt})
			}
			if d.deaths() != deaths {
				t.Errorf("%d deaths are counted, not %d", d.deaths(), deaths)
			}
			if ends := d.poisonous(deaths); ends != (deaths == c.deaths) {
				t.Errorf("%s, %d tries before: death %d ends it: %t", c.order, c.before, deaths, ends)
			}
		}
	}
}

func TestWhichQueuesKeepTime(t *testing.T) {
	c := &config.Config{
		Destinations: []*config.Destination{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d", RenamedFrom: "old"}},
		Routes: []*config.Route{
			{To: "a"}, {To: "b", Order: seawall.Latest}, {To: "c", After: []string{"paid"}}, {To: "d", Order: seawall.Sequence},
		},
	}
	got := map[string]bool{}
	for _, target := range targets(c, []store.PendingQueue{{Destination: "old", Lane: store.Lane{System: "old"}}}) {
		got[target.Name] = target.Timed
	}
	for name, want := range map[string]bool{"a": false, "b": true, "c": true, "d": true, "old": true} {
		if got[name] != want {
			t.Errorf("%s: %t", name, got[name])
		}
	}
}
