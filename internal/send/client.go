package send

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxHeader = 64 << 10 // of a response, with all its 1xx forerunners
	idleFor   = 30 * time.Second
	maxPerSet = 1024 // idle connections to one host: no destination may have more attempts in flight

	// A connection of HTTP/2 that has gone dead would swallow attempt after
	// attempt, since a timeout ends a stream only.
	pingAfter = 10 * time.Second
	pingWait  = 5 * time.Second
)

// clients holds one transport for each set of timeouts, since that is where
// net/http has them. Configurations have few.
type clients struct {
	mu    sync.RWMutex
	byset map[Timeouts]*client
}

// client is a transport that can be given up while requests are under way.
//
// net/http puts a connection among the idle ones a moment before whoever asked has
// the answer. Closed then, it takes the answer along, and an attempt that took
// effect ends as unknown. So idle connections are only closed while no answer is
// waited for, and once more whenever the last one has come.
type client struct {
	*http.Transport
	wires   wires // for what needs no transport
	mu      sync.Mutex
	waiting int // for an answer
	givenUp bool
}

func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.waiting++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
		c.tidy()
	}()
	return c.Transport.RoundTrip(r)
}

func (c *client) giveUp() {
	c.wires.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.givenUp = true
	c.tidy()
}

// tidy closes what nobody will use. The caller has the lock.
func (c *client) tidy() {
	if c.givenUp && c.waiting == 0 {
		c.CloseIdleConnections()
	}
}

func (c *clients) reset() {
	c.mu.Lock()
	old := c.byset
	c.byset = nil
	c.mu.Unlock()
	for _, o := range old {
		o.giveUp()
	}
}

func (s *Sender) client(limits Timeouts) *client {
	if limits.Header >= limits.Whole && limits.Whole > 0 {
		limits.Header = 0 // it would only cost a timer
	}
	limits.Whole = 0 // not the transport's
	c := &s.clients
	c.mu.RLock()
	had := c.byset[limits]
	c.mu.RUnlock()
	if had != nil {
		return had
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if had := c.byset[limits]; had != nil {
		return had
	}
	if c.byset == nil {
		c.byset = map[Timeouts]*client{}
	}
	made := &client{Transport: s.transport(limits), wires: wires{most: s.idle}}
	c.byset[limits] = made
	return made
}

func (s *Sender) transport(limits Timeouts) *http.Transport {
	dialer := &net.Dialer{
		Timeout:  limits.Connect,
		Resolver: s.resolver,
		// On the address itself, after any look-up: the last word.
		Control: s.policy.Control,
	}
	conf := s.tls.Clone()
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Transport{
		Proxy:                  nil, // HTTP_PROXY would lead around the guarded dialer
		DialContext:            dialer.DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    limits.TLS,
		ResponseHeaderTimeout:  limits.Header,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // what came is what is kept; nothing to blow up
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWait},
		MaxIdleConns:           s.idle,
		MaxIdleConnsPerHost:    maxPerSet,
		IdleConnTimeout:        idleFor,
	}
}
