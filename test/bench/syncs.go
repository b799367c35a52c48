package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// countSyncs runs a contender once more, all out, under strace, which stops it
// at nothing but its calls to fsync and fdatasync, and returns how many of them
// an event took. The calls of start and end are counted too. ok is false where
// there is no strace.
func (b *bench) countSyncs(c contender) (perEvent float64, ok bool, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return 0, false, nil
	}
	dir := filepath.Join(b.dir, c.name+"-syncs")
	counts := dir + ".counts"
	t, err := b.begin(c, dir, strace, "-f", "--seccomp-bpf", "-c", "-o", counts, "-e", "trace=fsync,fdatasync")
	if err != nil {
		return 0, false, err
	}
	_, err = t.stretch(b.conns, 0, b.span/2)
	if endErr := t.end(); err == nil {
		err = endErr
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s under strace: %w", c.name, err)
	}
	calls, err := readSyncs(counts)
	if err != nil {
		return 0, false, err
	}
	return float64(calls) / float64(t.acked), true, os.RemoveAll(dir)
}

// readSyncs adds up the calls in a summary of strace -c: columns of which the
// fourth is the number of calls and the last the name.
func readSyncs(file string) (calls int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || fields[len(fields)-1] != "fsync" && fields[len(fields)-1] != "fdatasync" {
			continue
		}
		n, err := strconv.Atoi(fields[3])
		if err != nil {
			return 0, fmt.Errorf("%s: %q: %w", filepath.Base(file), lines.Text(), err)
		}
		calls += n
	}
	return calls, lines.Err()
}
