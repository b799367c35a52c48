package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// tour shows what a gateway is for, one thing after the other.
func (d *demo) tour(ctx context.Context) error {
	d.heading(1, "A signed webhook comes, and is delivered")
	if err := d.first(ctx); err != nil {
		return err
	}
	for i, stop := range []struct {
		title string
		show  func(context.Context) error
	}{
		{"The same webhook again: senders repeat themselves", d.duplicate},
		{"A forged webhook: somebody guesses the address", d.forged},
		{"The destination is down for a moment: the retry delivers", d.retry},
		{"The destination stays down: a dead letter, and its replay", d.deadLetter},
	} {
		d.heading(i+2, stop.title)
		if err := stop.show(ctx); err != nil {
			return fmt.Errorf("%s: %w", stop.title, err)
		}
	}
	d.printf("\nThat was the tour. A gateway of your own begins with: %s init\n", d.program)
	return nil
}

func (d *demo) heading(n int, title string) {
	d.say("\n%s\n\n", d.style().Bold(fmt.Sprintf("%d. %s", n, title)))
}

func (d *demo) see(args string) { d.say("  see: %s\n", d.style().Bold(d.command(args))) }

// send posts the sample of the tour's source.
func (d *demo) send(ctx context.Context) (string, error) {
	source, kind, err := d.choose()
	if err != nil {
		return "", err
	}
	return d.post(ctx, source, kind)
}

func (d *demo) duplicate(ctx context.Context) error {
	source, kind, err := d.choose()
	if err != nil {
		return err
	}
	req, err := d.sample(d.cfg, source, d.base(), kind, "", nil)
	if err != nil {
		return err
	}
	event, err := d.postAs(ctx, req, signed(source, kind))
	if err != nil {
		return err
	}
	if _, err := d.settled(ctx, event); err != nil {
		return err
	}
	if _, err := d.postAs(ctx, req, "the same "+cmp.Or(kind, "webhook")); err != nil {
		return err
	}
	s, err := d.api.Story(ctx, event)
	if err != nil {
		return err
	}
	d.say("  acknowledged like the first, and recognised: %s, %s, %s\n",
		terminal.Count(1, "event"), terminal.Count(s.Duplicates, "duplicate"), terminal.Count(len(s.Deliveries), "delivery"))
	d.see("events show " + event)
	return nil
}

func (d *demo) forged(ctx context.Context) error {
	source, kind, err := d.choose()
	if err != nil {
		return err
	}
	req, err := d.sample(d.cfg, source, d.base(), kind, "", nil)
	if err != nil {
		return err
	}
	req.Body = append(req.Body, ' ') // after it was signed
	status, _, err := post(ctx, req, d.base())
	if err != nil {
		return err
	}
	if status != http.StatusUnauthorized {
		return seawall.Errorf(seawall.ErrInvalid, "a forged request was answered %d", status)
	}
	d.say("  the body was changed after it was signed, by one byte: %d %s, and no event\n", status, http.StatusText(status))
	d.see("arrivals list --verdict rejected")
	return nil
}

// retry: the destination is down for the first attempt.
func (d *demo) retry(ctx context.Context) error {
	c := d.consumers.byName[d.cfg.Destinations[0].Name]
	c.answer(http.StatusServiceUnavailable)
	event, err := d.send(ctx)
	if err != nil {
		return err
	}
	if _, err := d.until(ctx, event, attempts(1)); err != nil {
		return err
	}
	c.answer(0)
	s, err := d.settled(ctx, event)
	if err != nil {
		return err
	}
	t := s.Deliveries[0]
	d.say("  %s after %s, under the same webhook-id\n", t.State, terminal.Count(t.Attempts, "attempt"))
	d.see("events show " + event)
	return nil
}

// deadLetter: the destination is down until the retries run out.
func (d *demo) deadLetter(ctx context.Context) error {
	c := d.consumers.byName[d.cfg.Destinations[0].Name]
	c.answer(http.StatusServiceUnavailable)
	event, err := d.send(ctx)
	if err != nil {
		return err
	}
	s, err := d.settled(ctx, event)
	if err != nil {
		return err
	}
	t := s.Deliveries[0]
	d.say("  %s after %s: it stays visible, and can be sent again\n", t.State, terminal.Count(t.Attempts, "attempt"))
	d.see("deliveries list --state dead")
	c.answer(0)
	d.say("  the destination is back: %s\n", d.style().Bold(d.command("replay "+t.ID)))
	if _, err := d.api.Replay(ctx, t.ID, api.ReplayOne{}); err != nil {
		return err
	}
	if _, err = d.until(ctx, event, attempts(t.Attempts+1)); err != nil {
		return err
	}
	if s, err = d.settled(ctx, event); err != nil {
		return err
	}
	d.say("  %s\n", s.Deliveries[0].State)
	d.see("events show " + event)
	return nil
}

// attempts is the point at which the first delivery has had n attempts.
func attempts(n int) func(*api.Story) bool {
	return func(s *api.Story) bool { return len(s.Deliveries) > 0 && s.Deliveries[0].Attempts >= n }
}
