package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

// consumers are the example programs behind all destinations on this machine.
type consumers struct {
	byName  map[string]*consumer
	servers []*http.Server
}

// newConsumers listens wherever a destination on this machine is.
func newConsumers(cfg *config.Config, say func(string, ...any)) (_ *consumers, err error) {
	cs := &consumers{byName: map[string]*consumer{}}
	defer func() {
		if err != nil {
			cs.close()
		}
	}()
	hosts := map[string]neighbours{}
	for _, d := range cfg.Destinations {
		u := onThisMachine(d)
		if u == nil {
			say("%s is not on this machine: nothing plays it here\n", d.Name)
			continue
		}
		c, err := newConsumer(d, u, say)
		if err != nil {
			return cs, err
		}
		cs.byName[d.Name] = c
		hosts[u.Host] = append(hosts[u.Host], c)
	}
	if len(hosts) == 0 {
		return cs, seawall.Errorf(seawall.ErrInvalid, "no destination of this configuration is on this machine").
			WithHint("the demo plays destinations such as http://127.0.0.1:9000/; seawall serve runs any configuration")
	}
	for host, ns := range hosts {
		l, err := net.Listen("tcp", host)
		if err != nil {
			return cs, seawall.Errorf(seawall.ErrUnavailable, "example destination: %w", err).
				WithHint("is another program on %s? stop it, or change the destination's url", host)
		}
		s := &http.Server{Handler: ns, ReadHeaderTimeout: 10 * time.Second}
		cs.servers = append(cs.servers, s)
		go func() { _ = s.Serve(l) }() // until close
	}
	return cs, nil
}

func (cs *consumers) close() {
	for _, s := range cs.servers {
		_ = s.Close()
	}
}

// neighbours share an address, and are told apart by the path.
type neighbours []*consumer

func (ns neighbours) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var at *consumer
	for _, c := range ns {
		if strings.HasPrefix(r.URL.Path, c.path) && (at == nil || len(c.path) > len(at.path)) {
			at = c
		}
	}
	if at == nil {
		http.NotFound(w, r)
		return
	}
	at.ServeHTTP(w, r)
}

// onThisMachine is the URL of a destination on loopback, where the example can
// play it; nil for any other.
func onThisMachine(d *config.Destination) *url.URL {
	u, err := url.Parse(d.URL.Source())
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil
	}
	return u
}

// free is the usual address if nothing listens there, else another one of the
// same host.
func free(usual string) (string, error) {
	l, err := net.Listen("tcp", usual)
	if err != nil {
		host, _, _ := net.SplitHostPort(usual)
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	return l.Addr().String(), l.Close()
}
