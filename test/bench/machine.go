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

// reading is what has been used so far: processor time by the server, its
// database as a part of it, by this process (load generator and sink) and by all
// processes of the machine; and what all of them had written to the stores' disk. A
// process's own account of that (proc(5), io) is no use: it counts a whole folio for
// each page of it that is written.
type reading struct {
	server, database, self, all time.Duration
	written                     int64 // bytes
	at                          time.Time
}

func (s *server) reading(disk string) (r reading, err error) {
	r.at = time.Now()
	if r.server, r.database, err = s.cpu(); err != nil {
		return r, err
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return r, err
	}
	r.self = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	if r.all, err = machineBusy(); err != nil {
		return r, err
	}
	r.written, err = written(disk)
	return r, err
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
func others(a, b reading, cpus int) float64 {
	rest := (b.all - a.all) - (b.server - a.server) - (b.self - a.self)
	return 100 * max(0, rest.Seconds()) / b.at.Sub(a.at).Seconds() / float64(cpus)
}

// diskOf names the block device that a directory is on, as /proc/diskstats does:
// "8:1". It is "" where that is none.
func diskOf(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	dev := uint64(st.Dev) // as the C library splits it (makedev(3))
	return fmt.Sprintf("%d:%d", dev>>8&0xfff, dev&0xff|dev>>12&0xfff00)
}

// sector is the unit of /proc/diskstats, whatever the disk's own is.
const sector = 512

// written is how much a disk has written so far; 0 where it is not known.
func written(disk string) (int64, error) {
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, nil // some containers have none
	}
	for line := range strings.Lines(string(stats)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[0]+":"+f[1] == disk {
			n, err := strconv.ParseInt(f[9], 10, 64)
			return n * sector, err
		}
	}
	return 0, nil
}
