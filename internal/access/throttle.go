package access

import (
	"net"
	"sync"
	"time"
)

// A peer may fail so often at once, and once more each strikeEvery. A guess at
// 256 bits is hopeless anyway: this bounds the work and the log lines that
// guessing makes, and never keeps a valid token out.
const (
	strikesMax  = 10
	strikeEvery = time.Second
	strikePeers = 1024
)

// Throttle counts the failures of each peer. The zero value is ready.
type Throttle struct {
	mu    sync.Mutex
	peers map[string]strikes
}

// strikes is a leaky bucket: how full it was, and when.
type strikes struct {
	level float64
	at    time.Time
}

// Allow notes a failure of the peer at address (host:port), and tells whether
// it is still to be answered in full.
func (t *Throttle) Allow(address string, now time.Time) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.peers[host].leak(now)
	if b.level+1 > strikesMax {
		t.peers[host] = b
		return false
	}
	b.level++
	if t.peers == nil || len(t.peers) >= strikePeers {
		t.forget(now)
	}
	t.peers[host] = b
	return true
}

func (b strikes) leak(now time.Time) strikes {
	if gone := now.Sub(b.at); gone > 0 {
		b.level = max(0, b.level-float64(gone)/float64(strikeEvery))
	}
	b.at = now
	return b
}

// forget drops the peers that have nothing against them any more, and if that
// is none, all: a flood from many addresses must not grow the map.
func (t *Throttle) forget(now time.Time) {
	kept := map[string]strikes{}
	for host, b := range t.peers {
		if b = b.leak(now); b.level > 0 {
			kept[host] = b
		}
	}
	if len(kept) >= strikePeers {
		clear(kept)
	}
	t.peers = kept
}
