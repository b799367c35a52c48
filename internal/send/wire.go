package send

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// wire is a connection of HTTP/1.1 without TLS, for one attempt at a time. Who
// makes the attempt writes and reads it himself, where net/http has two goroutines
// for each connection, through which every request and every answer is handed.
// That costs more than all else about a short request to a host nearby.
//
// What is not surely simple goes over net/http's transport: see spell.
type wire struct {
	net.Conn
	raw   syscall.RawConn
	look  func(fd uintptr) bool // made once
	quiet bool                  // what look saw
	in    *bufio.Reader
	left  int64     // bytes that may be read
	err   error     // of reading: a buffer in front may keep it to itself
	used  bool      // for an attempt before
	since time.Time // it is idle
}

func newWire(c net.Conn) (*wire, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil, errors.New("a connection that cannot be looked at")
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c, raw: raw}
	w.in = bufio.NewReader(w)
	w.look = func(fd uintptr) bool {
		w.quiet = quiet(fd)
		return true
	}
	return w, nil
}

var errLongHeader = errors.New("response headers exceeded their bound")

// Read is for the buffer in front of it.
func (w *wire) Read(b []byte) (int, error) {
	if w.left <= 0 {
		return 0, errLongHeader
	}
	n, err := w.Conn.Read(b[:min(int64(len(b)), w.left)])
	w.left -= int64(n)
	if err != nil {
		w.err = err
	}
	return n, err
}

// open tells whether the server left the connection open and has said nothing
// unasked. Its deadline must not be over.
func (w *wire) open() bool {
	w.quiet = false
	return w.raw.Read(w.look) == nil && w.quiet
}

var longAgo = time.Unix(1, 0)

// interrupt ends what is being written and read.
func (w *wire) interrupt() { _ = w.SetDeadline(longAgo) }

// interruptIf keeps a deadline that was just set from undoing an interruption.
func (w *wire) interruptIf(ctx context.Context) {
	if ctx.Err() != nil {
		w.interrupt()
	}
}

// passage is an attempt over a wire.
type passage struct {
	ctx    context.Context
	limits Timeouts
	by     time.Time // all of it, if not zero
	keep   int64
	reply  *Reply
}

// overWire makes the attempt over a wire, if that is surely as good; done tells.
func (s *Sender) overWire(ctx context.Context, r *Request, limits Timeouts, reply *Reply) (done bool, err error) {
	buf := letters.Get().(*[]byte)
	defer letters.Put(buf)
	letter, ok := spell((*buf)[:0], r)
	*buf = letter[:0]
	if !ok {
		return false, nil
	}
	p := passage{ctx: ctx, limits: limits, keep: r.Keep, reply: reply}
	if limits.Whole > 0 {
		p.by = time.Now().Add(limits.Whole)
	}
	c := s.client(limits)
	for {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		if p.late() { // or each idle connection would look as if it were given up
			return true, context.DeadlineExceeded
		}
		w := c.wires.take(r.URL.Host)
		if w == nil {
			if w, err = c.lay(&p, r.URL); err != nil {
				return true, err
			}
		}
		again, unseen, err := p.over(w, letter)
		if again {
			c.wires.put(r.URL.Host, w)
		} else {
			w.Close()
		}
		if !unseen {
			return true, err
		}
	}
}

// lay makes a connection.
func (c *client) lay(p *passage, to *url.URL) (*wire, error) {
	ctx := p.ctx
	if !p.by.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, p.by)
		defer cancel()
	}
	port := to.Port()
	if port == "" {
		port = "80"
	}
	conn, err := c.DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	switch {
	case err == nil:
		w, err := newWire(conn)
		if err != nil {
			conn.Close()
		}
		return w, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case p.late():
		return nil, context.DeadlineExceeded
	}
	return nil, err
}

// late tells whether the time for all of it is over.
func (p *passage) late() bool { return !p.by.IsZero() && !time.Now().Before(p.by) }

// over makes the attempt over w. again tells that w can be used for another, unseen
// that nothing was written, because the server had given the connection up: then
// another may be tried.
func (p *passage) over(w *wire, letter []byte) (again, unseen bool, err error) {
	stop := context.AfterFunc(p.ctx, w.interrupt)
	defer func() {
		if !stop() { // it may still be about to
			again = false
		}
	}()
	if err := w.SetDeadline(p.by); err != nil {
		return false, w.used, err
	}
	w.interruptIf(p.ctx)
	if w.used && !w.open() {
		return false, true, nil
	}
	p.reply.Sent = true
	n, written := w.Write(letter)
	if written != nil && n == 0 && w.used && !isTimeout(written) {
		p.reply.Sent = false
		return false, true, nil
	}
	short, err := p.hurry(w)
	if err != nil {
		return false, false, err
	}
	// Even if not all was written: the server may have answered before it closed.
	resp, err := w.answer()
	if err != nil {
		if written != nil {
			err = written
		}
		if isTimeout(err) && p.late() {
			err = context.DeadlineExceeded
		}
		return false, false, err
	}
	body := &answered{from: resp.Body, ended: resp.Body == http.NoBody}
	if !body.ended {
		resp.Body = body
		if short {
			if err := p.until(w, p.by); err != nil {
				return false, false, err
			}
		}
	}
	p.reply.Response = &seawall.Response{Status: resp.StatusCode, Proto: resp.Proto, Headers: resp.Header}
	bound := func(d time.Duration) func() {
		at := time.Now().Add(d)
		if p.by.IsZero() || at.Before(p.by) {
			_ = p.until(w, at)
		}
		return func() {}
	}
	if p.keep > 0 {
		err = readWhole(resp, p.reply.Response, p.keep, bound)
	} else {
		p.reply.Response.Headers = selected(resp.Header)
		err = readBody(resp, p.reply.Response, bound)
	}
	again = err == nil && written == nil && w.err == nil && body.ended && !resp.Close && resp.StatusCode >= 200 && w.in.Buffered() == 0
	return again, false, err
}

// hurry bounds the time until the answer's header, if that is less than what is
// left of all of it.
func (p *passage) hurry(w *wire) (short bool, err error) {
	if p.limits.Header <= 0 || p.limits.Whole > 0 && p.limits.Header >= p.limits.Whole {
		return false, nil
	}
	at := time.Now().Add(p.limits.Header)
	if !p.by.IsZero() && !at.Before(p.by) {
		return false, nil
	}
	return true, p.until(w, at)
}

// until bounds reading.
func (p *passage) until(w *wire, at time.Time) error {
	err := w.SetReadDeadline(at)
	w.interruptIf(p.ctx)
	return err
}

// answer reads an answer's header, with all its 1xx forerunners, of which 101 is
// none.
func (w *wire) answer() (*http.Response, error) {
	w.left = maxHeader
	for {
		resp, err := http.ReadResponse(w.in, nil)
		if err != nil {
			switch { // rather than what became of half a line
			case w.left <= 0:
				err = errLongHeader
			case w.err != nil && isTimeout(w.err):
				err = w.err
			}
			return nil, err
		}
		if s := resp.StatusCode; s < 100 || s > 199 || s == http.StatusSwitchingProtocols {
			w.left = math.MaxInt64
			return resp, nil
		}
	}
}

// answered is a body of which one knows whether it was read to its end. Closed, it
// leaves the rest where it is: to be read on without a bound is not for us.
type answered struct {
	from  io.Reader
	ended bool
}

func (b *answered) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err == io.EOF {
		b.ended = true
	}
	return n, err
}

func (b *answered) Close() error { return nil }
