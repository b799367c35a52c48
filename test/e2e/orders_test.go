package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	text, err := os.ReadFile("../../examples/orders/seawall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "orders")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "../../examples/orders").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	world := freeAddress(t)
	var env []string
	if engine == "postgres" {
		env = append(env, "SEAWALL_STORE="+pgcluster.Shared(t))
	}
	g := newGateway(t, strings.ReplaceAll(string(text), "127.0.0.1:9000", world), env...)
	g.start()
	out, err := exec.CommandContext(ctx, program, "-listen", world, "-gateway", g.public+"/in/stripe", "-orders", "60").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
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
