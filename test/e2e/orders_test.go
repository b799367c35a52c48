package e2e

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// The example of orders, as it stands but for its addresses: each order ends as its
// newest event says, and never goes back; the integration without a gateway, which gets
// the same events, leaves others. A refund that nobody can place is there to see.
func TestG5_ExampleOfOrders(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			orders(t, engine)
		})
	}
}

func orders(t *testing.T, engine string) {
	var env []string
	if engine == "postgres" {
		env = append(env, "SEAWALL_STORE="+pgcluster.Shared(t))
	}
	g, out := compared(t, "orders", "stripe", 60, env...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !regexp.MustCompile(`(?m)^ *seawall +60 +0 +0$`).Match(out) {
		t.Error("the orders are not as their payments say")
	}
	if regexp.MustCompile(`(?m)^ *direct +60 +0 +0$`).Match(out) {
		t.Error("without a gateway it went as well: the example shows nothing")
	}
	// The refund of nobody's payment gives up when its wait is over.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if dead := g.list("/deliveries?state=dead"); len(dead) == 1 && dead[0]["reason"] == "unresolved" {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the refund that nobody can place is not dead")
		}
	}
	if n := len(g.list("/deliveries?state=held")); n > 0 {
		t.Errorf("%d deliveries are held", n)
	}
	g.stop()
}
