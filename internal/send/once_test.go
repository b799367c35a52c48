package send

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seawall-dev/seawall/internal/egress"
)

// A server that answers the first request of each connection and drops the
// connection upon the second, without an answer: it has seen that one, and may
// have acted on it.
func dropsSecond(seen *atomic.Int32) func(net.Conn) {
	return func(c net.Conn) {
		requests(c, func(n int) bool {
			seen.Add(1)
			if n == 2 {
				return true
			}
			io.WriteString(c, plainOK)
			return false
		})
	}
}

// One attempt is at most one request: net/http's own repeating of requests with
// an Idempotency-Key, or of a safe method, is off.
func TestG4_OneAttemptIsOneRequest(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "GET", "HEAD", "DELETE", "OPTIONS"} {
		for _, body := range []string{"", "{}"} {
			for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key", "idempotency-key"} {
				for _, transport := range []bool{false, true} { // most of these take it only with TLS
					var requests atomic.Int32
					s := sender(t, Options{})
					req := hook(t, raw(t, dropsSecond(&requests)))
					do := func() (r Reply) {
						out := &Request{Method: method, URL: req.URL, Header: http.Header{header: {"k"}}, Body: []byte(body)}
						if !transport {
							return s.Do(t.Context(), out, limits)
						}
						r.Err = s.overTransport(t.Context(), out, limits, &r)
						return r
					}
					if r := do(); text(r) != "" {
						t.Fatal(text(r))
					}
					r := do()
					if requests.Load() != 2 || r.Response != nil || !r.Sent || text(r) == "" {
						t.Errorf("%s %q, %s, %v: 2 attempts made %d requests: %+v", method, body, header, transport, requests.Load(), r)
					}
				}
			}
		}
	}
}

// The same without our precautions, so that the test above is known to be able
// to fail.
func TestPlainTransportSendsTwice(t *testing.T) {
	var requests atomic.Int32
	u := raw(t, dropsSecond(&requests))
	for range 2 {
		r, _ := http.NewRequest("PUT", u, nil)
		r.Header.Set("Idempotency-Key", "k")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if requests.Load() == 2 {
		t.Error("net/http no longer repeats such requests: the precautions may go")
	}
}

// A server of HTTP/2 that takes one request at a time per connection gets them
// all the same: what does not fit waits, or opens another connection.
func TestFewStreams(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1}
	srv.StartTLS()
	defer srv.Close()
	s := sender(t, Options{TLS: trust(srv)})
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() { errs <- s.Do(t.Context(), hook(t, srv.URL), limits).Err }()
	}
	for range cap(errs) {
		if e := <-errs; e != nil {
			t.Error(e)
		}
	}
}

// A name that resolves to a public address when it is checked and to loopback
// when it is called (DNS rebinding).
func TestRebindingIsRefused(t *testing.T) {
	srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	dns := &answers{addrs: []string{"93.184.216.34", "127.0.0.1"}}
	resolver := &net.Resolver{PreferGo: true, Dial: dns.dial}
	policy := egress.New(nil)

	if err := policy.CheckHost(t.Context(), "rebind.example", resolver.LookupNetIP); err != nil {
		t.Fatalf("checked: %v", err)
	}
	r := sender(t, Options{Policy: policy, Resolver: resolver}).Do(t.Context(), hook(t, "http://rebind.example:"+port), limits)
	if want := `egress: 127.0.0.1 is a loopback address; to allow it: egress: { allow: ["127.0.0.0/8"] }`; text(r) != want || r.Sent {
		t.Errorf("%+v", r)
	}
}

// answers is a name server: to each question for an IPv4 address it gives the
// next of its addresses.
type answers struct {
	addrs []string
	n     atomic.Int32
}

func (a *answers) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go a.serve(theirs)
	return ours, nil
}

// serve speaks DNS over TCP, as the resolver does on what is no packet socket.
func (a *answers) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(question); err != nil {
			return
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			i := min(int(a.n.Add(1)), len(a.addrs)) - 1
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a.addrs[i]).As4()},
			}}
		}
		out, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
			return
		}
	}
}

// Over HTTP/2 as over HTTP/1.1, what a server says before its answer is bounded.
func TestFloodOverHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Link", "</a>; rel=preload; as=style")
		for r.Context().Err() == nil {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	r := sender(t, Options{TLS: trust(srv)}).Do(t.Context(), hook(t, srv.URL), limits)
	if r.Response != nil || !r.Sent || text(r) != "response header exceeds 64 KiB" {
		t.Errorf("%+v", r)
	}
}
