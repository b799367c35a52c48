package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/app"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
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

// first sends the first event and tells its story.
func (d *demo) first(ctx context.Context) error {
	d.welcome()
	source, kind, err := d.choose()
	if err != nil {
		return err
	}
	id, err := d.post(ctx, source, kind)
	if err != nil {
		return err
	}
	if _, err := d.settled(ctx, id); err != nil {
		return err
	}
	d.printf("\n")
	if err := d.tell(ctx, d.api, id, story.Options{}); err != nil {
		return err
	}
	d.printf("\nFrom another terminal:\n")
	for _, args := range []string{"events list", "events show " + id, "destinations list"} {
		d.printf("  %s\n", d.command(args))
	}
	d.printf("  %s send %s --config %s\n", d.program, source.Name, d.config)
	return nil
}

// welcome says where everything is.
func (d *demo) welcome() {
	d.printf("Seawall %s is listening.\n", release())
	for _, s := range d.cfg.Sources {
		d.printf("  %-24s http://%s/in/%s\n", "webhooks of "+s.Name, d.public, s.Name)
	}
	d.printf("  %-24s http://%s/api/v1\n", "its own API", reachable(d.app.AdminAddr()))
	for _, dest := range d.cfg.Destinations {
		if c := d.consumers.byName[dest.Name]; c != nil {
			d.printf("  %-24s %s\n", "example program "+c.name, c.url)
		}
	}
	d.printf("\n")
}

const (
	pollEvery = 25 * time.Millisecond
	showWait  = 30 * time.Second // how long the show waits for one of its steps
)

// settled waits until all deliveries of an event have ended.
func (d *demo) settled(ctx context.Context, id string) (*api.Story, error) {
	return d.until(ctx, id, func(s *api.Story) bool {
		for _, t := range s.Deliveries {
			if t.Finished.IsZero() && d.consumers.byName[t.Destination] != nil {
				return false
			}
		}
		return true
	})
}

// until waits until an event's story has come to a point.
func (d *demo) until(ctx context.Context, id string, done func(*api.Story) bool) (*api.Story, error) {
	ctx, cancel := context.WithTimeout(ctx, showWait)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		s, err := d.api.Story(ctx, id)
		if err == nil && done(s) {
			return s, nil
		}
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", id, context.Cause(ctx))
		}
	}
}

// choose finds a source and a type of event that a route wants.
func (d *demo) choose() (*config.Source, string, error) {
	for _, r := range d.cfg.Routes {
		src, err := sourceNamed(d.cfg, r.From)
		if err != nil {
			continue
		}
		kind := ""
		if src.Kind == "github" {
			kind = "push"
		}
		if len(r.Types) > 0 && !strings.ContainsAny(r.Types[0], "*?") && (typeHeaders[src.Kind] != "" || typeFields[src.Kind] != "") {
			kind = r.Types[0]
		}
		return src, kind, nil
	}
	return nil, "", seawall.Errorf(seawall.ErrInvalid, "this configuration has no route to show")
}

// base is the URL of the public listener.
func (d *demo) base() string { return "http://" + d.public }

// post sends a signed sample, says so, and returns the event that it became.
func (d *demo) post(ctx context.Context, src *config.Source, kind string) (string, error) {
	req, err := d.sample(d.cfg, src, d.base(), kind, "", nil)
	if err != nil {
		return "", err
	}
	return d.postAs(ctx, req, strings.TrimSpace("a signed "+src.Kind+" "+kind))
}

// postAs sends a request. What comes of it is told after it.
func (d *demo) postAs(ctx context.Context, req *provider.Request, what string) (string, error) {
	d.speak.Lock()
	defer d.speak.Unlock()
	status, answer, err := post(ctx, req, d.base())
	if err != nil {
		return "", err
	}
	d.printf("  sent %s to %s: %d %s\n", what, req.URL, status, http.StatusText(status))
	events := eventsIn(answer)
	if len(events) == 0 {
		return "", seawall.Errorf(seawall.ErrInvalid, "the gateway made no event of it: %s", terminal.Clip(string(answer), 300)).
			WithHint("why: %s", d.command("arrivals list"))
	}
	return events[0], nil
}
