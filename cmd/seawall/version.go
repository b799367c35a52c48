package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by a release's build: -ldflags "-X main.version=v1.2.3".
var version string

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: c.does(func(context.Context, []string) error {
			if c.json {
				return writeJSON(c.out, map[string]string{"version": release(), "go": runtime.Version()})
			}
			c.printf("seawall %s (%s)\n", release(), runtime.Version())
			return nil
		}),
	}
}

// release is the version of this binary: what its build said, else the commit
// that it was built from.
func release() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
