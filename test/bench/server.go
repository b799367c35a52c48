package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

const (
	path         = "/in/bench"
	sourceSecret = "a-secret-of-the-benchmark-only"
	sinkSecret   = "whsec_c2Vhd2FsbC1iZW5jaG1hcmstc2luay1zZWNyZXQ="
)

// server is what is measured: always a process of its own.
type server struct {
	addr string // where it takes events
	pid  int
	cmd  *exec.Cmd
	out  string // file with what it printed
	done chan error
}

// contender knows how to start one of the two on an empty directory.
type contender struct {
	name    string
	command func(dir, listen, sink string) (*exec.Cmd, error)
}

func contenders(o options, dir string) ([]contender, error) {
	baseline := filepath.Join(dir, "baseline")
	if err := build(baseline, "./test/bench/baseline"); err != nil {
		return nil, err
	}
	gateway := o.binary
	if gateway == "" {
		gateway = filepath.Join(dir, "seawall")
		if err := build(gateway, "./cmd/seawall"); err != nil {
			return nil, err
		}
	}
	return []contender{
		{"baseline", func(dir, listen, sink string) (*exec.Cmd, error) {
			return exec.Command(baseline, "-listen", listen, "-file", filepath.Join(dir, "baseline.log"),
				"-forward", "http://"+sink+"/", "-workers", strconv.Itoa(o.workers)), nil
		}},
		{"seawall", func(dir, listen, sink string) (*exec.Cmd, error) {
			admin, err := load.FreeAddr()
			if err != nil {
				return nil, err
			}
			file := filepath.Join(dir, "seawall.yaml")
			text := fmt.Sprintf(gatewayConfig, listen, admin, sink, o.workers)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return nil, err
			}
			cmd := exec.Command(gateway, "serve", "--config", file)
			cmd.Env = append(os.Environ(), "BENCH_SOURCE_SECRET="+sourceSecret, "BENCH_SINK_SECRET="+sinkSecret)
			return cmd, nil
		}},
	}, nil
}

// Nothing is switched off: every commit is synced, every event verified,
// deduplicated, kept, and signed on its way out. These are the defaults, but
// for the concurrency, which is the baseline's.
const gatewayConfig = `store: sqlite:seawall.db
listen: "%s"
admin: { listen: "%s" }
egress: { allow: ["127.0.0.0/8"] }
sources:
  bench: { provider: github, secret: "${BENCH_SOURCE_SECRET}" }
destinations:
  sink:
    url: "http://%s/"
    concurrency: %d
    sign: { secret: "${BENCH_SINK_SECRET}" }
routes:
  - { from: bench, to: sink }
`

func build(binary, pkg string) error {
	progress("building %s", pkg)
	cmd := exec.Command("go", "build", "-o", binary, pkg)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}

// start runs c under the wrapper, if there is one, and waits until it takes
// connections.
func start(c contender, dir, sink string, wrapper ...string) (*server, error) {
	listen, err := load.FreeAddr()
	if err != nil {
		return nil, err
	}
	cmd, err := c.command(dir, listen, sink)
	if err != nil {
		return nil, err
	}
	if len(wrapper) > 0 {
		wrapped := exec.Command(wrapper[0], append(wrapper[1:], cmd.Args...)...)
		wrapped.Env = cmd.Env
		cmd = wrapped
	}
	out, err := os.Create(filepath.Join(dir, c.name+".out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	// Should the harness die, nothing it started is left behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{addr: listen, pid: cmd.Process.Pid, cmd: cmd, out: out.Name(), done: make(chan error, 1)}
	go func() { s.done <- cmd.Wait() }()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.DialTimeout("tcp", listen, time.Second); err == nil {
			conn.Close()
			if len(wrapper) > 0 {
				err = s.unwrap()
			}
			return s, err
		}
		select {
		case err := <-s.done:
			return nil, fmt.Errorf("%s ended at its start (%v): %s", c.name, err, s.said())
		case <-ctx.Done():
			cmd.Process.Kill()
			return nil, fmt.Errorf("%s takes no connections after 20 s: %s", c.name, s.said())
		case <-tick.C:
		}
	}
}

// unwrap makes the wrapper's child the process that signals and figures are of.
func (s *server) unwrap() error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.pid, s.pid))
	if err != nil {
		return err
	}
	s.pid, err = strconv.Atoi(strings.TrimSpace(string(children)))
	return err
}

// stop ends the server in order, or else by force.
func (s *server) stop() error {
	syscall.Kill(s.pid, syscall.SIGTERM)
	select {
	case <-s.done:
		return nil // the baseline knows no orderly end
	case <-time.After(30 * time.Second):
		syscall.Kill(s.pid, syscall.SIGKILL)
		<-s.done
		return errors.New("did not end within 30 s of SIGTERM: " + s.said())
	}
}

// said is the end of what the server printed.
func (s *server) said() string {
	text, err := os.ReadFile(s.out)
	if err != nil {
		return err.Error()
	}
	return "it said: …" + string(text[max(0, len(text)-2000):])
}

// cpu is the processor time used so far (proc(5), stat, fields 14 and 15).
func (s *server) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", s.pid, stat)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// peak is the most memory that was ever resident, in bytes.
func (s *server) peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status: no VmHWM", s.pid)
}
