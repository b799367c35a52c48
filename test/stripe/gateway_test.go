package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/faultproxy"
	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/witness"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "seawall-stripe-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "seawall")
		build := exec.Command("go", "build", "-C", "../..", "-o", binary, "./cmd/seawall") // in the gateway's own module
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the gateway: %v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// stage is a gateway between a client and a bank, with a proxy that can fail
// the connections to the bank.
type stage struct {
	*testing.T
	gateway  *witness.Gateway
	bank     *Bank
	network  *faultproxy.Proxy
	internal string // address of the internal listener
	stripe   string // address of the listener that stands for Stripe
	admin    string // tokens: of a person,
	token    string // and of the product

	kills, cuts atomic.Int64
}

const stripeKey = "sk_test_4eC39HqLyjWDarjtT1zdp7dc" // the mock takes any of that form

// newStage starts a gateway whose system "payments" is bank. settings are more
// lines of that system.
func newStage(t *testing.T, seed uint64, bank *Bank, settings string) *stage {
	t.Helper()
	s := &stage{T: t, bank: bank}
	srv := httptest.NewServer(bank)
	t.Cleanup(srv.Close)
	var err error
	if s.network, err = faultproxy.New(strings.TrimPrefix(srv.URL, "http://"), seed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.network.Close() })
	dir := t.TempDir()
	if s.gateway, err = witness.NewGateway(binary, dir, witness.Setup{}); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []*string{&s.internal, &s.stripe} {
		if *addr, err = load.FreeAddr(); err != nil {
			t.Fatal(err)
		}
	}
	file := fmt.Sprintf(`
store: sqlite:%s
listen: %q
internal: { listen: %q }
admin: { listen: %q }
egress: { allow: ["127.0.0.0/8"] }
systems:
  payments:
    url: http://%s
    auth: { bearer: "${STRIPE_KEY}" }
    breaker: { off: true }
    timeout: 500ms
    retry: { first: 100ms, cap: 1s, max: 30 }
    proxy: { listen: %q }
%s`, filepath.Join(dir, "seawall.db"), s.gateway.Addr, s.internal, s.gateway.Admin, s.network.Addr, s.stripe, settings)
	if err := os.WriteFile(s.gateway.File, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s.gateway.Env = append(s.gateway.Env, "STRIPE_KEY="+stripeKey)
	if err := s.gateway.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gateway.Discard)
	s.until("ready", func() bool { return s.ready() })
	s.admin = s.newToken("ops", "admin")
	s.gateway.Env = append(s.gateway.Env, "SEAWALL_TOKEN="+s.admin)
	s.token = s.newToken("shop", "calls:payments")
	return s
}

func (s *stage) ready() bool {
	resp, err := http.Get("http://" + s.gateway.Admin + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// until waits for something to become true.
func (s *stage) until(what string, ok func() bool) {
	s.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not %s in a minute; %s", what, s.gateway.Said())
		}
	}
}

// newToken makes one as a person does.
func (s *stage) newToken(name, scope string) string {
	s.Helper()
	cmd := exec.Command(binary, "token", "create", "--config", s.gateway.File, "--name", name, "--scope", scope, "--json")
	cmd.Env = append(os.Environ(), s.gateway.Env...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		s.Fatalf("token create: %v: %s", err, problem.String())
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out.Bytes(), &made); err != nil || made.Token == "" {
		s.Fatalf("token create said %s: %v", out.String(), err)
	}
	return made.Token
}

// crash kills the gateway and starts it again.
func (s *stage) crash() {
	s.Helper()
	if err := s.gateway.Kill(0); err != nil {
		s.Fatal(err)
	}
	s.kills.Add(1)
	if err := s.gateway.Start(); err != nil {
		s.Fatal(err)
	}
	s.until("ready again", s.ready)
}
