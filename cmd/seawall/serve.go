package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/app"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the gateway, until it is told to stop",
		Long: `Run the gateway.

SIGTERM and SIGINT stop it: nothing more is received, attempts in flight end and
are recorded. A second one stops it at once, which loses nothing either. SIGHUP
makes it read its file again; an invalid file changes nothing. It logs to
standard error.`,
		Args: cobra.NoArgs,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			// Before anything else: a SIGHUP must not end a gateway that starts.
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)

			cfg, err := c.load()
			if err != nil {
				return err
			}
			log := logger(c.err, cfg.Node)
			for _, w := range cfg.Warnings {
				log.Warn("configuration", "warning", w)
			}
			defer runtime.KeepAlive(boundMemory(cfg.Limits.Memory, c.env))
			a, err := app.Open(ctx, app.Options{Config: cfg, Load: c.load, Parse: c.parse, Version: release(), Log: log, Now: c.now, Random: c.random})
			if err != nil {
				return err
			}
			reloads, stop := context.WithCancel(ctx)
			defer stop()
			go reloadOn(reloads, hup, a, log)
			return a.Run(ctx)
		}),
	}
}

// reloadOn reloads at each signal, until ctx ends.
func reloadOn(ctx context.Context, hup <-chan os.Signal, a *app.App, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		_, warnings, err := a.Reload(ctx, "SIGHUP", false)
		for _, w := range warnings {
			log.Warn("configuration", "warning", w)
		}
		if err == nil {
			continue
		}
		log.Error("configuration not reloaded: the running one stays", "problems", strings.Count(err.Error(), "\n")+1)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			log.Error("configuration", "problem", line)
		}
		if hint := seawall.Hint(err); hint != "" {
			log.Error("configuration", "hint", hint)
		}
	}
}

// logger writes to w as the configuration says.
func logger(w io.Writer, n config.Node) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	var level slog.Level
	if level.UnmarshalText([]byte(n.Log)) == nil {
		o.Level = level
	}
	if n.Format == "json" || n.Format == "" && !terminal.IsTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// boundMemory makes the garbage collector work harder as the process comes near
// its bound, in bytes, and less while it is far from it: what lives is small
// beside what passes through. GOMEMLIMIT and GOGC are an operator's own word.
//
// What it returns is to be kept alive: it is never touched, and so takes no
// memory, but it counts, and so has a heap that is nearly empty collected at some
// 120 MB rather than 60: half as often, for pages that a process with such a bound
// may have.
func boundMemory(limit int64, env func(string) string) (ballast []byte) {
	if env("GOGC") == "" {
		debug.SetGCPercent(400)
		if limit >= roomy {
			ballast = make([]byte, 12<<20)
		}
	}
	if env("GOMEMLIMIT") == "" && limit > 0 {
		debug.SetMemoryLimit(max(limit-limit/8-outside, limit/2))
	}
	return ballast
}

// outside is memory of the process that Go does not count: some 25 MiB of the
// program's own text, and a few for what SQLite takes beyond its pages, for which
// there is an eighth of the limit (internal/app), and for threads; the rest is what
// Go exceeds its bound by before it has collected.
const outside = 32 << 20

// roomy is the bound on memory from which there is room for ballast.
const roomy = 256 << 20
