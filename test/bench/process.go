package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one program that is measured, or a node of it.
type process struct {
	addr  string // where it takes events
	admin string // where it shows its metrics; "" of the baseline
	pid   int
	cmd   *exec.Cmd
	out   string // file with what it printed
	began time.Time
	done  chan error
}

// spawn starts a program under the wrapper, if there is one, and waits until it
// takes connections.
func spawn(p process, wrapper ...string) (*process, error) {
	if len(wrapper) > 0 {
		wrapped := exec.Command(wrapper[0], append(wrapper[1:], p.cmd.Args...)...)
		wrapped.Env = p.cmd.Env
		p.cmd = wrapped
	}
	out, err := os.Create(p.out)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// Should the harness die, nothing it started is left behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid, p.done = p.cmd.Process.Pid, make(chan error, 1)
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.awaitListener(); err != nil {
		return nil, err
	}
	if len(wrapper) > 0 {
		err = p.unwrap()
	}
	return &p, err
}

// startFor bounds how long a start may take, whatever waits in the store.
const startFor = 60 * time.Second

func (p *process) awaitListener() error {
	ctx, cancel := context.WithTimeout(context.Background(), startFor)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.DialTimeout("tcp", p.addr, time.Second); err == nil {
			return conn.Close()
		}
		select {
		case err := <-p.done:
			return fmt.Errorf("it ended at its start (%v): %s", err, p.said())
		case <-ctx.Done():
			p.cmd.Process.Kill()
			<-p.done
			return fmt.Errorf("it takes no connections after %s: %s", startFor, p.said())
		case <-tick.C:
		}
	}
}

// unwrap makes the wrapper's child the process that signals and figures are of.
func (p *process) unwrap() error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.pid, p.pid))
	if err != nil {
		return err
	}
	p.pid, err = strconv.Atoi(strings.TrimSpace(string(children)))
	return err
}

// stop ends it in order, or else by force.
func (p *process) stop() error {
	syscall.Kill(p.pid, syscall.SIGTERM)
	select {
	case <-p.done:
		return nil // the baseline knows no orderly end
	case <-time.After(40 * time.Second):
		syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.done
		return errors.New("did not end within 40 s of SIGTERM: " + p.said())
	}
}

// said is the end of what it printed.
func (p *process) said() string {
	text, err := os.ReadFile(p.out)
	if err != nil {
		return err.Error()
	}
	return "it said: …" + string(text[max(0, len(text)-2000):])
}

// cpu is the processor time that a process has used so far, with that of its
// children that ended (proc(5), stat, fields 14 to 17).
func cpu(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, stat)
	}
	var sum int64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// peak is the most memory of a process that was ever resident, in bytes.
func peak(pid int) (int64, error) {
	kib, err := procNumber(pid, "status", "VmHWM:")
	return kib << 10, err
}

// resident is how much of its memory is, in bytes.
func resident(pid int) (int64, error) {
	kib, err := procNumber(pid, "status", "VmRSS:")
	return kib << 10, err
}

// procNumber reads a line such as "VmHWM:  123 kB".
func procNumber(pid int, file, key string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key); ok {
			return strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/%d/%s: no %s", pid, file, key)
}
