package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/app"
	"github.com/seawall-dev/seawall/internal/config"
)

func (c *cli) demoCommand() *cobra.Command {
	var once, tour bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the gateway with an example destination, and show a first event's way",
		Long: `Run the gateway on --config, or on a configuration of its own in a temporary
folder, together with an example program behind every destination on this
machine. It sends itself a signed sample webhook, tells its story, and goes on
running until interrupted.

Secrets that the configuration refers to as file:secrets/… and that do not exist
are made: random, and readable by you only.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the story")
	cmd.Flags().BoolVar(&tour, "tour", false, "show more: a duplicate, a forged request, a destination that is down, a dead letter, a replay")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		if tour && c.config != "" {
			return usagef("the tour runs on a configuration of its own: leave out --config")
		}
		if c.config == "" {
			dir, err := os.MkdirTemp("", "seawall-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			c.trial = true
			if err := c.demoConfig(dir); err != nil {
				return err
			}
		}
		d, err := c.openDemo(ctx)
		if err != nil {
			return err
		}
		return d.run(ctx, once, tour)
	})
	return cmd
}

// demoConfig writes the demo's own configuration, on free addresses.
func (c *cli) demoConfig(dir string) error {
	var addrs []any
	for _, usual := range []string{"127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:9000"} {
		addr, err := free(usual)
		if err != nil {
			return err
		}
		addrs = append(addrs, addr)
	}
	text := fmt.Sprintf(`store: sqlite:%s
listen: %q
admin: { listen: %q }
egress: { allow: ["127.0.0.0/8"] }
sources:
  github: { provider: github, secret: "file:secrets/github" }
destinations:
  orders:
    url: "http://%s/hooks"
    sign: { secret: "file:secrets/orders" }
    retry: { first: 1s, max: 1 } # for a demo: a day is too long to watch
routes:
  - { from: github, to: orders }
`, append([]any{filepath.Join(dir, "seawall.db")}, addrs...)...)
	c.config = filepath.Join(dir, defaultConfig)
	c.shown = "--url http://" + addrs[1].(string)
	return create(c.config, text, 0o600)
}

// demo is a gateway with example programs behind it.
type demo struct {
	*cli
	cfg       *config.Config
	app       *app.App
	api       *client.Client
	consumers *consumers
	public    string // address of the public listener

	speak sync.Mutex // the consumers speak too
}

func (d *demo) say(format string, args ...any) {
	d.speak.Lock()
	defer d.speak.Unlock()
	d.printf(format, args...)
}

func (c *cli) openDemo(ctx context.Context) (_ *demo, err error) {
	d := &demo{cli: c}
	made, err := c.makeSecrets(c.configPath())
	if err != nil {
		return nil, err
	}
	if c.shown == "" { // those of a temporary folder are of no interest
		for _, path := range made {
			c.printf("made %s: a random secret that only you can read\n", path)
		}
	}
	if d.cfg, err = c.load(); err != nil {
		return nil, err
	}
	if d.consumers, err = newConsumers(d.cfg, d.say); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.consumers.close()
		}
	}()
	// What goes wrong is part of the show, and is told there.
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
	if d.app, err = app.Open(ctx, app.Options{Config: d.cfg, Load: c.load, Parse: c.parse, Version: release(), Log: log}); err != nil {
		return nil, err
	}
	d.public = reachable(d.app.PublicAddr())
	token, err := c.token()
	if err != nil {
		return nil, errors.Join(err, d.app.Close())
	}
	if d.api, err = client.New("http://"+reachable(d.app.AdminAddr()), token, nil); err != nil {
		return nil, errors.Join(err, d.app.Close())
	}
	return d, nil
}

func (d *demo) run(ctx context.Context, once, tour bool) error {
	defer d.consumers.close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.app.Run(running) }()

	show := d.first
	if tour {
		show = d.tour
	}
	err := show(ctx)
	if err == nil && !once {
		d.printf("\nIt runs until Ctrl-C.\n")
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	if ctx.Err() != nil {
		err = nil // told to stop in the middle of the show
	}
	return errors.Join(err, <-ended)
}
