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
	byset map[Timeouts]*http.Transport
}

func (c *clients) reset() {
	c.mu.Lock()
	old := c.byset
	c.byset = nil
	c.mu.Unlock()
	for _, t := range old {
		t.CloseIdleConnections()
	}
}

func (s *Sender) client(limits Timeouts) *http.Transport {
	if limits.Header >= limits.Whole && limits.Whole > 0 {
		limits.Header = 0 // it would only cost a timer
	}
	limits.Whole = 0 // not the transport's
	c := &s.clients
	c.mu.RLock()
	t := c.byset[limits]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.byset[limits]; t != nil {
		return t
	}
	if c.byset == nil {
		c.byset = map[Timeouts]*http.Transport{}
	}
	t = s.transport(limits)
	c.byset[limits] = t
	return t
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
