package witness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

const (
	Path         = "/in/witness"
	SourceSecret = "a-secret-of-the-fault-tests-only"
	SinkSecret   = "whsec_c2Vhd2FsbC1jcmFzaC10ZXN0LXNpbmstc2VjcmV0"

	stopFor = 30 * time.Second
)

// Gateway is the real binary on a store that outlives it.
type Gateway struct {
	Binary string
	Dir    string
	File   string   // its configuration
	Addr   string   // of the public listener
	Admin  string   // of the admin listener
	Wrap   []string // a program, with arguments, that the next start runs under; it must exec the binary
	Env    []string // beside the test's own

	out  string // file with what all its lives printed
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
	err  error         // with which it did
}

// NewGateway writes a configuration into dir, on free addresses.
func NewGateway(binary, dir string, setup Setup) (*Gateway, error) {
	addr, err := load.FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := load.FreeAddr()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		Binary: binary, Dir: dir, Addr: addr, Admin: admin,
		File: filepath.Join(dir, "seawall.yaml"), out: filepath.Join(dir, "seawall.out"),
	}
	return g, g.Configure(setup)
}

// Configure writes the configuration anew; a running gateway reads it at SIGHUP.
func (g *Gateway) Configure(s Setup) error {
	if s.Store == "" {
		s.Store = "sqlite:" + filepath.Join(g.Dir, "seawall.db")
	}
	return os.WriteFile(g.File, []byte(s.text(g.Addr, g.Admin)), 0o600)
}

// Start starts the next life.
func (g *Gateway) Start() error {
	out, err := os.OpenFile(g.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	line := append(append([]string{}, g.Wrap...), g.Binary, "serve", "--config", g.File)
	g.cmd = exec.Command(line[0], line[1:]...)
	g.cmd.Env = append(append(os.Environ(), "WITNESS_SOURCE_SECRET="+SourceSecret, "WITNESS_SINK_SECRET="+SinkSecret), g.Env...)
	g.cmd.Stdout, g.cmd.Stderr = out, out
	// Should the test die, nothing it started is left behind.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		return err
	}
	cmd, done := g.cmd, make(chan struct{})
	g.done = done
	go func() { g.err = cmd.Wait(); close(done) }()
	return nil
}

// PID is the number of the process.
func (g *Gateway) PID() int { return g.cmd.Process.Pid }

// Signal sends it a signal.
func (g *Gateway) Signal(s os.Signal) error { return g.cmd.Process.Signal(s) }

// Kill is SIGKILL after some time, unless the gateway ends before that, which
// it has no reason to.
func (g *Gateway) Kill(after time.Duration) error {
	select {
	case <-g.done:
		return fmt.Errorf("the gateway ended by itself (%v): %s", g.err, g.Said())
	case <-time.After(after):
	}
	if err := g.cmd.Process.Kill(); err != nil {
		return err
	}
	<-g.done
	return nil
}

// Stop ends it in order.
func (g *Gateway) Stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := g.Ended(stopFor)
	switch {
	case errors.Is(err, ErrStays):
		return errors.Join(fmt.Errorf("after SIGTERM: %w: %s", err, g.Said()), g.cmd.Process.Kill())
	case err != nil:
		return fmt.Errorf("stopped with %w: %s", err, g.Said())
	}
	return nil
}

// ErrStays is that a process was to end and did not.
var ErrStays = errors.New("it did not end in time")

// Ended waits until it ends by itself, with the error of its exit status.
func (g *Gateway) Ended(within time.Duration) error {
	select {
	case <-g.done:
		return g.err
	case <-time.After(within):
		return fmt.Errorf("%w: %s", ErrStays, within)
	}
}

// Said is the end of what it printed.
func (g *Gateway) Said() string {
	text, err := os.ReadFile(g.out)
	if err != nil {
		return err.Error()
	}
	return "it said: …" + string(text[max(0, len(text)-3000):])
}

// Logged counts the lines it printed with a text in them.
func (g *Gateway) Logged(text string) int {
	all, err := os.ReadFile(g.out)
	if err != nil {
		return 0
	}
	return bytes.Count(all, []byte(text))
}

// Build builds the gateway from this tree into dir, with more flags for go build.
func Build(dir string, flags ...string) (binary string, err error) {
	binary = filepath.Join(dir, "seawall")
	args := append(append([]string{"build", "-o", binary}, flags...), "github.com/seawall-dev/seawall/cmd/seawall")
	build := exec.Command("go", args...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the gateway: %w: %s", err, out)
	}
	return binary, nil
}

// Discard ends it at once, if it runs: for what a test leaves behind.
func (g *Gateway) Discard() {
	if g.cmd == nil || g.cmd.Process == nil {
		return
	}
	g.cmd.Process.Kill()
	select {
	case <-g.done:
	case <-time.After(stopFor):
	}
}
