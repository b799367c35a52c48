// Package send makes one attempt at a request over HTTP/1.1 or HTTP/2 and says
// what came of it. It decides nothing: it follows no redirect and repeats
// nothing that a server may have begun to act on.
package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/egress"
	"github.com/seawall-dev/seawall/seawall"
)

// Request is what an attempt sends. Do takes it over: neither it nor its Header
// may be used afterwards; URL and Body are only read.
type Request struct {
	Method string
	URL    *url.URL // http or https; credentials in it are not sent
	Header http.Header
	Body   []byte

	// Keep is how many bytes of the response's body are wanted; its header is
	// then kept whole. 0: what an attempt keeps, 64 KiB and a selection.
	Keep int64
}

// Timeouts bound one attempt; zero is no bound of its own. It is no type of its
// own, so that a configuration's can be passed as they are.
type Timeouts = struct {
	Connect time.Duration // look-up and connection
	TLS     time.Duration // handshake
	Header  time.Duration // from request written to response header
	Whole   time.Duration // all of it, the response's body included
}

// Reply is what came of one attempt.
type Reply struct {
	At       time.Time
	Took     time.Duration
	Response *seawall.Response // nil if no whole response header came
	Err      error             // what went wrong, in plain words; with a Response, what happened to its body

	// Sent tells that the server may have seen some of the request. If it is
	// false, the attempt certainly had no effect.
	Sent bool
	// Canceled tells that the caller's context ended the attempt.
	Canceled bool
}

// Options are what a Sender works with.
type Options struct {
	Policy   *egress.Policy   // needed
	Resolver *net.Resolver    // nil: the system's
	TLS      *tls.Config      // nil: the system's roots
	Now      func() time.Time // nil: time.Now
	Idle     int              // connections kept open without work, over all destinations, and as many without TLS; 0: 512
}

// Sender makes attempts. It is safe for concurrent use.
type Sender struct {
	now      func() time.Time
	policy   *egress.Policy
	clients  clients
	resolver *net.Resolver
	tls      *tls.Config
	idle     int
}

// New makes a Sender.
func New(o Options) *Sender {
	s := &Sender{now: o.Now, policy: o.Policy, resolver: o.Resolver, tls: o.TLS, idle: o.Idle}
	if s.now == nil {
		s.now = time.Now
	}
	if s.idle == 0 {
		s.idle = 512
	}
	return s
}

// Close closes the idle connections, some of them only once the attempts in flight
// have their answers. These go on.
func (s *Sender) Close() { s.clients.reset() }

// Do makes one attempt. It returns soon after ctx ends.
func (s *Sender) Do(ctx context.Context, r *Request, limits Timeouts) Reply {
	reply := Reply{At: s.now()}
	done, err := s.overWire(ctx, r, limits, &reply)
	if !done {
		err = s.overTransport(ctx, r, limits, &reply)
	}
	reply.Took = s.now().Sub(reply.At)
	if err == nil {
		return reply
	}
	reply.Canceled = ctx.Err() != nil
	switch {
	case reply.Canceled:
		reply.Err = errCutOff
	case reply.Response != nil:
		reply.Err = errors.New("response body cut off: " + describe(err, r.URL, limits, stageBody))
	case !reply.Sent:
		reply.Err = errors.New(describe(err, r.URL, limits, stageConnect))
	default:
		reply.Err = errors.New(describe(err, r.URL, limits, stageHeader))
	}
	return reply
}

// overTransport makes the attempt over net/http's transport.
func (s *Sender) overTransport(ctx context.Context, r *Request, limits Timeouts, reply *Reply) error {
	t := &try{}
	within, cancel := bounded(ctx, limits.Whole)
	defer cancel()
	t.prepare(within, r)

	resp, err := s.client(limits).RoundTrip(t.req)
	if err == nil {
		reply.Response = &seawall.Response{Status: resp.StatusCode, Proto: resp.Proto, Headers: resp.Header}
		if r.Keep > 0 {
			err = readWhole(resp, reply.Response, r.Keep, after(cancel))
		} else {
			reply.Response.Headers = selected(resp.Header)
			err = readBody(resp, reply.Response, after(cancel))
		}
	}
	reply.Sent = t.connected.Load()
	return err
}

// Stream makes one attempt like Do, but leaves the response's body to be read: a
// read that passes through is not kept. limits bound it up to the response's
// header; from then on ctx does. The reply is as Do's, without the body; the
// response is nil if there is none, and else the caller closes its body.
func (s *Sender) Stream(ctx context.Context, r *Request, limits Timeouts) (*http.Response, Reply) {
	t := &try{}
	reply := Reply{At: s.now()}
	within, cancel := context.WithCancel(ctx)
	in := time.AfterFunc(longest(limits.Whole), cancel)
	t.prepare(within, r)
	resp, err := s.client(limits).RoundTrip(t.req) // the same connections as Do's
	late := !in.Stop()
	reply.Took = s.now().Sub(reply.At)
	reply.Sent = t.connected.Load()
	if err == nil && !late {
		reply.Response = &seawall.Response{Status: resp.StatusCode, Proto: resp.Proto, Headers: selected(resp.Header.Clone())}
		resp.Body = &streamed{resp.Body, cancel}
		return resp, reply
	}
	if err == nil {
		resp.Body.Close()
	}
	cancel()
	at := stageHeader
	if !reply.Sent {
		at = stageConnect
	}
	switch {
	case ctx.Err() != nil:
		reply.Canceled, reply.Err = true, errCutOff
	case late:
		reply.Err = errors.New(describe(context.DeadlineExceeded, r.URL, limits, at))
	default:
		reply.Err = errors.New(describe(err, r.URL, limits, at))
	}
	return nil, reply
}

// streamed is a body with which its request ends.
type streamed struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *streamed) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}

// longest is a bound, where none is a very long one.
func longest(d time.Duration) time.Duration {
	if d <= 0 {
		return math.MaxInt64
	}
	return d
}

func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

var errCutOff = errors.New("cut off by the gateway before the answer was complete")

// try is the state of one attempt.
type try struct {
	req       *http.Request
	trace     httptrace.ClientTrace
	connected atomic.Bool
}

// prepare makes the request that net/http sends.
//
// Its transport repeats some requests by itself when a kept-alive connection
// turns out dead. Where the server cannot have seen the request, because nothing
// was written, or because it says so itself (GOAWAY, REFUSED_STREAM), that is
// what we want, and GetBody permits it. But it also repeats requests that were
// sent, if their method is safe or they have an Idempotency-Key; then the server
// would see one attempt twice. It looks for that header in its canonical form
// only, so that ours, in lower case, is not found; and it never repeats a body
// that it cannot get again.
func (t *try) prepare(ctx context.Context, r *Request) {
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := r.Header[name]; ok {
			delete(r.Header, name)
			r.Header[strings.ToLower(name)] = v
		}
	}
	// A request that was forwarded as it came has the sender's name, or none: an
	// empty entry keeps net/http from putting its own there.
	if _, ok := r.Header["User-Agent"]; !ok && r.Header != nil {
		r.Header["User-Agent"] = nil
	}
	// Only a request that was given a connection can have been seen. Whether
	// it was written is known too late to count on: the writer may still be at
	// it when a timeout returns.
	t.trace.GotConn = t.gotConn
	req := &http.Request{
		Method: r.Method, URL: r.URL, Host: r.URL.Host, Header: r.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	safe := r.Method == "" || r.Method == http.MethodGet || r.Method == http.MethodHead ||
		r.Method == http.MethodOptions || r.Method == http.MethodTrace
	switch {
	case !safe && len(r.Body) == 0:
		req.Body = http.NoBody
	case !safe:
		req.GetBody = func() (io.ReadCloser, error) { return newBody(r.Body), nil }
		fallthrough
	default:
		// A body that cannot be had again, even an empty one, is never repeated.
		req.Body, req.ContentLength = newBody(r.Body), int64(len(r.Body))
	}
	t.req = req.WithContext(httptrace.WithClientTrace(ctx, &t.trace))
}

func (t *try) gotConn(httptrace.GotConnInfo) { t.connected.Store(true) }

// newBody makes a body of a type that net/http knows to be in memory, so that it
// is written together with the header, in one packet.
func newBody(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }
