package rows

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/witness"
)

// Patience is how long anything may take, a takeover within, on a machine that has
// other work.
const Patience = time.Minute

// Scene is one gateway on SQLite, or two on one PostgreSQL.
type Scene struct {
	*testing.T
	Fleet    *witness.Fleet
	Internal []string // addresses of the internal listeners
	Token    string   // for everything; "" until one was made
}

// Each runs a row on one node and on two.
func Each(t *testing.T, row func(t *testing.T, nodes int)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); row(t, 1) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); row(t, 2) })
}

// Open starts the nodes of a Scene and waits until they are ready.
func Open(t *testing.T, nodes int, setup witness.Setup) *Scene {
	t.Helper()
	bin, err := Build()
	must(t, err)
	store := func(int) string { return "" }
	if nodes > 1 {
		url := pgcluster.Shared(t)
		store = func(int) string { return url }
	}
	setup.Sink, setup.Slots = "127.0.0.1:9", 1 // of a source that sends nothing
	s := &Scene{T: t}
	s.Fleet, err = witness.NewFleet(bin, t.TempDir(), nodes, store, setup, witness.NewHistory(0))
	must(t, err)
	for i, g := range s.Fleet.Nodes {
		addr, err := load.FreeAddr()
		must(t, err)
		s.Internal = append(s.Internal, addr)
		own := &s.Fleet.Setups[i]
		own.Extra = fmt.Sprintf("internal: { listen: %q }\n%s", addr, setup.Extra)
		must(t, g.Configure(*own))
	}
	t.Cleanup(s.Fleet.Discard)
	s.Start()
	return s
}

// Start starts the nodes that do not run, and waits until they are ready.
func (s *Scene) Start(which ...int) {
	s.Helper()
	if which == nil {
		for i := range s.Fleet.Nodes {
			which = append(which, i)
		}
	}
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	for _, i := range which {
		must(s.T, s.Fleet.Nodes[i].Start())
	}
	for _, i := range which {
		must(s.T, s.Fleet.Nodes[i].Ready(ctx))
	}
}

// Authorize makes a token, as a person does. From then on everybody needs one.
func (s *Scene) Authorize() {
	s.Helper()
	g := s.Fleet.Nodes[0]
	cmd := exec.Command(g.Binary, "token", "create", "--config", g.File, "--name", "shop", "--scope", "admin", "--json")
	cmd.Env = append(os.Environ(), "WITNESS_SOURCE_SECRET="+witness.SourceSecret, "WITNESS_SINK_SECRET="+witness.SinkSecret)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		s.Fatalf("token create: %v: %s", err, problem.String())
	}
	var made struct{ Token string }
	must(s.T, json.Unmarshal(out.Bytes(), &made))
	s.Token = made.Token
}

// Do asks a node something and returns the status and what it said.
func (s *Scene) Do(method, url string, header http.Header, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(s.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		req.Header = header
	}
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	return resp.StatusCode, said, err
}

// Ask reads something from a node's API.
func (s *Scene) Ask(node int, path string, out any) {
	s.Helper()
	status, said, err := s.Do(http.MethodGet, "http://"+s.Fleet.Nodes[node].Admin+"/api/v1"+path, nil, "")
	if err != nil || status != http.StatusOK {
		s.Abort("GET %s: %d: %v: %s", path, status, err, said)
	}
	must(s.T, json.Unmarshal(said, out))
}

// Abort ends the test, with what the nodes said.
func (s *Scene) Abort(format string, args ...any) {
	s.Helper()
	s.Fatalf("%s; %s", fmt.Sprintf(format, args...), s.Fleet.Said())
}

// Until waits for a condition; the deadline is the test's verdict.
func (s *Scene) Until(within time.Duration, what string, is func() bool) {
	s.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			s.Abort("not within %s: %s", within, what)
		}
		witness.Pause(s.Context(), 10*time.Millisecond)
	}
}

// Serve is a system. What it began ends with the test.
func Serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
