package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// claimBenchmark is the store's own: claim a batch and settle it, with so many
// deliveries pending.
const claimBenchmark = "BenchmarkClaimSettle"

// flat is how much dearer claim and settle may get from the smallest backlog to
// the largest: nothing, but for the noise of a shared machine.
const flat = 1.5

type claims struct {
	Lines  []claimLine `json:"backlogs"`
	Ratio  float64     `json:"ratio"` // of the largest backlog to the smallest
	Target float64     `json:"target"`
	Pass   bool        `json:"pass"`
}

type claimLine struct {
	Pending int     `json:"pending"`
	NsPerOp float64 `json:"ns_per_op"` // median
}

func measureClaims(quick bool) (*claims, error) {
	count, limit := "5", 10*time.Minute
	if quick {
		count = "1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "./internal/store/sqlite", "-run", "^$",
		"-bench", "^"+claimBenchmark+"$", "-count", count, "-timeout", limit.String())
	cmd.Stderr = os.Stderr
	progress("running %s, %s times; filling a million rows takes a while", claimBenchmark, count)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test: %w: %s", err, out)
	}
	return parseClaims(string(out))
}

var (
	claimResult = regexp.MustCompile(`(?m)^` + claimBenchmark + `/(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)
	backlog     = regexp.MustCompile(`(\d+)([kKM]?)$`)
)

// parseClaims reads what go test -bench prints: the name of a case ends with
// how many were pending (1000, 1k, 1M).
func parseClaims(out string) (*claims, error) {
	costs := map[int][]float64{}
	for _, m := range claimResult.FindAllStringSubmatch(out, -1) {
		size := backlog.FindStringSubmatch(m[1])
		if size == nil {
			return nil, fmt.Errorf("%s/%s does not end with a backlog", claimBenchmark, m[1])
		}
		n, err := strconv.Atoi(size[1])
		ns, err2 := strconv.ParseFloat(m[2], 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		n *= map[string]int{"": 1, "k": 1_000, "M": 1_000_000}[strings.Replace(size[2], "K", "k", 1)]
		costs[n] = append(costs[n], ns)
	}
	if len(costs) < 2 {
		return nil, fmt.Errorf("want at least two backlogs from %s, got:\n%s", claimBenchmark, out)
	}
	c := &claims{Target: flat}
	for n, ns := range costs {
		c.Lines = append(c.Lines, claimLine{n, *median(ns)})
	}
	sortByPending(c.Lines)
	c.Ratio = c.Lines[len(c.Lines)-1].NsPerOp / c.Lines[0].NsPerOp
	c.Pass = c.Ratio <= c.Target
	return c, nil
}

func sortByPending(ls []claimLine) {
	slices.SortFunc(ls, func(a, b claimLine) int { return a.Pending - b.Pending })
}

func (c *claims) passed() bool { return c.Pass }

func (c *claims) print() {
	fmt.Printf("%12s  %s\n", "pending", "claim and settle, µs")
	for _, l := range c.Lines {
		fmt.Printf("%12d  %.1f\n", l.Pending, l.NsPerOp/1000)
	}
	verdict := "FAIL"
	if c.Pass {
		verdict = "PASS"
	}
	fmt.Printf("\nlargest to smallest: %.2f, at most %.2f  %s\n", c.Ratio, c.Target, verdict)
}
