package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The example of users, as it stands but for its addresses: of each user there is one
// record in each system, as the user is now; the integration without a gateway, which
// gets the same events, has others.
func TestG5_ExampleOfUsers(t *testing.T) {
	t.Parallel()
	g, out := compared(t, "users", "auth", 12)
	if !regexp.MustCompile(`(?m)^ +seawall +12 +12 +0 +0 +12 +0 +0$`).Match(out) {
		t.Error("there is not one record of each user")
	}
	if regexp.MustCompile(`(?m)^ +direct +12 +12 +0 +0 +12 +0 +0$`).Match(out) {
		t.Error("without a gateway it went as well: the example shows nothing")
	}
	if n := len(g.list("/deliveries?state=dead")) + len(g.list("/deliveries?state=held")); n > 0 {
		t.Errorf("%d deliveries are dead or held", n)
	}
	g.stop()
}

// compared runs an example that holds what comes of events through the gateway beside
// what comes of them without, and returns what it printed. The gateway still runs.
func compared(t *testing.T, name, source string, n int, env ...string) (*gateway, []byte) {
	t.Helper()
	text, err := os.ReadFile("../../examples/" + name + "/seawall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "../../examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	world := freeAddress(t)
	g := newGateway(t, strings.ReplaceAll(string(text), "127.0.0.1:9000", world), env...)
	g.start()
	out, err := exec.CommandContext(ctx, program, "-listen", world, "-gateway", g.public+"/in/"+source, "-"+name, strconv.Itoa(n)).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return g, out
}
