package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Mode is how a server is stopped.
type Mode syscall.Signal

const (
	Fast      = Mode(syscall.SIGINT)  // connections are ended, everything is written
	Immediate = Mode(syscall.SIGQUIT) // like a crash, but in order: recovery follows
)

// server is a running postmaster.
type server struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
}

// Start starts a server that was stopped or killed, and waits until it takes
// connections.
func (c *Cluster) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		return errors.New("the server runs already")
	}
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := c.programs.command(context.Background(), "postgres", "-D", c.data())
	cmd.Stdout, cmd.Stderr = log, log
	// Told so, the server takes its children with it should the test die.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if err := cmd.Start(); err != nil {
		return err
	}
	s := &server{cmd, make(chan struct{})}
	go func() { cmd.Wait(); close(s.done) }()
	c.server = s
	if err := c.awaitReady(); err != nil {
		return errors.Join(fmt.Errorf("start PostgreSQL: %w: %s", err, c.Log()), c.kill())
	}
	return nil
}

// awaitReady waits until the server answers.
func (c *Cluster) awaitReady() error {
	return await(func() (bool, error) {
		select {
		case <-c.server.done:
			return false, errors.New("it ended")
		default:
		}
		return c.programs.run("pg_isready", "--quiet", "--host", c.dir, "--port", c.port(), "--dbname", "postgres") == nil, nil
	})
}

func (c *Cluster) port() string { return c.place()["port"] }

// Stop ends the server in a mode and waits until it is gone.
func (c *Cluster) Stop(m Mode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return nil
	}
	if err := c.server.cmd.Process.Signal(syscall.Signal(m)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := c.gone(0); err != nil {
		return errors.Join(fmt.Errorf("stop PostgreSQL: %w: %s", err, c.Log()), c.kill())
	}
	c.server = nil
	return nil
}

// Kill is SIGKILL to every process of the server, as a crash of the machine
// would be but for what its disk keeps. When it returns none of them is left,
// and with the last of them the shared memory went.
func (c *Cluster) Kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kill()
}

func (c *Cluster) kill() error {
	if c.server == nil {
		return nil
	}
	if err := c.server.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	// The postmaster first, or it would start the children anew.
	if err := c.gone(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	c.server = nil
	return nil
}

// gone waits until no process of the server is left, and sends those that are a
// signal, if one is given.
func (c *Cluster) gone(sig syscall.Signal) error {
	select {
	case <-c.server.done:
	case <-time.After(patience):
		return errors.New("the postmaster does not end")
	}
	return await(func() (bool, error) {
		left := processesIn(c.data())
		for _, pid := range left {
			if sig != 0 {
				syscall.Kill(pid, sig)
			}
		}
		return len(left) == 0, nil
	})
}

// Processes are those of the server, for those who measure it.
func (c *Cluster) Processes() []int { return processesIn(c.data()) }

// Restart stops the server and starts it again.
func (c *Cluster) Restart(m Mode) error {
	if err := c.Stop(m); err != nil {
		return err
	}
	return c.Start()
}

// await asks until it is told yes.
func await(ready func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if ok, err := ready(); err != nil || ok {
			return err
		}
	}
	return fmt.Errorf("not within %s", patience)
}
