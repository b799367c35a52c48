// Package faultproxy passes TCP connections on, and fails them as a network
// does: late, cut, or not at all while nobody says so. Of connections to
// PostgreSQL it can also lose the one reply that tells of a commit.
package faultproxy

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Weather is how connections fare.
type Weather struct {
	// Latency is added to every packet in each direction, give or take Jitter.
	// Packets keep their order.
	Latency, Jitter time.Duration

	// Reset is the chance that a packet is the last of its connection, which is
	// then reset at both ends.
	Reset float64

	// Dark lets nothing pass. Connections stay open, and what was under way
	// arrives once it is light again: so do the kernel's own repeats.
	Dark bool
}

// Proxy listens on a loopback address and passes what comes there on.
type Proxy struct {
	Addr string

	target string
	ln     net.Listener
	wg     sync.WaitGroup
	closed chan struct{}

	mu      sync.Mutex
	weather Weather
	changed chan struct{} // closed when the weather changes
	links   map[*link]struct{}
	lose    func(sql []string) bool
	follows bool // there was a lose once
	random  *rand.Rand
	resets  int
	lost    int
}

// New makes a proxy to an address, in fair weather.
func New(target string, seed uint64) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Addr: ln.Addr().String(), target: target, ln: ln, closed: make(chan struct{}),
		changed: make(chan struct{}), links: map[*link]struct{}{}, random: rand.New(rand.NewPCG(seed, 0)),
	}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// Set changes the weather, for connections that are there and for new ones.
func (p *Proxy) Set(w Weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
}

// Resets counts the connections that the weather has reset.
func (p *Proxy) Resets() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resets
}

// Cut resets every connection there is.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	p.ln.Close()
	close(p.closed)
	p.Cut()
	p.wg.Wait()
}

// serve is one connection. Its other half is made once it is light.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.light(nil) {
		return
	}
	server, err := net.DialTimeout("tcp", p.target, 10*time.Second)
	if err != nil {
		// As the target would have answered, had it been asked directly.
		client.(*net.TCPConn).SetLinger(0)
		return
	}
	defer server.Close()
	l := newLink(p, client.(*net.TCPConn), server.(*net.TCPConn))
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	select {
	case <-p.closed:
		l.reset()
	default:
	}
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// light waits while it is dark. It is false if the proxy or the link ended
// meanwhile.
func (p *Proxy) light(ended <-chan struct{}) bool {
	for {
		p.mu.Lock()
		dark, changed := p.weather.Dark, p.changed
		p.mu.Unlock()
		if !dark {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			return false
		case <-p.closed:
			return false
		}
	}
}

// packet says how one fares: how long it takes, and whether it is the last.
func (p *Proxy) packet() (delay time.Duration, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delay = p.weather.Latency
	if j := p.weather.Jitter; j > 0 {
		delay += time.Duration(p.random.Int64N(int64(2*j))) - j
	}
	last = p.weather.Reset > 0 && p.random.Float64() < p.weather.Reset
	if last {
		p.resets++
	}
	return max(0, delay), last
}
