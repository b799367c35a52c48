package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// variables are those of the environment that are the command line's own.
var variables = []string{"SEAWALL_CONFIG", "SEAWALL_TOKEN", "SEAWALL_URL"}

// load reads and checks the configuration.
func (c *cli) load() (*config.Config, error) {
	cfg, err := config.Load(c.configPath(), c.options())
	if err != nil {
		return nil, noConfig(c.configPath(), err)
	}
	return cfg, nil
}

// parse checks an earlier revision of the configuration, as kept in the store.
func (c *cli) parse(text []byte) (*config.Config, error) {
	path := c.configPath()
	o := c.options()
	o.Dir, o.Revision = filepath.Dir(path), true
	return config.Parse(text, path, o)
}

// options are how the configuration is read. A trial's own store is not to be
// turned into one that the environment names.
func (c *cli) options() config.Options {
	o := config.Options{Known: variables}
	if c.trial {
		o.Getenv = func(name string) (string, bool) {
			if name == "SEAWALL_STORE" {
				return "", false
			}
			return os.LookupEnv(name)
		}
	}
	return o
}

// node reads of the configuration only what belongs to the process.
func (c *cli) node() (config.Node, error) {
	n, err := config.LoadNode(c.configPath(), c.nodeOptions())
	if err != nil {
		return n, noConfig(c.configPath(), err)
	}
	return n, nil
}

// nodeOptions make a missing file, where none was named, what a gateway does by
// default.
func (c *cli) nodeOptions() config.Options {
	path := c.configPath()
	return config.Options{ReadFile: func(name string) ([]byte, error) {
		b, err := os.ReadFile(name)
		if name == path && path == defaultConfig && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return b, err
	}}
}

// withStore opens the gateway's store, beside the gateway if it runs. Where
// there is none it is made only for a command that begins one.
func (c *cli) withStore(ctx context.Context, begin bool, f func(store.Store) error) (err error) {
	n, err := c.node()
	if err != nil {
		return err
	}
	if err := engine.Exists(n.Store); err != nil && !begin {
		return seawall.Errorf(seawall.ErrNotFound, "%w", err).
			WithHint("a gateway makes it as it starts: %s serve --config %s", c.program, c.configPath())
	}
	s, err := engine.Open(ctx, n.Store, engine.Options{Now: c.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}
