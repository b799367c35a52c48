// Command mutants proves that the tests can fail. Each patch beside it plants
// one bug in a copy of this tree; the test that it names must then fail. A bug
// that survives, or a patch that no longer applies, ends it with an error.
//
//	go run ./test/mutants                    all of them
//	go run ./test/mutants -only no-sync      those whose name contains this
//	go run ./test/mutants -trust             without trying the tests unharmed first
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// A test that hangs has failed, too: it has usual, unless the patch says more,
// and the go command with its build within.
const (
	usual  = "60s"
	within = 8 * time.Minute
)

func main() {
	only := flag.String("only", "", "run those whose name contains this")
	trust := flag.Bool("trust", false, "do not run the tests without the bugs first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *trust); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, trust bool) error {
	root, err := output(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	root = strings.TrimSpace(root)
	ms, err := mutants(filepath.Join(root, "test", "mutants"), only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "seawall-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(ctx, root, dir); err != nil {
		return err
	}
	sound := map[string]error{} // by test: whether it passes without a bug
	bad := 0
	for i := range ms {
		m := &ms[i]
		began := time.Now()
		if _, known := sound[m.test]; !known && !trust {
			sound[m.test] = passes(ctx, dir, m.test)
		}
		m.verdict = "fails without it"
		if sound[m.test] == nil {
			m.verdict = m.plant(ctx, dir)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m.verdict != caught {
			bad++
		}
		fmt.Printf("%-28s %-4s %-16s %5.0fs  %s\n", m.name, m.guarantee, m.verdict, time.Since(began).Seconds(), m.breaks)
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tguarantee\tverdict\ttest")
	for _, m := range ms {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.name, m.guarantee, m.verdict, m.test)
	}
	w.Flush()
	if bad > 0 {
		return fmt.Errorf("%d of %d planted bugs were not caught", bad, len(ms))
	}
	fmt.Printf("\n%d of %d planted bugs caught\n", len(ms), len(ms))
	return nil
}

// mutant is one patch. Its first lines say, behind "#", what it breaks, which
// guarantee that is, and the arguments of the go test that must fail.
type mutant struct {
	name, file              string
	breaks, guarantee, test string
	verdict                 string
}

func mutants(dir, only string) (ms []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		m := mutant{file: file, name: strings.TrimSuffix(filepath.Base(file), ".patch")}
		if !strings.Contains(m.name, only) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			key, value, ok := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
			if !strings.HasPrefix(line, "# ") || !ok {
				break
			}
			switch value = strings.TrimSpace(value); key {
			case "breaks":
				m.breaks = value
			case "guarantee":
				m.guarantee = value
			case "test":
				m.test = value
			}
		}
		if m.breaks == "" || m.guarantee == "" || m.test == "" {
			return nil, fmt.Errorf("%s begins without one of # breaks, # guarantee and # test", file)
		}
		ms = append(ms, m)
	}
	if len(ms) == 0 {
		return nil, errors.New("no patch was found")
	}
	return ms, nil
}

const caught = "caught"

// plant applies the patch, runs the test, and takes the patch back.
func (m *mutant) plant(ctx context.Context, dir string) string {
	if _, err := output(ctx, dir, "git", "apply", "-C1", m.file); err != nil {
		return "does not apply"
	}
	defer output(context.WithoutCancel(ctx), dir, "git", "apply", "-C1", "-R", m.file)
	out, err := goTest(ctx, dir, m.test)
	switch {
	case err == nil:
		return "SURVIVED"
	case strings.Contains(out, "--- FAIL") || strings.Contains(out, "panic: "):
		return caught
	default:
		fmt.Println(tail(out))
		return "does not build"
	}
}

func passes(ctx context.Context, dir, test string) error {
	out, err := goTest(ctx, dir, test)
	if err != nil {
		fmt.Println(tail(out))
		return err
	}
	if strings.Contains(out, "no tests to run") || strings.Contains(out, "--- SKIP") {
		return fmt.Errorf("go test %s tests nothing", test)
	}
	return nil
}

func goTest(ctx context.Context, dir, test string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	args := append([]string{"test", "-count=1", "-failfast", "-timeout", usual}, strings.Fields(test)...)
	return output(ctx, dir, "go", args...)
}

// copyTree copies what git knows of, or would be told of, as it is now.
func copyTree(ctx context.Context, root, dir string) error {
	list, err := output(ctx, root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.Trim(list, "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted, or a link
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, info.Mode()); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(string(out)))
	}
	return string(out), err
}

func tail(s string) string { return s[max(0, len(s)-2000):] }
