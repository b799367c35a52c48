package send

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/egress"
)

// raw is a server that speaks TCP: each connection goes to f, which need not
// close it.
func raw(t testing.TB, f func(c net.Conn)) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

// request reads one request with its body.
func request(c net.Conn) error {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err
}

func gone(c net.Conn) { io.Copy(io.Discard, c) }

func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

// What bad destinations come to (fault 12), apart from TLS.
func TestG7_BadDestinationsAreBounded(t *testing.T) {
	short := Timeouts{Connect: time.Second, TLS: 100 * time.Millisecond, Header: 100 * time.Millisecond, Whole: 300 * time.Millisecond}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	for _, c := range []struct {
		name   string
		url    string
		policy *egress.Policy
		limits Timeouts
		error  string
		sent   bool
		status int
		kept   int // bytes of the body at most
	}{
		{
			name: "refused", url: "http://" + closed.Addr().String(), limits: limits,
			error: "connect: refused by 127.0.0.1:",
		},
		{
			name: "not allowed", url: "http://127.0.0.1:1", policy: egress.New(nil), limits: limits,
			error: `egress: 127.0.0.1 is a loopback address; to allow it: egress: { allow: ["127.0.0.0/8"] }`,
		},
		{
			name: "hang", url: raw(t, func(c net.Conn) { gone(c) }), limits: short, sent: true,
			error: "timeout after 100ms waiting for the response header",
		},
		{
			name: "hang, no bound on the header", url: raw(t, func(c net.Conn) { gone(c) }), limits: Timeouts{Whole: 100 * time.Millisecond}, sent: true,
			error: "timeout after 100ms waiting for the response header",
		},
		{
			name: "hang in the handshake", url: strings.Replace(raw(t, func(c net.Conn) { gone(c) }), "http:", "https:", 1), limits: short,
			error: "tls: timeout after 100ms in the handshake",
		},
		{
			name: "header drips", url: raw(t, func(c net.Conn) {
				request(c)
				for i := 0; ; i++ {
					if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nA: b"[i%20 : i%20+1])); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}), limits: short, sent: true,
			error: "timeout after 100ms waiting for the response header",
		},
		{
			name: "body drips", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				for {
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}), limits: short, sent: true, status: 200, kept: 100,
			error: "response body cut off: timeout after 300ms",
		},
		{
			name: "1 GiB", url: raw(t, func(c net.Conn) {
				request(c)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1<<30)
				for buf := make([]byte, 1<<16); ; {
					if _, err := c.Write(buf); err != nil {
						return
					}
				}
			}), limits: limits, sent: true, status: 200, kept: keepBody,
		},
		{
			name: "gzip bomb", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
				z := gzip.NewWriter(c)
				for range 16 {
					z.Write(make([]byte, 1<<20))
				}
				z.Close()
			}), limits: limits, sent: true, status: 200, kept: keepBody,
		},
		{
			name: "reset mid-body", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
			}), limits: limits, sent: true, status: 200, kept: 3,
			error: "response body cut off: connection closed by the server",
		},
		{
			name: "chunked body breaks off", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")
			}), limits: limits, sent: true, status: 503, kept: 3,
			error: "response body cut off: connection closed by the server",
		},
		{
			name: "reset before an answer", url: raw(t, func(c net.Conn) {
				request(c)
				reset(c)
			}), limits: limits, sent: true,
			error: "connection reset by the server before it answered",
		},
		{
			name: "closed before an answer", url: raw(t, func(c net.Conn) { request(c) }), limits: limits, sent: true,
			error: "connection closed by the server before it answered",
		},
		{
			name: "flood of 1xx", url: raw(t, func(c net.Conn) {
				request(c)
				for {
					if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
						return
					}
				}
			}), limits: limits, sent: true,
			error: "response header exceeds 64 KiB",
		},
		{
			name: "endless header", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 200 OK\r\n")
				for {
					if _, err := io.WriteString(c, "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"); err != nil {
						return
					}
				}
			}), limits: limits, sent: true,
			error: "response header exceeds 64 KiB",
		},
		{
			name: "not HTTP", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, strings.Repeat("SSH-2.0-OpenSSH ", 1000)+"\r\n")
			}), limits: limits, sent: true,
			error: "malformed HTTP",
		},
		{
			name: "switches protocols", url: raw(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
				gone(c)
			}), limits: limits, sent: true, status: 101,
		},
	} {
		test := func(t *testing.T, method string) {
			t.Parallel()
			begin := time.Now()
			h := hook(t, c.url)
			h.Method = method
			r := sender(t, Options{Policy: c.policy}).Do(t.Context(), h, c.limits)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if !strings.Contains(text(r), c.error) || (text(r) == "") != (c.error == "") || len(text(r)) > 400 {
				t.Errorf("error %q, want %q", text(r), c.error)
			}
			if r.Sent != c.sent || r.Canceled {
				t.Errorf("sent %v, canceled %v", r.Sent, r.Canceled)
			}
			switch {
			case r.Response == nil && c.status != 0, r.Response != nil && r.Response.Status != c.status:
				t.Errorf("response %+v, want status %d", r.Response, c.status)
			case r.Response != nil && len(r.Response.Body) > c.kept:
				t.Errorf("%d bytes kept, want at most %d", len(r.Response.Body), c.kept)
			case r.Response != nil && strings.HasPrefix(text(r), "response body") && !r.Response.Truncated:
				t.Error("a body that broke off is not marked")
			}
		}
		t.Run(c.name, func(t *testing.T) { test(t, "POST") })
		t.Run(c.name+", over net/http's transport", func(t *testing.T) { test(t, "GET") })
	}
}

func TestNoSuchHost(t *testing.T) {
	for err, want := range map[error]string{
		&net.DNSError{Err: "no such host", Name: "x.example", IsNotFound: true}:   "dns: no such host x.example",
		&net.DNSError{Err: "i/o timeout", Name: "x.example", IsTimeout: true}:     "dns: timeout looking up x.example",
		&net.DNSError{Err: "server misbehaving", Name: "x.example"}:               "dns: x.example: server misbehaving",
		&net.OpError{Op: "dial", Err: &net.DNSError{Name: "y", IsNotFound: true}}: "dns: no such host y",
		context.DeadlineExceeded: "timeout after 30s waiting for a connection",
		errors.New("odd"):        "odd",
	} {
		if got := describe(err, to(t, "http://x.example"), limits, stageConnect); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// The drain after the kept part must not let a slow body hold the attempt.
func TestDrainIsBoundedInTime(t *testing.T) {
	url := raw(t, func(c net.Conn) {
		request(c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		c.Write(make([]byte, keepBody+1))
		gone(c)
	})
	begin := time.Now()
	r := sender(t, Options{}).Do(t.Context(), hook(t, url), limits)
	if took := time.Since(begin); took > 10*drainTime {
		t.Errorf("took %s", took)
	}
	if text(r) != "" || !r.Response.Truncated || len(r.Response.Body) != keepBody {
		t.Errorf("%q, %d bytes", text(r), len(r.Response.Body))
	}
}
