package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const defaultConfig = "seawall.yaml"

// cli is what every command works with: the process, and the flags that all
// commands share.
type cli struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	now      func() time.Time
	random   io.Reader
	program  string // as it was called, for commands that are shown

	config    string
	json      bool
	url       string
	tokenFile string

	shown   string // flags of commands that are shown, in place of flags
	trial   bool   // on a store of its own, whatever the environment says
	running bool   // a command's own work has begun: an error from then on is no misuse
}

// run runs one command line and returns the exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var usage *usageError
	misused := !c.running || errors.As(err, &usage)
	var problems config.Errors
	if errors.As(err, &problems) {
		c.reportProblems(problems)
		return exitFailed
	}
	hint := seawall.Hint(err)
	if down := (*notRunning)(nil); errors.As(err, &down) {
		err, hint = down, "start it: "+down.start
	}
	if misused && hint == "" {
		hint = cmd.CommandPath() + " --help"
	}
	c.report(err, hint)
	if misused {
		return exitUsage
	}
	return exitFailed
}

// silent is an error whose command has already said what is wrong.
var errSilent = errors.New("failed")

// report writes an error and its hints, each on lines of their own.
func (c *cli) report(err error, hint string) {
	if errors.Is(err, errSilent) {
		return
	}
	style := terminal.StyleOf(c.err, c.env)
	for i, line := range strings.Split(err.Error(), "\n") {
		label := style.Bad("error: ")
		if i > 0 {
			label = "       "
		}
		fmt.Fprintln(c.err, label+terminal.Clean(line))
	}
	if hint == "" {
		return
	}
	for line := range strings.SplitSeq(hint, "\n") {
		fmt.Fprintln(c.err, style.Warn("hint: ")+terminal.Clean(line))
	}
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// usageHint adds a hint to a misuse.
func usageHint(err error, format string, args ...any) error {
	return &usageError{(&seawall.Error{Kind: seawall.ErrInvalid, Msg: err.Error()}).WithHint(format, args...)}
}

// does makes a command's RunE: what it returns from then on is a failure and
// not a misuse.
func (c *cli) does(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c.running = true
		return f(cmd.Context(), args)
	}
}

// style is how standard output is coloured.
func (c *cli) style() terminal.Style { return terminal.StyleOf(c.out, c.env) }

func (c *cli) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// flags are those of this invocation that a command shown as a hint needs too.
func (c *cli) flags() string {
	if c.shown != "" {
		return c.shown
	}
	var out []string
	if c.config != "" {
		out = append(out, "--config "+c.config)
	}
	if c.url != "" {
		out = append(out, "--url "+c.url)
	}
	if c.tokenFile != "" {
		out = append(out, "--token-file "+c.tokenFile)
	}
	return strings.Join(out, " ")
}

// command is a command of ours as a person would type it now.
func (c *cli) command(args string) string {
	return strings.TrimSpace(c.program + " " + args + " " + c.flags())
}

// configPath is the configuration file: --config, else SEAWALL_CONFIG, else
// seawall.yaml.
func (c *cli) configPath() string {
	for _, p := range []string{c.config, c.env("SEAWALL_CONFIG")} {
		if p != "" {
			return p
		}
	}
	return defaultConfig
}
