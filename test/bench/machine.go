package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of processor times in /proc: the kernel's clock tick is
// 100 Hz on every platform that Go knows.
const tick = 10 * time.Millisecond

// clock is how much processor time has been used so far: by the server, by this
// process (load generator and sink), and by all processes of the machine.
type clock struct {
	server, self, all time.Duration
	at                time.Time
}

func (s *server) clock() (c clock, err error) {
	c.at = time.Now()
	if c.server, err = s.cpu(); err != nil {
		return c, err
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return c, err
	}
	c.self = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	c.all, err = machineBusy()
	return c, err
}

// machineBusy is the time that all processors together have not been idle
// (proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal).
func machineBusy() (busy time.Duration, err error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat: %q", first)
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
	}
	return busy, nil
}

// others is the share of the machine, in per cent, that neither the server nor
// this process took between two readings.
func others(a, b clock, cpus int) float64 {
	rest := (b.all - a.all) - (b.server - a.server) - (b.self - a.self)
	return 100 * max(0, rest.Seconds()) / b.at.Sub(a.at).Seconds() / float64(cpus)
}
