package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/story"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

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
	again := "send " + source.Name
	if kind != "" {
		again += " --type " + kind
	}
	d.printf("  %s %s --config %s\n", d.program, again, d.config)
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
	return d.postAs(ctx, req, signed(src, kind))
}

// signed names a sample: "a signed github push", or "a signed hmac webhook" of no
// type.
func signed(src *config.Source, kind string) string {
	return "a signed " + src.Kind + " " + cmp.Or(kind, "webhook")
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
