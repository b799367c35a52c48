package front

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is what a handler answers a plain request. It is sent when the handler
// returns.
type answer struct {
	conn   *conn
	header http.Header
	status int
	body   []byte
	by     time.Time // by which it must have been sent, if not zero
	last   bool      // on its connection
	out    bytes.Buffer
}

// keepOut bounds the memory that is kept for the next answer.
const keepOut = 4 << 10

func (a *answer) reset(c *conn) {
	if a.header == nil {
		a.header = http.Header{}
	}
	clear(a.header)
	a.conn, a.status, a.by, a.last = c, 0, time.Time{}, false
	if a.body = a.body[:0]; cap(a.body) > keepOut {
		a.body = nil
	}
	if a.out.Reset(); a.out.Cap() > keepOut {
		a.out = bytes.Buffer{}
	}
}

// Header is of the answer.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status, once. Informational ones are not sent; what is none
// at all is a mistake, and must not be taken for a 200.
func (a *answer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic("front: " + strconv.Itoa(status) + " is not a status")
	}
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b...)
	return len(b), nil
}

// SetReadDeadline bounds the time in which the request's body must arrive, as
// http.ResponseController expects.
func (a *answer) SetReadDeadline(by time.Time) error {
	a.conn.body.by = by
	return nil
}

// SetWriteDeadline bounds the time in which the answer must be sent, with slack.
func (a *answer) SetWriteDeadline(by time.Time) error {
	a.by = by
	return nil
}

// closes tells whether the handler wants the connection closed.
func (a *answer) closes() bool { return strings.EqualFold(a.header.Get("Connection"), "close") }

// ours are the headers that no handler's answer decides.
var ours = map[string]bool{"Connection": true, "Content-Length": true, "Date": true, "Transfer-Encoding": true}

// send writes the answer; it returns false if the connection is lost.
func (a *answer) send() bool {
	a.WriteHeader(http.StatusOK)
	if a.by.IsZero() {
		a.by = time.Now().Add(writeTimeout)
	}
	empty := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	if _, said := a.header["Content-Type"]; !said && len(a.body) > 0 && !empty {
		a.header.Set("Content-Type", http.DetectContentType(a.body))
	}
	b := append(a.out.AvailableBuffer(), "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(a.status), 10), ' ')
	b = append(append(b, http.StatusText(a.status)...), "\r\nDate: "...)
	b = append(append(b, a.conn.server.now()...), "\r\n"...)
	if !empty {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(a.body)), 10)
		b = append(b, "\r\n"...)
	}
	if a.last {
		b = append(b, "Connection: close\r\n"...)
	}
	a.out.Write(b)
	_ = a.header.WriteSubset(&a.out, ours) // memory takes it
	a.out.WriteString("\r\n")
	if !empty {
		a.out.Write(a.body)
	}
	if a.conn.writeUntil(a.by) != nil {
		return false
	}
	_, err := a.conn.Write(a.out.Bytes())
	return err == nil
}

// date is a second's, as answers say it.
type date struct {
	unix int64
	text string
}

// now is the header Date.
func (s *Server) now() string {
	now := time.Now()
	if d := s.date.Load(); d != nil && d.unix == now.Unix() {
		return d.text
	}
	d := &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
	s.date.Store(d)
	return d.text
}
