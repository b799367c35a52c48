package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/terminal"
)

// consumer is an example of a program behind a destination: it verifies the
// signature of what it gets, and does each thing once.
type consumer struct {
	name string
	url  string
	path string          // what the paths of its requests begin with
	keys provider.Source // verifies; nil where the destination is not signed
	say  func(format string, args ...any)

	mu     sync.Mutex
	status int             // of the answers; 0: 200
	seen   map[string]bool // webhook-ids
}

// maxDelivery bounds what the example reads of one request, in bytes.
const maxDelivery = 32 << 20

// newConsumer plays a destination. It gets requests from consumers.
func newConsumer(d *config.Destination, u *url.URL, say func(string, ...any)) (*consumer, error) {
	path, _, _ := strings.Cut(u.Path, "{")
	c := &consumer{name: d.Name, url: u.String(), path: path, say: say, seen: map[string]bool{}}
	if len(d.Sign) == 0 {
		return c, nil
	}
	var err error
	if c.keys, err = provider.Open(provider.Settings{Provider: "standardwebhooks", Secrets: d.Sign}); err != nil {
		return nil, fmt.Errorf("destination %s: %w", d.Name, err)
	}
	return c, nil
}

// answer makes the consumer answer with a status from now on.
func (c *consumer) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *consumer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDelivery))
	if err != nil {
		http.Error(w, "cannot read that", http.StatusBadRequest)
		return
	}
	proof, err := c.check(r, body)
	id := r.Header.Get("Webhook-Id")
	what := fmt.Sprintf("%s got %s %s, %s, webhook-id %s", c.name, r.Method, r.URL.Path, terminal.Bytes(int64(len(body))), id)
	if err != nil {
		c.say("  %s: refused, %v\n", terminal.Clean(what), err)
		http.Error(w, "the signature does not verify", http.StatusUnauthorized)
		return
	}

	c.mu.Lock()
	status, again := c.status, c.seen[id]
	if status == 0 {
		c.seen[id] = true
	}
	c.mu.Unlock()
	switch {
	case status != 0:
		c.say("  %s: %s, but it is down and answers %d\n", terminal.Clean(what), proof, status)
		http.Error(w, "down for maintenance", status)
	case again:
		c.say("  %s: %s, done before, so nothing to do\n", terminal.Clean(what), proof)
		fmt.Fprintln(w, "done before")
	default:
		c.say("  %s: %s\n", terminal.Clean(what), proof)
		fmt.Fprintln(w, "done")
	}
}

func (c *consumer) check(r *http.Request, body []byte) (string, error) {
	if c.keys == nil {
		return "unsigned", nil
	}
	proof, err := c.keys.Verify(context.WithoutCancel(r.Context()), &provider.Request{
		Method: r.Method, URL: c.url, Header: r.Header, Body: body, Now: time.Now(),
	})
	return "signature verified (" + proof + ")", err
}
