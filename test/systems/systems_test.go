package systems

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

func TestMain(m *testing.M) { rows.Main(m, pgcluster.Main) }

// patience is how long anything may take, a takeover within, on a machine that has
// other work.
const patience = time.Minute

// scene is one gateway on SQLite, or two on one PostgreSQL.
type scene struct {
	*testing.T
	fleet    *witness.Fleet
	internal []string // addresses of the internal listeners
	token    string   // for everything; "" until one was made
}

// each runs a row on one node and on two.
func each(t *testing.T, row func(t *testing.T, nodes int)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); row(t, 1) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); row(t, 2) })
}

// open starts the nodes of a scene and waits until they are ready.
func open(t *testing.T, nodes int, setup witness.Setup) *scene {
	t.Helper()
	bin, err := rows.Build()
	must(t, err)
	store := func(int) string { return "" }
	if nodes > 1 {
		url := pgcluster.Shared(t)
		store = func(int) string { return url }
	}
	setup.Sink, setup.Slots = "127.0.0.1:9", 1 // of a source that sends nothing
	s := &scene{T: t}
	s.fleet, err = witness.NewFleet(bin, t.TempDir(), nodes, store, setup, witness.NewHistory(0))
	must(t, err)
	for i, g := range s.fleet.Nodes {
		addr, err := load.FreeAddr()
		must(t, err)
		s.internal = append(s.internal, addr)
		own := &s.fleet.Setups[i]
		own.Extra = fmt.Sprintf("internal: { listen: %q }\n%s", addr, setup.Extra)
		must(t, g.Configure(*own))
	}
	t.Cleanup(s.fleet.Discard)
	s.start()
	return s
}

// start starts the nodes that do not run, and waits until they are ready.
func (s *scene) start(which ...int) {
	s.Helper()
	if which == nil {
		for i := range s.fleet.Nodes {
			which = append(which, i)
		}
	}
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	for _, i := range which {
		must(s.T, s.fleet.Nodes[i].Start())
	}
	for _, i := range which {
		must(s.T, s.fleet.Nodes[i].Ready(ctx))
	}
}

// authorize makes a token, as a person does. From then on everybody needs one.
func (s *scene) authorize() {
	s.Helper()
	g := s.fleet.Nodes[0]
	cmd := exec.Command(g.Binary, "token", "create", "--config", g.File, "--name", "shop", "--scope", "admin", "--json")
	cmd.Env = append(os.Environ(), "WITNESS_SOURCE_SECRET="+witness.SourceSecret, "WITNESS_SINK_SECRET="+witness.SinkSecret)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		s.Fatalf("token create: %v: %s", err, problem.String())
	}
	var made struct{ Token string }
	must(s.T, json.Unmarshal(out.Bytes(), &made))
	s.token = made.Token
}

// do asks a node something and returns the status and what it said.
func (s *scene) do(method, url string, header http.Header, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(s.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		req.Header = header
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	return resp.StatusCode, said, err
}

// ask reads something from a node's API.
func (s *scene) ask(node int, path string, out any) {
	s.Helper()
	status, said, err := s.do(http.MethodGet, "http://"+s.fleet.Nodes[node].Admin+"/api/v1"+path, nil, "")
	if err != nil || status != http.StatusOK {
		s.fatal("GET %s: %d: %v: %s", path, status, err, said)
	}
	must(s.T, json.Unmarshal(said, out))
}

// send posts events to a source without a signature, to all nodes by turns.
func (s *scene) send(source string, n int) {
	s.Helper()
	for i := range n {
		addr := s.fleet.Nodes[i%len(s.fleet.Nodes)].Addr
		status, said, err := s.do(http.MethodPost, "http://"+addr+"/in/"+source, http.Header{"Content-Type": {"application/json"}},
			fmt.Sprintf(`{"source":%q,"n":%d}`, source, sent.Add(1)))
		if err != nil || status != http.StatusOK {
			s.fatal("an event was answered %d: %v: %s", status, err, said)
		}
	}
}

var sent atomic.Int64

// spread sends events, now and then, until every node has delivered some of them:
// a limit that only one node knows of would show nothing before. It returns how
// many it sent.
func (s *scene) spread(source string) (n int) {
	s.Helper()
	left := map[int]int{}
	for i, g := range s.fleet.Nodes {
		left[i], _ = g.Attempts(s.Context())
	}
	s.until(patience, "every node delivers", func() bool {
		s.send(source, 4)
		n += 4
		witness.Pause(s.Context(), 300*time.Millisecond)
		for i, before := range left {
			if now, err := s.fleet.Nodes[i].Attempts(s.Context()); err == nil && now > before {
				delete(left, i)
			}
		}
		return len(left) == 0
	})
	return n
}

// system is how a system stands, as a node knows it.
type system struct {
	Name    string
	Breaker string
	Pending int
	Held    int
	Dead    int
}

// system reads how one stands.
func (s *scene) system(node int, name string) system {
	s.Helper()
	var page struct{ Data []system }
	s.ask(node, "/systems", &page)
	for _, y := range page.Data {
		if y.Name == name {
			return y
		}
	}
	s.fatal("no system %s", name)
	return system{}
}

func (s *scene) fatal(format string, args ...any) {
	s.Helper()
	s.Fatalf("%s; %s", fmt.Sprintf(format, args...), s.fleet.Said())
}

// until waits for a condition; the deadline is the test's verdict.
func (s *scene) until(within time.Duration, what string, is func() bool) {
	s.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			s.fatal("not within %s: %s", within, what)
		}
		witness.Pause(s.Context(), 10*time.Millisecond)
	}
}

// serve is a system. What it began ends with the test.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
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
