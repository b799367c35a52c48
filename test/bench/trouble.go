package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// troubles are the ways in which a destination can be bad, each at an address of
// its own; "calm" is a good one.
type troubles struct {
	url     map[string]string
	servers []*httptest.Server
	hole    *hole
}

func newTroubles() (*troubles, error) {
	t := &troubles{url: map[string]string{
		"dns":  "http://nobody.invalid/",
		"calm": "", "drip": "", "reset": "", "endless": "", "error": "",
	}}
	for name, answer := range map[string]http.HandlerFunc{
		"calm":    func(w http.ResponseWriter, _ *http.Request) {},
		"error":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"drip":    drip,
		"reset":   reset,
		"endless": endless,
	} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w, r)
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		t.servers = append(t.servers, s)
		t.url[name] = s.URL + "/"
	}
	unknown := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS() // by an authority that nobody knows
	t.servers = append(t.servers, unknown)
	t.url["tls"] = unknown.URL + "/"

	var err error
	if t.hole, err = newHole(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.url["hang"] = "http://" + t.hole.Addr().String() + "/"
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.url["refuse"] = "http://" + closed.Addr().String() + "/"
	return t, closed.Close()
}

func (t *troubles) Close() (err error) {
	for _, s := range t.servers {
		s.CloseClientConnections()
		s.Close()
	}
	if t.hole != nil {
		err = t.hole.Close()
	}
	return err
}

// drip answers a byte a second.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := w.Write([]byte(".")); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// reset breaks off in the midst of an answer.
func reset(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusInternalServerError)
	_ = http.NewResponseController(w).Flush()
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// endless answers a gibibyte.
func endless(w http.ResponseWriter, _ *http.Request) {
	block := make([]byte, 64<<10)
	for range 1 << 14 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// one is a destination beside the sink.
func (t *troubles) one(name string) beside {
	return beside{
		destinations: fmt.Sprintf("  bad: { url: %q }\n", t.url[name]),
		routes:       fmt.Sprintf("  - { from: %s, to: bad }\n", backlogSource),
	}
}

const (
	manyCount = 1000
	manyDead  = 100 // of them: half hang, half refuse
)

// many are a thousand destinations with a source each, the sink behind all but
// those that are dead.
func (t *troubles) many(sink string, dead bool) (b beside, good, bad []string) {
	var sources, destinations, routes strings.Builder
	for i := range manyCount {
		url, list := "http://"+sink+"/", &good
		if i%(manyCount/manyDead) == 0 {
			list = &bad
			switch {
			case !dead:
				url = t.url["calm"]
			case i%(2*manyCount/manyDead) == 0:
				url = t.url["hang"]
			default:
				url = t.url["refuse"]
			}
		}
		fmt.Fprintf(&sources, "  many%d: { provider: github, secret: \"${BENCH_SOURCE_SECRET}\" }\n", i)
		fmt.Fprintf(&destinations, "  many%d: { url: %q, sign: { secret: \"${BENCH_SINK_SECRET}\" } }\n", i, url)
		fmt.Fprintf(&routes, "  - { from: many%d, to: many%d }\n", i, i)
		*list = append(*list, fmt.Sprintf("/in/many%d", i))
	}
	return beside{sources.String(), destinations.String(), routes.String()}, good, bad
}
