package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

const (
	path         = "/in/bench"
	sourceSecret = "a-secret-of-the-benchmark-only"
	sinkSecret   = "whsec_c2Vhd2FsbC1iZW5jaG1hcmstc2luay1zZWNyZXQ="
)

// server is what is measured: one process or several nodes, always processes of
// their own, and the database where there is one.
type server struct {
	nodes []*process
	pg    *postgres // nil: none
}

// programs are built once.
type programs struct{ baseline, gateway string }

func buildPrograms(o options, dir string) (p programs, err error) {
	p = programs{filepath.Join(dir, "baseline"), o.binary}
	if err := build(p.baseline, "./test/bench/baseline"); err != nil || p.gateway != "" {
		return p, err
	}
	p.gateway = filepath.Join(dir, "seawall")
	return p, build(p.gateway, "./cmd/seawall")
}

func build(binary, pkg string) error {
	progress("building %s", pkg)
	cmd := exec.Command("go", "build", "-o", binary, pkg)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}

// setup is what a server is started with.
type setup struct {
	programs
	dir     string // its own
	store   string // as in the configuration; "": the baseline
	sink    string // where deliveries go
	hole    string // where they go and nobody answers
	workers int
	nodes   int
	named   bool
	ordered bool
	beside  func(sink string) beside // further sources, destinations and routes; nil: none
	extra   string                   // further lines of the configuration
	pg      *postgres
	wrapper []string
}

func (s setup) start() (*server, error) {
	srv := &server{pg: s.pg}
	for i := range s.nodes {
		p, err := s.prepare(i)
		if err == nil {
			var started *process
			if started, err = spawn(p, s.wrapper...); err == nil {
				srv.nodes = append(srv.nodes, started)
			}
		}
		if err != nil {
			return nil, errors.Join(err, srv.stop())
		}
	}
	return srv, nil
}

func (s setup) prepare(i int) (p process, err error) {
	if p.addr, err = load.FreeAddr(); err != nil {
		return p, err
	}
	p.out = filepath.Join(s.dir, fmt.Sprintf("node-%d.out", i))
	if s.store == "" {
		p.cmd = exec.Command(s.baseline, "-listen", p.addr, "-file", filepath.Join(s.dir, "baseline.log"),
			"-forward", "http://"+s.sink+"/", "-workers", strconv.Itoa(s.workers))
		return p, nil
	}
	if p.admin, err = load.FreeAddr(); err != nil {
		return p, err
	}
	shards := ""
	if s.nodes > 1 {
		shards = "\n    shards: 4"
	}
	file := filepath.Join(s.dir, fmt.Sprintf("seawall-%d.yaml", i))
	var more beside
	if s.beside != nil {
		more = s.beside(s.sink)
	}
	entities := ""
	if s.named {
		entities = entitiesSection
	}
	text := fmt.Sprintf(gatewayConfig, s.store, p.addr, p.admin, more.sources, s.sink, s.workers, shards) + s.routes(more) + entities + s.extra
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return p, err
	}
	p.cmd = exec.Command(s.gateway, "serve", "--config", file)
	p.cmd.Env = append(os.Environ(), "BENCH_SOURCE_SECRET="+sourceSecret, "BENCH_SINK_SECRET="+sinkSecret)
	return p, nil
}

// Nothing is switched off: every commit is synced, every event verified,
// deduplicated, kept, and signed on its way out. These are the defaults, but
// for the concurrency, which is the baseline's.
const gatewayConfig = `store: "%s"
listen: "%s"
admin: { listen: "%s" }
egress: { allow: ["127.0.0.0/8"] }
sources:
  bench: { provider: github, secret: "${BENCH_SOURCE_SECRET}" }
  earlier: { provider: github, secret: "${BENCH_SOURCE_SECRET}" }
%sdestinations:
  sink:
    url: "http://%s/"
    concurrency: %d
    sign: { secret: "${BENCH_SINK_SECRET}" }%s
`

// beside are lines of a gateway's configuration, as they stand in its sections.
type beside struct{ sources, destinations, routes string }

// routes are the load's own and those of the backlog, with the destinations that
// nobody answers at. The backlog came from a source of its own, so that planning
// the load costs the same with it and without.
func (s setup) routes(more beside) string {
	destinations, routes := more.destinations, "routes:\n"+s.loads()+more.routes
	if s.hole == "" {
		return destinations + routes
	}
	for _, name := range append([]string{deadDestination}, otherDestinations...) {
		destinations += fmt.Sprintf("  %s: { url: \"http://%s/\", timeout: 3s }\n", name, s.hole)
		routes += fmt.Sprintf("  - { from: %s, to: %s }\n", backlogSource, name)
	}
	return destinations + routes + fmt.Sprintf("  - { from: %s, to: %s }\n", backlogSource, sinkDestination)
}

// loads is the load's route.
func (s setup) loads() string {
	keys := ""
	if s.ordered {
		keys = orderedKeys
	}
	return "  - { from: bench, to: sink" + keys + " }\n"
}

func (s *server) stop() (err error) {
	for _, p := range s.nodes {
		err = errors.Join(err, p.stop())
	}
	return err
}

// discard ends it at once.
func (s *server) discard() {
	for _, p := range s.nodes {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (s *server) said() string { return s.nodes[0].said() }

// plan is a stretch of load on all nodes.
func (s *server) plan(conns int, run string) load.Plan {
	p := load.Plan{Addr: s.nodes[0].addr, Path: path, Secret: sourceSecret, Run: run, Conns: conns}
	for _, n := range s.nodes[1:] {
		p.Also = append(p.Also, n.addr)
	}
	return p
}

// cpu is the processor time used so far, and how much of it by the database.
func (s *server) cpu() (all, database time.Duration, err error) {
	for _, p := range s.nodes {
		used, err := cpu(p.pid)
		if err != nil {
			return 0, 0, err
		}
		all += used
	}
	if s.pg != nil {
		database, err = s.pg.cpu()
	}
	return all + database, database, err
}

// peak is the most that was ever resident of one node, in bytes: the database's
// memory is its operator's to set.
func (s *server) peak() (most int64, err error) {
	for _, p := range s.nodes {
		n, err := peak(p.pid)
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}
