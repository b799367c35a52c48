package front

import (
	"bytes"
	"io"
	"net/http"
	"runtime/debug"
	"time"
)

const (
	// bufferSize bounds the header of a plain request. Of most requests the body
	// fits in as well, so that all is had with one read.
	bufferSize = 8 << 10

	// slack is by how much a deadline of a connection may be later than asked:
	// one that is later by less need not be set anew.
	slack = 30 * time.Second

	// Who is answered before he has sent all is let finish, so that he reads the
	// answer rather than see his connection reset.
	lingerFor   = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// conn is a connection whose requests have been plain so far.
type conn struct {
	*guest
	server *Server
	remote string

	in   []byte
	have int // bytes that were read into it
	at   int // of them, those that are of this request

	readBy, writeBy time.Time // as set on the connection

	body   *body
	answer answer
}

// serve serves requests until the connection is to be closed, or, if it returns
// true, one is not plain.
func (c *conn) serve() (over bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			c.server.log.Error("a request's handler panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.state.Store(arriving)
	for first := true; ; {
		if !first { // some senders end a body with an empty line (RFC 9112, section 2.2)
			c.have = copy(c.in, bytes.TrimLeft(c.in[:c.have], "\r\n"))
		}
		if c.have == 0 {
			if !c.wait() {
				return false
			}
			continue
		}
		r, size, plain := parse(c.in[:c.have])
		if !plain {
			return true
		}
		if !c.visit(r, size) {
			return false
		}
		first = false
	}
}

// wait reads what the sender says next. It returns false if he says nothing.
func (c *conn) wait() bool {
	now := time.Now()
	var err error
	switch {
	case c.state.Load() == arriving:
		err = c.readUntil(now.Add(headerTimeout), 0)
	case !c.rest(now) || c.server.stops(): // who stops it may have looked before it rested
		return false
	default:
		err = c.readUntil(now.Add(idleTimeout), slack)
	}
	if err == nil {
		c.have, err = c.Read(c.in)
	}
	return err == nil
}

// visit serves one request, the first size bytes of whose header are in the buffer.
// It returns false if the connection is to be closed.
func (c *conn) visit(r *http.Request, size int) bool {
	c.at = size
	r.RemoteAddr = c.remote
	c.body = &body{conn: c, left: r.ContentLength} // its own, should somebody read too late
	if r.ContentLength > 0 {
		r.Body = c.body
	}
	c.answer.reset(c)
	c.server.handler.ServeHTTP(&c.answer, r)

	last := c.server.stops() || c.answer.closes()
	if !last && c.body.left > 0 {
		_, err := io.Copy(io.Discard, c.body)
		last = err != nil
	}
	c.answer.last = last
	if !c.answer.send() {
		return false
	}
	if last {
		if c.body.left > 0 {
			c.linger()
		}
		return false
	}
	c.have = copy(c.in, c.in[c.at:c.have])
	return true
}

// linger lets the sender read the answer.
func (c *conn) linger() {
	if c.CloseWrite() == nil && c.readUntil(time.Now().Add(lingerFor), 0) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// readUntil bounds what is read from now on to a time, or to no more than slack later.
func (c *conn) readUntil(by time.Time, slack time.Duration) error {
	return extend(&c.readBy, by, slack, c.Conn.SetReadDeadline)
}

func (c *conn) writeUntil(by time.Time) error {
	return extend(&c.writeBy, by, slack, c.Conn.SetWriteDeadline)
}

func extend(now *time.Time, by time.Time, slack time.Duration, set func(time.Time) error) error {
	if !now.Before(by) && now.Sub(by) <= slack {
		return nil
	}
	*now = by.Add(slack)
	return set(*now)
}

// body is a request's: what of it came with the header, then the rest.
type body struct {
	conn *conn
	left int64
	by   time.Time // by which it must be there, if not zero
}

func (b *body) Read(p []byte) (n int, err error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	c := b.conn
	if c.at < c.have {
		n = copy(p, c.in[c.at:c.have])
		c.at += n
	} else {
		if b.by.IsZero() {
			b.by = time.Now().Add(readTimeout)
		}
		if err := c.readUntil(b.by, 0); err != nil {
			return 0, err
		}
		n, err = c.Read(p)
	}
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *body) Close() error { return nil }
