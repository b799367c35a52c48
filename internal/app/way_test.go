package app

import (
	"net/url"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

// The time of a fallback counts from where it leads, and for what it led there.
func TestFallbacksHaveTheirOwnTime(t *testing.T) {
	c := configuration(t, t.TempDir(), "https://shop.example/")
	c.Destinations[0].Fallback = &config.Fallback{To: "ops", For: time.Hour}
	beside(t, c, "ops", "https://ops.example/").Fallback = &config.Fallback{To: "last"}
	beside(t, c, "last", "https://last.example/")
	l := newLive(1, c, "")
	usual := c.Destinations[0].Retry.For
	for _, x := range []struct {
		to       string
		diverted bool
		want     time.Duration
	}{
		{"shop", false, usual}, {"ops", false, usual}, {"ops", true, time.Hour}, {"last", true, usual},
	} {
		w := l.way(&seawall.Delivery{Route: "hub-shop", Destination: x.to, Diverted: x.diverted}, &seawall.Event{})
		if w == nil || w.policy.Retry.For != x.want {
			t.Errorf("%+v: %+v", x, w)
		}
	}
	if l.way(&seawall.Delivery{Destination: "nowhere"}, &seawall.Event{}) != nil {
		t.Error("a way to nowhere")
	}
}

func TestCallsAreDealtWithByTheirRule(t *testing.T) {
	c := configuration(t, t.TempDir(), "https://shop.example/")
	base, _ := url.Parse("https://bank.example")
	c.Systems = []*config.System{
		{Name: "bank", URL: base, Idempotency: config.Idempotency{Header: "Key", Valid: time.Hour}},
		{Name: "shop"},
	}
	l := newLive(1, c, "")
	to := func(system, method string) *way {
		return l.way(&seawall.Delivery{Destination: seawall.CallsTo(system)}, &seawall.Event{Method: method, URL: "/x?a=1"})
	}
	post, put := to("bank", "POST"), to("bank", "PUT")
	if !post.policy.Unsafe || !post.policy.Call || post.policy.Valid != time.Hour || len(post.policy.OnUnknown) != 2 || put.policy.Unsafe {
		t.Errorf("%+v, %+v", post.policy, put.policy)
	}
	// Whoever writes a path otherwise does not get around its rule.
	asks := &config.Check{}
	c.Systems[0].Calls = []config.CallRule{{Method: "POST", Path: []string{"v1", "pay"}, Check: asks}}
	if w := l.way(&seawall.Delivery{Destination: seawall.CallsTo("bank")}, &seawall.Event{Method: "POST", URL: "/v1/p%61y?a=1"}); w.policy.Check != asks {
		t.Errorf("%+v", w)
	}
	if to("shop", "POST") != nil || to("none", "POST") != nil {
		t.Error("calls to what is no declared system")
	}
}
