package app

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Every lane that something waits in is drained, and all the lanes of a
// destination together have its concurrency.
func TestG2_TargetsCoverWhatWaits(t *testing.T) {
	waits := func(destination, system string, shard int) store.PendingQueue {
		return store.PendingQueue{Lane: store.Lane{System: system, Shard: shard}, Destination: destination, Count: 1}
	}
	for _, c := range []struct {
		name    string
		to      config.Destination
		waiting []store.PendingQueue
		want    string // destination@system/shard:concurrency, + where stray
	}{
		{"one", config.Destination{Name: "a", Concurrency: 16, Shards: 1}, nil, "a@a/0:16"},
		{"shards", config.Destination{Name: "a", Concurrency: 8, Shards: 3}, nil, "a@a/0:3 a@a/1:3 a@a/2:2"},
		{"what waits where it should", config.Destination{Name: "a", Concurrency: 2, Shards: 2},
			[]store.PendingQueue{waits("a", "a", 1), waits("b", "b", 0)}, "a@a/0:1 a@a/1:1"},
		{"fewer shards than before", config.Destination{Name: "a", Concurrency: 9, Shards: 1},
			[]store.PendingQueue{waits("a", "a", 0), waits("a", "a", 2), waits("a", "a", 3)}, "a@a/0:3 +a@a/2:3 +a@a/3:3"},
		{"renamed", config.Destination{Name: "a", RenamedFrom: "b", Concurrency: 4, Shards: 1},
			[]store.PendingQueue{waits("b", "b", 0), waits("b", "b", 1)}, "a@a/0:2 +b@b/0:1 +b@b/1:1"},
		{"renamed, and nothing waits", config.Destination{Name: "a", RenamedFrom: "b", Concurrency: 4, Shards: 1}, nil, "a@a/0:4"},
		{"on another system", config.Destination{Name: "a", Concurrency: 4, Shards: 1},
			[]store.PendingQueue{waits("a", "crm", 0)}, "a@a/0:2 +a@crm/0:2"},
		{"one at least", config.Destination{Name: "a", Concurrency: 1, Shards: 1},
			[]store.PendingQueue{waits("a", "a", 1)}, "a@a/0:1 +a@a/1:1"},
	} {
		var got []string
		for _, x := range targets(&config.Config{Destinations: []*config.Destination{&c.to}}, c.waiting) {
			got = append(got, spell(x))
		}
		if s := fmt.Sprint(got); s != "["+c.want+"]" {
			t.Errorf("%s:\n got %s\nwant [%s]", c.name, s, c.want)
		}
	}
}

// Calls wait in lanes of their system, and those of one that was renamed go on.
func TestG2_TargetsCoverCalls(t *testing.T) {
	c := &config.Config{Systems: []*config.System{
		{Name: "crm", URL: &url.URL{}, Shards: 2, Limit: config.Limit{Concurrency: 4}, RenamedFrom: "old"},
		{Name: "a"}, // a destination's own
	}}
	var got []string
	for _, x := range targets(c, []store.PendingQueue{
		{Lane: store.Lane{System: "crm", Shard: 1}, Destination: "calls:crm"},
		{Lane: store.Lane{System: "old"}, Destination: "calls:old"},
	}) {
		got = append(got, spell(x))
		if !x.Unsafe {
			t.Errorf("%s writes no intents", x.Name)
		}
	}
	if s, want := fmt.Sprint(got), "[calls:crm@crm/0:2 calls:crm@crm/1:1 +calls:old@old/0:1]"; s != want {
		t.Errorf("%s, want %s", s, want)
	}
	if to := newLive(1, c, "").callee(&seawall.Delivery{Destination: "calls:old"}); to == nil || to.Name != "crm" {
		t.Errorf("calls to what was renamed go to %v", to)
	}
	for destination, want := range map[string]bool{"calls:crm": true, "calls:old": true, "calls:a": false, "calls:b": false, "crm": false} {
		if (c.Callee(destination) != nil) != want {
			t.Errorf("%s: %v", destination, !want)
		}
	}
}

func spell(x lane.Target) string {
	s := fmt.Sprintf("%s@%s/%d:%d", x.Name, x.Lane.System, x.Lane.Shard, x.Concurrency)
	if x.Stray {
		s = "+" + s
	}
	return s
}

// After a change of shards nothing waits for good in one that is gone.
func TestG10_FewerShardsLoseNothing(t *testing.T) {
	shop := newConsumer(t)
	r, next := reloader(t, shop)
	sharded := changed(t, *next, "second", shop.URL+"/hooks")
	sharded.Destinations[0].Shards = 4
	one := changed(t, *next, "third", shop.URL+"/hooks")
	*next = sharded
	if _, _, err := r.Reload(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	if err := r.store.SetGate(t.Context(), gateState("shop"), action("pause")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake("shop")
	for n := range 40 {
		r.send(n)
	}
	waiting, err := r.store.Pending(t.Context())
	if err != nil || len(waiting) != 4 {
		t.Fatalf("waits in %v, %v; want 4 lanes", waiting, err)
	}
	*next = one
	if _, _, err := r.Reload(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	g := gateState("shop")
	g.Gate = 0
	if err := r.store.SetGate(t.Context(), g, action("resume")); err != nil {
		t.Fatal(err)
	}
	(*gateway)(r.App).Wake("shop")
	var got []string
	for range 40 {
		got = append(got, shop.next(t).Header.Get("Webhook-Id"))
	}
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 40 {
		t.Errorf("%d of 40 delivered", len(got))
	}
}
