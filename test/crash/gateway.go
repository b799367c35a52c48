package crash

import (
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
	path         = "/in/crash"
	sourceSecret = "a-secret-of-the-crash-test-only"
	sinkSecret   = "whsec_c2Vhd2FsbC1jcmFzaC10ZXN0LXNpbmstc2VjcmV0"
	slots        = 64
	stopFor      = 30 * time.Second
)

const gatewayConfig = `store: "sqlite:%s"
listen: "%s"
admin: { listen: "%s" }
egress: { allow: ["127.0.0.0/8"] }
sources:
  crash: { provider: github, secret: "${CRASH_SOURCE_SECRET}" }
destinations:
  sink:
    url: "http://%s/"
    concurrency: %d
    sign: { secret: "${CRASH_SINK_SECRET}" }
routes:
  - { from: crash, to: sink }
`

// gateway is the real binary on a store that outlives it.
type gateway struct {
	binary string
	file   string
	addr   string
	out    string // file with what all its lives printed

	cmd  *exec.Cmd
	done chan error
}

func newGateway(binary, dir, sink string) (*gateway, error) {
	addr, err := load.FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := load.FreeAddr()
	if err != nil {
		return nil, err
	}
	g := &gateway{binary: binary, addr: addr, file: filepath.Join(dir, "seawall.yaml"), out: filepath.Join(dir, "seawall.out")}
	text := fmt.Sprintf(gatewayConfig, filepath.Join(dir, "seawall.db"), addr, admin, sink, slots)
	return g, os.WriteFile(g.file, []byte(text), 0o600)
}

func (g *gateway) start() error {
	out, err := os.OpenFile(g.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	g.cmd = exec.Command(g.binary, "serve", "--config", g.file)
	g.cmd.Env = append(os.Environ(), "CRASH_SOURCE_SECRET="+sourceSecret, "CRASH_SINK_SECRET="+sinkSecret)
	g.cmd.Stdout, g.cmd.Stderr = out, out
	// Should the test die, nothing it started is left behind.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		return err
	}
	g.done = make(chan error, 1)
	go func() { g.done <- g.cmd.Wait() }()
	return nil
}

// kill is SIGKILL after some time, unless the gateway ends before that, which
// it has no reason to.
func (g *gateway) kill(after time.Duration) error {
	select {
	case err := <-g.done:
		return fmt.Errorf("the gateway ended by itself (%v): %s", err, g.said())
	case <-time.After(after):
	}
	if err := g.cmd.Process.Kill(); err != nil {
		return err
	}
	<-g.done
	return nil
}

// stop ends it in order.
func (g *gateway) stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-g.done:
		if err != nil {
			return fmt.Errorf("stopped with %w: %s", err, g.said())
		}
		return nil
	case <-time.After(stopFor):
		return errors.Join(fmt.Errorf("did not end within %s of SIGTERM: %s", stopFor, g.said()), g.cmd.Process.Kill())
	}
}

// said is the end of what it printed.
func (g *gateway) said() string {
	text, err := os.ReadFile(g.out)
	if err != nil {
		return err.Error()
	}
	return "it said: …" + string(text[max(0, len(text)-3000):])
}
