package send

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const plainOK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// requests hands each request of a connection to f, until f says that it was the last.
func requests(c net.Conn, f func(n int) (last bool)) {
	br := bufio.NewReader(c)
	for n := 1; ; n++ {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		if f(n) {
			return
		}
	}
}

// A connection that the server has given up, in whichever way, is found before the
// next request is written to it: nothing is lost, and no server sees one twice.
func TestG4_ADeadConnectionIsFoundBeforeItIsUsed(t *testing.T) {
	soon := Timeouts{Whole: 5 * time.Second}
	for name, end := range map[string]func(net.Conn){
		"closed":  func(c net.Conn) { c.Close() },
		"reset":   func(c net.Conn) { reset(c); c.Close() },
		"half":    func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"a 408":   func(c net.Conn) { io.WriteString(c, "HTTP/1.1 408 Timeout\r\nConnection: close\r\n\r\n") },
		"unasked": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") },
	} {
		var seen, conns atomic.Int32
		answered, ended := make(chan struct{}, 1), make(chan struct{}, 1)
		u := raw(t, func(c net.Conn) {
			first := conns.Add(1) == 1
			requests(c, func(n int) bool {
				seen.Add(1)
				if n > 1 {
					t.Errorf("%s: a request came over a connection that was given up", name)
				}
				io.WriteString(c, plainOK)
				return true
			})
			if first {
				<-answered
				end(c)
				ended <- struct{}{}
			}
			gone(c)
		})
		s := sender(t, Options{})
		for n := range 2 {
			if r := s.Do(t.Context(), hook(t, u), soon); text(r) != "" || r.Response.Status != 200 || !r.Sent {
				t.Errorf("%s: %+v", name, r)
			}
			if n == 0 {
				answered <- struct{}{}
				<-ended
			}
		}
		if seen.Load() != 2 || conns.Load() != 2 {
			t.Errorf("%s: %d requests over %d connections", name, seen.Load(), conns.Load())
		}
	}
}

// What comes after an answer is not the next one's.
func TestG4_AnAnswerTooManyIsNobodys(t *testing.T) {
	var conns atomic.Int32
	u := raw(t, func(c net.Conn) {
		conns.Add(1)
		requests(c, func(int) bool {
			io.WriteString(c, plainOK+"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
			return false
		})
	})
	s := sender(t, Options{})
	for range 3 {
		if r := s.Do(t.Context(), hook(t, u), limits); text(r) != "" || r.Response.Status != 200 {
			t.Errorf("%+v", r)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("%d connections for 3 attempts", n)
	}
}

// Connections are kept where they may be, and nowhere else.
func TestWhichConnectionsAreKept(t *testing.T) {
	for answer, kept := range map[string]bool{
		plainOK: true,
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + plainOK: true,
		"HTTP/1.1 204 No\r\n\r\n": true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n": true,
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na":           true,
		"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na":                                     false,
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na":                false,
		"HTTP/1.1 204 No\r\n\r\nrest":                                                       false,
	} {
		var conns atomic.Int32
		u := raw(t, func(c net.Conn) {
			conns.Add(1)
			requests(c, func(int) bool {
				io.WriteString(c, answer)
				return false
			})
		})
		s := sender(t, Options{})
		for range 2 {
			if r := s.Do(t.Context(), hook(t, u), limits); text(r) != "" || r.Response.Status/100 != 2 {
				t.Errorf("%q: %+v", answer, r)
			}
		}
		if n := conns.Load(); (n == 1) != kept {
			t.Errorf("%q: %d connections for 2 attempts", answer, n)
		}
	}
}

// The bound of the header is none of the body, with a bound of the whole or without.
func TestABodyMayTakeLongerThanAHeader(t *testing.T) {
	u := raw(t, func(c net.Conn) {
		requests(c, func(int) bool {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
			time.Sleep(300 * time.Millisecond)
			io.WriteString(c, "ow")
			return false
		})
	})
	for _, l := range []Timeouts{{Header: 100 * time.Millisecond}, {Header: 100 * time.Millisecond, Whole: 10 * time.Second}} {
		if r := sender(t, Options{}).Do(t.Context(), hook(t, u), l); text(r) != "" || string(r.Response.Body) != "slow" {
			t.Errorf("%+v: %+v", l, r)
		}
	}
}

// A server that answers without reading, and ends the connection.
func TestAnEarlyAnswerIsTaken(t *testing.T) {
	u := raw(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
		c.(*net.TCPConn).CloseWrite()
		gone(c)
	})
	for range 20 {
		r := hook(t, u)
		r.Body = make([]byte, maxLetter-1<<10)
		if r := sender(t, Options{}).Do(t.Context(), r, limits); text(r) != "" || r.Response.Status != 413 || string(r.Response.Body) != "no" {
			t.Errorf("%+v", r)
		}
	}
}

// What ended one attempt does not reach into the next one on the same connection.
func TestACanceledContextHarmsNoOther(t *testing.T) {
	var conns atomic.Int32
	u := raw(t, func(c net.Conn) {
		conns.Add(1)
		requests(c, func(int) bool {
			io.WriteString(c, plainOK)
			return false
		})
	})
	s := sender(t, Options{})
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		r := s.Do(ctx, hook(t, u), limits)
		cancel()
		if text(r) != "" {
			t.Fatalf("%+v", r)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	// One that ends while attempts are made: each is answered or said to be cut off.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	for ctx.Err() == nil {
		if r := s.Do(ctx, hook(t, u), limits); r.Response == nil && !r.Canceled || r.Response != nil && !r.Sent {
			t.Fatalf("%+v", r)
		}
		if r := s.Do(t.Context(), hook(t, u), limits); text(r) != "" {
			t.Fatalf("another was hit: %+v", r)
		}
	}
}

func TestCanceledInTheBody(t *testing.T) {
	begun := make(chan struct{})
	u := raw(t, func(c net.Conn) {
		requests(c, func(int) bool {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			close(begun)
			return false
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if r := sender(t, Options{}).Do(ctx, hook(t, u), Timeouts{}); !r.Canceled || !r.Sent || r.Response != nil && !r.Response.Truncated {
		t.Errorf("%+v", r)
	}
}

// A reload closes what is idle, and lets what is under way have its answer.
func TestG10_WhatIsUnderWayOutlivesItsSender(t *testing.T) {
	arrived, answer, ended := make(chan struct{}, 2), make(chan struct{}), make(chan struct{}, 2)
	u := raw(t, func(c net.Conn) {
		requests(c, func(n int) bool {
			arrived <- struct{}{}
			<-answer
			io.WriteString(c, plainOK)
			return false
		})
		ended <- struct{}{}
	})
	s := sender(t, Options{})
	replies := make(chan Reply, 2)
	do := func() { replies <- s.Do(t.Context(), hook(t, u), limits) }
	go do()
	go do()
	<-arrived
	<-arrived
	answer <- struct{}{}
	if r := <-replies; text(r) != "" {
		t.Fatalf("%+v", r)
	}
	s.Close()
	<-ended // the idle one
	answer <- struct{}{}
	if r := <-replies; text(r) != "" {
		t.Errorf("cut off: %+v", r)
	}
	<-ended // the other, once it was idle
}

type pipe struct {
	net.Conn
	closed bool
}

func (p *pipe) Close() error { p.closed = true; return p.Conn.Close() }

func TestIdleConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := &wires{most: 3}
		put := func(host string) *pipe {
			ours, _ := net.Pipe()
			p := &pipe{Conn: ours}
			ws.put(host, &wire{Conn: p})
			time.Sleep(time.Second)
			return p
		}
		a, b, c, d := put("a"), put("b"), put("b"), put("c")
		if !a.closed || b.closed || c.closed || d.closed || ws.count != 3 {
			t.Errorf("of three that may be idle: %v %v %v %v, %d", a.closed, b.closed, c.closed, d.closed, ws.count)
		}
		if w := ws.take("b"); w == nil || w.Conn != c {
			t.Error("not the one that was used last")
		}
		time.Sleep(idleFor - 2*time.Second)
		synctest.Wait()
		if !b.closed || d.closed || ws.count != 1 || ws.take("b") != nil {
			t.Errorf("after their time: %v %v, %d", b.closed, d.closed, ws.count)
		}
		time.Sleep(idleFor)
		synctest.Wait()
		if !d.closed || ws.count != 0 || len(ws.idle) != 0 || ws.sweep != nil {
			t.Errorf("after all their time: %v, %+v", d.closed, ws)
		}
		ws.close()
		if e := put("e"); !e.closed {
			t.Error("kept, though nobody will use it")
		}
	})
}

// What is spelled is what net/http reads.
func TestSpell(t *testing.T) {
	for _, c := range []struct {
		method, url string
		header      http.Header
		body        string
	}{
		{"POST", "http://h.example:8080/a%20b?c=d", http.Header{"Content-Type": {" application/json "}, "X-A": {"1", "2"}, "User-Agent": {"us"}}, `{"a":1}`},
		{"DELETE", "http://h.example", nil, ""},
		{"PUT", "http://[::1]:80/", http.Header{"User-Agent": nil, "X-Empty": {""}}, ""},
	} {
		u := to(t, c.url)
		b, ok := spell([]byte("before"), &Request{Method: c.method, URL: u, Header: c.header, Body: []byte(c.body)})
		if !ok {
			t.Fatalf("%s %s is not spelled", c.method, c.url)
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[len("before"):])))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		want := http.Header{}
		for k, vs := range c.header {
			for _, v := range vs {
				want[k] = append(want[k], strings.TrimSpace(v))
			}
		}
		if c.body != "" || c.method != "DELETE" {
			r.Header.Del("Content-Length")
		}
		if err != nil || r.Method != c.method || r.Host != u.Host || r.URL.RequestURI() != u.RequestURI() || string(body) != c.body ||
			!reflect.DeepEqual(r.Header, want) || r.ContentLength != int64(len(c.body)) {
			t.Errorf("%+v: %s", c, b)
		}
	}
}

// What is not plain is left to net/http, which knows what to make of it.
func TestWhatIsNotSpelled(t *testing.T) {
	plain := func() *Request { return hook(t, "http://h.example/") }
	if _, ok := spell(nil, plain()); !ok {
		t.Fatal("nothing is")
	}
	header := func(name, value string) func(*Request) { return func(r *Request) { r.Header[name] = []string{value} } }
	for name, change := range map[string]func(*Request){
		"TLS":          func(r *Request) { r.URL.Scheme = "https" },
		"GET":          func(r *Request) { r.Method = "GET" },
		"no method":    func(r *Request) { r.Method = "" },
		"odd method":   func(r *Request) { r.Method = "PO ST" },
		"IDN":          func(r *Request) { r.URL.Host = "bücher.example" },
		"zone":         func(r *Request) { r.URL.Host = "[fe80::1%25en0]" },
		"no host":      func(r *Request) { r.URL.Host = "" },
		"empty port":   func(r *Request) { r.URL.Host = "h:" },
		"split host":   func(r *Request) { r.URL.Host = "h\r\nX: y" },
		"opaque":       func(r *Request) { r.URL = &url.URL{Scheme: "http", Host: "h", Opaque: "//h/ x"} },
		"split path":   func(r *Request) { r.URL.RawQuery = "a b\r\nX: y" },
		"split value":  header("X-A", "b\r\nX: y"),
		"NUL":          header("X-A", "b\x00"),
		"split name":   header("X-A: b\r\nX", "y"),
		"space":        header("X A", "y"),
		"two names":    func(r *Request) { r.Header["User-Agent"] = []string{"a", "b"} },
		"host":         header("host", "other"),
		"length":       header("Content-Length", "5"),
		"chunked":      header("transfer-encoding", "chunked"),
		"close":        header("Connection", "close"),
		"upgrade":      header("Upgrade", "h2c"),
		"expect":       header("Expect", "100-continue"),
		"trailer":      header("Trailer", "X-A"),
		"te":           header("TE", "trailers"),
		"large":        func(r *Request) { r.Body = make([]byte, maxLetter+1) },
		"large in all": func(r *Request) { r.Body = make([]byte, maxLetter-10) },
	} {
		r := plain()
		change(r)
		if b, ok := spell(nil, r); ok {
			t.Errorf("%s: %q", name, b[:min(len(b), 200)])
		}
	}
}

// What is too large for a wire goes all the same, answered early or not.
func TestLargeBodiesGoAsBefore(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n != 8<<20 {
			t.Errorf("%d bytes came", n)
		}
	}))
	defer srv.Close()
	r := hook(t, srv.URL)
	r.Body = make([]byte, 8<<20)
	if r := sender(t, Options{}).Do(t.Context(), r, limits); text(r) != "" || r.Response.Status != 200 {
		t.Errorf("%+v", r)
	}
}

// A deadline that is set late does not undo that the attempt was ended.
func TestADeadlineDoesNotUndoAnEnd(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, p := &wire{Conn: ours}, passage{ctx: ctx}
	w.interrupt()
	if err := p.until(w, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); err == nil || !isTimeout(err) {
		t.Errorf("read on: %v", err)
	}
}
