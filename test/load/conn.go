package load

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// patience is how long a request may take before it counts as unanswered.
const patience = 30 * time.Second

// Conn is one kept-alive connection to a gateway, dialled when it is needed.
// It is not safe for concurrent use.
type Conn struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
}

func NewConn(addr string) *Conn { return &Conn{addr: addr} }

// Do sends a request and reads the whole response. After an error, which leaves
// open what became of the request, the next Do dials anew.
func (c *Conn) Do(req []byte) (status int, err error) {
	if c.c == nil {
		if c.c, err = net.DialTimeout("tcp", c.addr, patience); err != nil {
			c.c = nil
			return 0, err
		}
		c.r = bufio.NewReader(c.c)
	}
	status, last, err := c.exchange(req)
	if err != nil || last {
		c.Close()
	}
	return status, err
}

func (c *Conn) exchange(req []byte) (status int, last bool, err error) {
	if err := c.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, false, err
	}
	if _, err := c.c.Write(req); err != nil {
		return 0, false, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, false, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, false, err
	}
	return resp.StatusCode, resp.Close, resp.Body.Close()
}

// Close ends the connection; a later Do opens a new one.
func (c *Conn) Close() {
	if c.c != nil {
		c.c.Close()
		c.c = nil
	}
}
