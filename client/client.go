// Package client hands API calls and events over to a Seawall gateway, on its
// internal listener. What it hands over is durable before it returns without an
// error, and happens once: tries of its own carry the same key.
//
//	c, err := client.New("http://127.0.0.1:8082", os.Getenv("SEAWALL_TOKEN"))
//	…
//	call, err := c.Call(ctx, "payments", client.Call{
//		Method: "POST", Path: "/v1/payment_intents", Key: "order-1001-charge",
//		Form: url.Values{"amount": {"2000"}, "currency": {"eur"}},
//		Wait: 10 * time.Second,
//	})
//
// A token is made by: seawall token create --name shop --scope calls:payments
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// giveUp bounds how long a request is tried where its context has no end.
	giveUp = 30 * time.Second
	// patience is how long one try may take, beyond what it waits for.
	patience = 15 * time.Second

	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	maxAnswer  = 64 << 20 // bytes
)

// Client speaks to one gateway. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// Option changes a Client.
type Option func(*Client)

// WithHTTPClient sets what requests are sent with; default [http.DefaultClient].
// Its Timeout must be longer than any [Call.Wait].
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New makes a client of the gateway whose internal listener is at base, for
// example http://127.0.0.1:8082. Nothing is sent yet.
func New(base, token string, options ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("seawall: %q is not the URL of a gateway, for example http://127.0.0.1:8082", base)
	}
	if token == "" {
		return nil, errors.New("seawall: a token is needed; seawall token create makes one")
	}
	c := &Client{base: u, token: token, http: http.DefaultClient}
	for _, o := range options {
		o(c)
	}
	return c, nil
}

// request is one thing to ask of the gateway, as often as it takes.
type request struct {
	method string
	path   string // escaped
	header http.Header
	body   []byte
	wait   time.Duration // how long the answer may take by itself
	once   bool          // it is not to be repeated, since nothing would tell a second try from a second request
}

// do asks until there is an answer that stays the same, ctx ends, or half a
// minute has passed. Both 200 and 202 are answers.
func (c *Client) do(ctx context.Context, r request, out any) (*http.Response, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, giveUp+r.wait)
		defer cancel()
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		resp, body, err := c.try(ctx, r)
		if err == nil && resp.StatusCode/100 == 2 {
			if err := json.Unmarshal(body, out); err != nil {
				return nil, fmt.Errorf("seawall: %s %s: the answer is not JSON: %w", r.method, r.path, err)
			}
			return resp, nil
		}
		failure, wait := err, pause
		if err == nil {
			e := problem(resp, body)
			if wait = max(pause, e.RetryAfter); !e.passing() {
				return nil, e
			}
			failure = e
		}
		if r.once || ctx.Err() != nil {
			return nil, fmt.Errorf("seawall: %s %s: %w", r.method, r.path, failure)
		}
		// Half of the pause is by chance, so that clients that failed together do
		// not come again together.
		timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("seawall: %s %s: %w; last try: %w", r.method, r.path, ctx.Err(), failure)
		case <-timer.C:
		}
	}
}

func (c *Client) try(ctx context.Context, r request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+r.wait)
	defer cancel()
	u := *c.base
	target := strings.TrimSuffix(u.String(), "/") + r.path
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp, body, err
}

// seconds writes a time for a header, in whole seconds, one at least.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(max((d+time.Second-1)/time.Second, 1)), 10)
}
