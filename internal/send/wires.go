package send

import (
	"sync"
	"time"
)

// wires are the idle ones of a client.
type wires struct {
	most int

	mu     sync.Mutex
	idle   map[string][]*wire // by host; the last is the one that was used last
	count  int
	closed bool
	sweep  *time.Timer // nil: none is idle
}

// take returns the one that was used last, nil if none is idle.
func (ws *wires) take(host string) *wire {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	list := ws.idle[host]
	n := len(list)
	if n == 0 {
		return nil
	}
	w := list[n-1]
	if time.Since(w.since) >= idleFor { // and all before it: the sweep is late
		ws.drop(host, n)
		return nil
	}
	list[n-1] = nil
	ws.idle[host] = list[:n-1]
	ws.count--
	return w
}

// put keeps one for the next attempt.
func (ws *wires) put(host string, w *wire) {
	w.used, w.since = true, time.Now()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed || len(ws.idle[host]) >= maxPerSet {
		w.Close()
		return
	}
	if ws.count >= ws.most {
		ws.drop(ws.oldest(), 1)
	}
	if ws.idle == nil {
		ws.idle = map[string][]*wire{}
	}
	ws.idle[host] = append(ws.idle[host], w)
	ws.count++
	if ws.sweep == nil {
		ws.sweep = time.AfterFunc(idleFor, ws.sweepOld)
	}
}

// close closes the idle ones; those in use are closed when they are put back.
func (ws *wires) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for host, list := range ws.idle {
		ws.drop(host, len(list))
	}
	if ws.sweep != nil {
		ws.sweep.Stop()
	}
}

// sweepOld closes those that were idle for too long.
func (ws *wires) sweepOld() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now := time.Now()
	for host, list := range ws.idle {
		n := 0
		for n < len(list) && now.Sub(list[n].since) >= idleFor {
			n++
		}
		ws.drop(host, n)
	}
	ws.sweep = nil
	if ws.count > 0 {
		next := ws.idle[ws.oldest()][0].since.Add(idleFor).Sub(now)
		ws.sweep = time.AfterFunc(next, ws.sweepOld)
	}
}

// oldest is the host of the one that is idle for longest. The caller has the lock.
func (ws *wires) oldest() (host string) {
	var since time.Time
	for h, list := range ws.idle {
		if len(list) > 0 && (host == "" || list[0].since.Before(since)) {
			host, since = h, list[0].since
		}
	}
	return host
}

// drop closes the n oldest of a host. The caller has the lock.
func (ws *wires) drop(host string, n int) {
	list := ws.idle[host]
	for _, w := range list[:n] {
		w.Close()
	}
	ws.count -= n
	left := copy(list, list[n:])
	clear(list[left:])
	if ws.idle[host] = list[:left]; left == 0 {
		delete(ws.idle, host)
	}
}
