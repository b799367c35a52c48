package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// sending is what "seawall send" is told to send.
type sending struct {
	kind  string // type of the event
	id    string // source event id
	file  string
	data  string
	count int
	to    string // base URL of the public listener
}

func (c *cli) sendCommand() *cobra.Command {
	var s sending
	cmd := &cobra.Command{
		Use: "send SOURCE", Short: "Post a webhook to a source of the running gateway, signed as its provider does",
		Long: `Post a webhook to a source of the running gateway, signed as its provider does,
with the source's configured secret: a sample of the provider's, or --data or
--file. It prints the gateway's answer, which names the event.`,
		Example: `  seawall send github --type push
  seawall send stripe --file payment.json
  seawall send app --type user.created --id user-17 --data '{"user": {"id": 17}}'`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&s.kind, "type", "", "the event's `type`")
	cmd.Flags().StringVar(&s.id, "id", "", "the event's `id` at the provider (default: a new one); the same again is a duplicate")
	cmd.Flags().StringVar(&s.data, "data", "", "the `body`, in place of the sample's")
	cmd.Flags().StringVar(&s.file, "file", "", "a `file` with the body; - for standard input")
	cmd.Flags().IntVar(&s.count, "count", 1, "send so many events, each of its own id")
	cmd.Flags().StringVar(&s.to, "to", "", "`URL` of the public listener (default: from the configuration)")
	cmd.MarkFlagsMutuallyExclusive("data", "file")
	cmd.MarkFlagsMutuallyExclusive("id", "count")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		if s.count < 1 {
			return usagef("--count must be 1 or more")
		}
		body, err := s.body(c.in)
		if err != nil {
			return err
		}
		cfg, err := c.load()
		if err != nil {
			return err
		}
		src, err := sourceNamed(cfg, args[0])
		if err != nil {
			return err
		}
		base := s.to
		if base == "" {
			base = "http://" + reachable(cfg.Node.Listen)
		}
		return c.sendAll(ctx, cfg, src, base, s, body)
	})
	return cmd
}

// body is the one to send, nil for the sample's.
func (s *sending) body(in io.Reader) ([]byte, error) {
	switch {
	case s.file == "-":
		return io.ReadAll(in)
	case s.file != "":
		return os.ReadFile(s.file)
	case s.data != "":
		return []byte(s.data), nil
	}
	return nil, nil
}

func (c *cli) sendAll(ctx context.Context, cfg *config.Config, src *config.Source, base string, s sending, body []byte) error {
	for range s.count {
		req, err := c.sample(cfg, src, base, s.kind, s.id, body)
		if err != nil {
			return err
		}
		status, answer, err := post(ctx, req, base)
		if err != nil {
			if strings.Contains(err.Error(), "connection refused") {
				return seawall.Errorf(seawall.ErrUnavailable, "gateway not running at %s", strings.TrimPrefix(base, "http://")).
					WithHint("start it: %s serve --config %s", c.program, c.configPath())
			}
			return err
		}
		if err := c.showAnswer(status, answer); err != nil {
			return err
		}
	}
	return nil
}

// showAnswer prints what the gateway said.
func (c *cli) showAnswer(status int, answer []byte) error {
	events := eventsIn(answer)
	if c.json {
		if err := writeJSON(c.out, map[string]any{"status": status, "events": events, "answer": string(answer)}); err != nil {
			return err
		}
	} else {
		c.printf("%d %s", status, http.StatusText(status))
		for _, id := range events {
			c.printf("  %s", id)
		}
		if len(events) == 0 {
			c.printf("  %s", terminal.Clip(terminal.Clean(strings.TrimSpace(string(answer))), 300))
		}
		c.printf("\n")
	}
	if status >= 300 {
		return seawall.Errorf(seawall.ErrInvalid, "the gateway did not take it").
			WithHint("why: %s", c.command("arrivals list --verdict rejected"))
	}
	return nil
}

// eventsIn finds the events in the gateway's own answer; a provider's has none.
func eventsIn(answer []byte) []string {
	var a struct {
		Events []string `json:"events"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return nil
	}
	return a.Events
}

// sample makes a signed request to a source: the provider's sample, or that
// with another body; id "" is a new one.
func (c *cli) sample(cfg *config.Config, src *config.Source, base, kind, id string, body []byte) (*provider.Request, error) {
	given := id
	if id == "" {
		id = hex.EncodeToString(c.bits()[:8])
	}
	r, err := provider.Sample(src.Kind, id, base+"/in/"+src.Name, c.now())
	if err != nil {
		return nil, err
	}
	if body == nil && src.Kind == "github" && kind == "push" {
		body = githubPush
	}
	if body != nil {
		r.Body = body
	}
	if err := setID(r, src.Kind, id, given != ""); err != nil {
		return nil, err
	}
	if err := setType(r, src.Kind, kind); err != nil {
		return nil, err
	}
	if cfg.PublicURL != nil { // what is signed is what the sender would call
		r.URL = cfg.PublicURL.JoinPath("in", src.Name).String()
	}
	if err := provider.SignRequest(src.Settings, r); err != nil {
		return nil, fmt.Errorf("sign as %s: %w", src.Kind, err)
	}
	return r, nil
}

// post sends the request to the public listener at base, whatever the URL that
// was signed.
func post(ctx context.Context, r *provider.Request, base string) (status int, answer []byte, err error) {
	signed, err := url.Parse(r.URL)
	if err != nil {
		return 0, nil, err
	}
	to, err := url.Parse(base)
	if err != nil {
		return 0, nil, err
	}
	signed.Scheme, signed.Host = to.Scheme, to.Host
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, signed.String(), bytes.NewReader(r.Body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = r.Header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, answer, err
}

func sourceNamed(cfg *config.Config, name string) (*config.Source, error) {
	var names []string
	for _, s := range cfg.Sources {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	err := seawall.Errorf(seawall.ErrNotFound, "no source is named %q", name)
	if len(names) == 0 {
		return nil, err
	}
	return nil, err.WithHint("one of: %s", strings.Join(names, ", "))
}
