package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) verifyCommand() *cobra.Command {
	var vectors, source string
	var arrival int64
	cmd := &cobra.Command{
		Use: "verify [CAPTURE]", Short: "Say why a captured request does or does not verify",
		Long: `Say in plain words why a captured request does or does not verify, by a source of
the configuration: wrong secret, body re-encoded, signed 340 s ago, header
missing, other URL.

A capture is a JSON file with method, url, headers, body (base64, or body_text)
and now; "seawall arrivals capture" writes one. --arrival takes a rejected
arrival from the running gateway instead.

--vectors runs a file of test vectors, one JSON object a line, and ends with
"N passed, N failed".`,
		Example: `  seawall verify --arrival 17
  seawall verify --source stripe capture.json
  seawall verify --vectors providers.jsonl`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&vectors, "vectors", "", "run this `file` of vectors")
	cmd.Flags().StringVar(&source, "source", "", "the `source` that the request was sent to")
	cmd.Flags().Int64Var(&arrival, "arrival", 0, "the `number` of an arrival at the running gateway")
	cmd.MarkFlagsMutuallyExclusive("vectors", "arrival")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		switch {
		case vectors != "" && len(args) == 0:
			return c.runVectors(vectors)
		case arrival != 0 && len(args) == 0:
			return c.verifyArrival(ctx, arrival, source)
		case len(args) == 1 && source != "" && vectors == "" && arrival == 0:
			return c.verifyFile(ctx, args[0], source)
		}
		return usagef("give --source NAME with a capture, or --arrival NUMBER, or --vectors FILE")
	})
	return cmd
}

func (c *cli) runVectors(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	rep, err := provider.RunVectors(f)
	if err != nil {
		return seawall.Errorf(seawall.ErrInvalid, "%s: %w", file, err)
	}
	if c.json {
		err = writeJSON(c.out, rep)
	} else {
		_, err = rep.WriteTo(c.out)
	}
	if err == nil && rep.Failed > 0 {
		err = errSilent
	}
	return err
}

func (c *cli) verifyArrival(ctx context.Context, id int64, source string) error {
	g, err := c.gateway()
	if err != nil {
		return err
	}
	a, err := g.Arrival(ctx, id)
	if err != nil {
		return err
	}
	if source == "" {
		source = a.Source
	}
	return c.verify(ctx, source, &provider.Request{
		Method: a.Method, URL: a.URL, Header: a.Headers, Body: a.Body, Now: a.At,
	}, a.BodySize > int64(len(a.Body)))
}

func (c *cli) verifyFile(ctx context.Context, file, source string) error {
	r, err := c.capture(file)
	if err != nil {
		return err
	}
	return c.verify(ctx, source, r, false)
}

// capture reads a captured request; one without a time arrived now.
func (c *cli) capture(file string) (*provider.Request, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := provider.ParseCapture(b)
	if err != nil {
		return nil, seawall.Errorf(seawall.ErrInvalid, "%s: %w", file, err)
	}
	if r.Now.IsZero() {
		r.Now = c.now()
	}
	return r, nil
}

// verdict is what verifying came to.
type verdict struct {
	Verified bool      `json:"verified"`
	Proof    string    `json:"proof,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Findings []finding `json:"findings,omitempty"`
}

// finding is a likely cause, the surest first.
type finding struct {
	Cause   string `json:"cause"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
	Certain bool   `json:"certain,omitempty"`
}

// verify says whether a request verifies, and if not, why. cut tells that its
// body was not kept whole.
func (c *cli) verify(ctx context.Context, source string, r *provider.Request, cut bool) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	src, err := sourceNamed(cfg, source)
	if err != nil {
		return err
	}
	v := c.judge(ctx, src, r)
	if cut {
		v.Findings = append(v.Findings, finding{Cause: "body_cut",
			Text: "only the beginning of its body was kept, and a signature covers the whole: the above may mislead"})
	}
	if c.json {
		err = writeJSON(c.out, v)
	} else {
		c.showVerdict(v)
	}
	if err == nil && !v.Verified {
		err = errSilent
	}
	return err
}

func (c *cli) judge(ctx context.Context, src *config.Source, r *provider.Request) verdict {
	_, shaken, err := src.Provider.Handshake(ctx, r)
	proof := "a handshake"
	if err == nil && !shaken {
		proof, err = src.Provider.Verify(ctx, r)
	}
	if err == nil {
		return verdict{Verified: true, Proof: proof}
	}
	out := verdict{Reason: "error"}
	var ve *verify.Error
	if errors.As(err, &ve) {
		out.Reason = string(ve.Reason)
	}
	for _, f := range provider.Explain(src.Provider, src.Settings, r) {
		out.Findings = append(out.Findings, finding(f))
	}
	return out
}

func (c *cli) showVerdict(v verdict) {
	if v.Verified {
		c.printf("%s: %s\n", c.style().Good("verifies"), terminal.Clean(v.Proof))
		return
	}
	c.printf("%s: %s\n", c.style().Bad("does not verify"), v.Reason)
	for _, f := range v.Findings {
		sure := "perhaps: "
		if f.Certain {
			sure = ""
		}
		c.printf("  %s%s\n", sure, terminal.Clean(f.Text))
		if f.Hint != "" {
			c.printf("  %s%s\n", c.style().Warn("hint: "), terminal.Clean(f.Hint))
		}
	}
}

// looksLikeCapture tells a captured request from a plain payload.
func looksLikeCapture(b []byte) bool {
	var c struct {
		Headers map[string]json.RawMessage
		Method  string
		URL     string
	}
	return json.Unmarshal(b, &c) == nil && c.Headers != nil && (c.Method != "" || c.URL != "")
}
