package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

// gateway returns a client of the running gateway.
func (c *cli) gateway() (*client.Client, error) {
	base, err := c.adminURL()
	if err != nil {
		return nil, err
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	return client.New(base, token, &http.Client{Transport: &knocker{
		next: http.DefaultTransport, start: c.program + " serve --config " + c.configPath(),
	}})
}

// adminURL is where the gateway's API is: --url, else SEAWALL_URL, else what the
// configuration says.
func (c *cli) adminURL() (string, error) {
	for _, u := range []string{c.url, c.env("SEAWALL_URL")} {
		if u == "" {
			continue
		}
		if !strings.Contains(u, "://") {
			u = "http://" + u
		}
		if p, err := url.Parse(u); err != nil || p.Host == "" {
			return "", seawall.Errorf(seawall.ErrInvalid, "%q is not the URL of a gateway", u).
				WithHint("for example http://127.0.0.1:8081")
		}
		return u, nil
	}
	addr, err := config.LoadAdmin(c.configPath(), c.nodeOptions())
	if err != nil {
		return "", noConfig(c.configPath(), err)
	}
	return "http://" + reachable(addr), nil
}

// reachable turns an address to listen on into one to call: every interface is
// also this machine's own.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// token is the one to show to the API; "" where none was given.
func (c *cli) token() (string, error) {
	if c.tokenFile == "" {
		return strings.TrimSpace(c.env("SEAWALL_TOKEN")), nil
	}
	b, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return "", seawall.Errorf(seawall.ErrInvalid, "read the token: %w", err)
	}
	token := string(bytes.TrimSpace(b))
	if token == "" {
		return "", seawall.Errorf(seawall.ErrInvalid, "read the token: %s is empty", c.tokenFile)
	}
	return token, nil
}

// knocker is a transport that says how to start the gateway when it is not
// running.
type knocker struct {
	next  http.RoundTripper
	start string
}

func (k *knocker) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := k.next.RoundTrip(r)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = &notRunning{host: r.URL.Host, start: k.start}
	}
	return res, err
}

// notRunning: nothing listens where the gateway should.
type notRunning struct{ host, start string }

func (e *notRunning) Error() string { return "gateway not running at " + e.host }

func isNotRunning(err error) bool {
	var e *notRunning
	return errors.As(err, &e)
}
